"""The facts of a dataset, as its card tells them: one pass over the sequences, one in memory at a time."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ContractError
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.event_facts import DIFFICULTIES, EventFacts, event_facts
from trainer.datasets.records import SPLITS, DatasetInfo, Event, SequenceInfo, Split
from trainer.datasets.scan_facts import Balance, ScanCounter, SensorFacts
from trainer.datasets.splits import check_no_leak

Advance = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class SplitFacts:
    """How large one split is."""

    split: Split
    sequences: int
    rows: int
    strand_hours: float


@dataclass(frozen=True, slots=True, eq=False)
class DatasetFacts:
    """All that the card tells.

    Attributes:
        info: the dataset's head.
        strands: number of strands.
        splits: their sizes; all of `SPLITS`, also the empty ones.
        balance: by target and split.
        events: what the events add up to.
        sensors: in the order of the dataset.
        median_step: medians are of every so-manieth value; 1 is exact.
        missing: float64 [sequences, sensors], share of the scans without a value; sequences by split, then by time.
        missing_splits: the split of each of those sequences.
        window_ms: pause that sequences of a strand in different splits were held to, milliseconds.
        leaks: what two splits could see both, one sentence each; empty is good.
        verified: whether the content is what the fingerprint says; None where it was not recomputed.
        altered: what was not as the fingerprint says.
    """

    info: DatasetInfo
    strands: int
    splits: tuple[SplitFacts, ...]
    balance: tuple[Balance, ...]
    events: EventFacts
    sensors: tuple[SensorFacts, ...]
    median_step: int
    missing: npt.NDArray[np.float64]
    missing_splits: tuple[Split, ...]
    window_ms: int
    leaks: tuple[str, ...]
    verified: bool | None = None
    altered: str | None = None

    @property
    def rows(self) -> int:
        """Scans of all splits."""
        return sum(split.rows for split in self.splits)

    @property
    def strand_hours(self) -> float:
        """Hours cast, all strands together."""
        return self.rows * self.info.period_ms / 3_600_000

    def as_dict(self) -> dict[str, Any]:
        """For JSON; the configuration stays in dataset.json."""
        info = self.info
        return {
            "line": info.line,
            "seed": info.seed,
            "fingerprint": info.fingerprint,
            "verified": self.verified,
            "altered": self.altered,
            "period_ms": info.period_ms,
            "strands": self.strands,
            "rows": self.rows,
            "strand_hours": self.strand_hours,
            "targets": list(info.targets),
            "splits": [asdict(split) for split in self.splits],
            "leaks": list(self.leaks),
            "window_ms": self.window_ms,
            "balance": [asdict(balance) for balance in self.balance],
            "events": asdict(self.events),
            "median_step": self.median_step,
            "sensors": [asdict(sensor) for sensor in self.sensors],
        }


def describe(dataset: Dataset, advance: Advance = lambda _: None) -> DatasetFacts:
    """Read every sequence once and tell what there is.

    Args:
        dataset: opened.
        advance: is told how many rows were read since the last call.

    Raises:
        ContractError: a sequence's file is not what the index says, or an event belongs to nothing in it.
    """
    info, infos = dataset.info, dataset.sequences()
    window_ms = default_window_ms(info.period_ms)
    by_sequence = _events_by_sequence(dataset)
    scans = ScanCounter(info, rows=sum(entry.rows for entry in infos))
    for entry in infos:
        scans.add(entry, dataset.load(entry.sequence_id), by_sequence[entry.sequence_id])
        advance(entry.rows)
    order = sorted(range(len(infos)), key=lambda index: (SPLITS.index(infos[index].split), infos[index].start_ms))
    return DatasetFacts(
        info=info,
        strands=len({entry.strand_id for entry in infos}),
        splits=tuple(_split_facts(split, dataset.sequences(split), info.period_ms) for split in SPLITS),
        balance=scans.balance(),
        events=event_facts(dataset.events(), {entry.sequence_id: entry.split for entry in infos}, info.targets),
        sensors=scans.sensors(),
        median_step=scans.step,
        missing=np.array(scans.missing).reshape(len(infos), len(info.sensors))[order],
        missing_splits=tuple(infos[index].split for index in order),
        window_ms=window_ms,
        leaks=find_leaks(infos, scans.readings, window_ms),
    )


def with_verdict(facts: DatasetFacts, dataset: Dataset) -> DatasetFacts:
    """The facts with the fingerprint recomputed; reads everything once more."""
    try:
        dataset.verify()
    except ContractError as error:
        return replace(facts, verified=False, altered=str(error))
    return replace(facts, verified=True)


def default_window_ms(period_ms: int) -> int:
    """How long a window is unless a recipe says otherwise, milliseconds."""
    rules = TrainingConfig(device="cpu").window_rules(period_ms)
    return rules.length * rules.period_ms


def find_leaks(sequences: Iterable[SequenceInfo], readings: Mapping[str, bytes], window_ms: int) -> tuple[str, ...]:
    """What two splits could see both.

    Args:
        sequences: the dataset's, with their splits.
        readings: sequence id → digest of its values alone: the same readings under other times are a leak as well.
        window_ms: smallest pause between sequences of one strand in different splits.

    Returns:
        One sentence a leak.
    """
    sequences = list(sequences)
    leaks = []
    try:
        check_no_leak(sequences, window_ms)
    except ContractError as error:
        leaks.append(str(error))
    first: dict[bytes, SequenceInfo] = {}
    for entry in sequences:
        digest = readings.get(entry.sequence_id)
        before = first.setdefault(digest, entry) if digest is not None else entry
        if before.split != entry.split and before.sha256 != entry.sha256:
            leaks.append(
                f"expected each reading in one split, got the same values at {before.sequence_id} ({before.split}) "
                f"and {entry.sequence_id} ({entry.split}): keep one of them"
            )
    return tuple(leaks)


def _events_by_sequence(dataset: Dataset) -> dict[str, list[Event]]:
    events: dict[str, list[Event]] = {entry.sequence_id: [] for entry in dataset.sequences()}
    for event in dataset.events():
        for what, got, known in (
            ("a sequence", event.sequence_id, events),
            ("a target", event.target, (None, *dataset.info.targets)),
            ("a difficulty", event.difficulty, (None, *DIFFICULTIES)),
        ):
            if got not in known:
                place = f"{dataset.path / 'events.parquet'}, event {event.event_id}"
                raise ContractError(f"expected {what} of the dataset, got `{got}` at {place}: make the dataset anew")
        events[event.sequence_id].append(event)
    return events


def _split_facts(split: Split, infos: list[SequenceInfo], period_ms: int) -> SplitFacts:
    rows = sum(info.rows for info in infos)
    return SplitFacts(split, len(infos), rows, rows * period_ms / 3_600_000)
