"""What all importers do once a file is read: repair the order of time, find events, deal splits, write, report.

A *run* is a stretch of recording that becomes one sequence, on a strand of its own. A *group* is the runs that must
not be torn apart (one file, one block of a constant condition, one heat); it is given to one split as a whole.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import numpy.typing as npt

from models.errors import ContractError
from models.windows import WindowRules
from trainer.datasets.importers.cells import Flags, Ints
from trainer.datasets.records import SPLITS, Event, SequenceData, Split
from trainer.datasets.splits import check_no_leak
from trainer.datasets.writer import DatasetWriter

Advance = Callable[[float], None]
"""Called with the share of the work, in percent, done since the last call."""

FIRST_MS = 946_684_800_000
"""2000-01-01: where the made-up times of a source without any begin."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One run, in the order of time.

    Attributes:
        name: of its sequence.
        strand_id: the strand it is said to be cast on.
        group: what it must share a split with.
        event_time_ms: int64 [n], strictly rising.
        values: float32 [n, sensor].
        events: its positives.
    """

    name: str
    strand_id: str
    group: str
    event_time_ms: Ints
    values: npt.NDArray[np.float32]
    events: Sequence[Event]


def due_from(strand_id: str, earliest_ms: int, period_ms: int, stride: int) -> int:
    """The first time from `earliest_ms` on at which a prediction falls due, for made-up times.

    It is due at this stride and at every one that divides it, if there was a scan a period before.
    """
    rules = WindowRules(length=1, period_ms=period_ms, stride=stride, max_gap_ms=period_ms)
    return earliest_ms + -(earliest_ms + rules.phase_ms(strand_id)) % rules.grid_ms


@dataclass(slots=True)
class Repairs:
    """What was repaired, one line each.

    Attributes:
        lines: naming the run and how many rows were dropped.
    """

    lines: list[str] = field(default_factory=list)

    def in_order(self, event_time_ms: Ints, name: str, place: object) -> Flags:
        """Which rows to keep: like the worker, those later than all before them.

        Args:
            event_time_ms: [row] of one run, as recorded.
            name: of the run, for the report.
            place: where it comes from, for the error.

        Raises:
            ContractError: fewer than half of the rows would be left.
        """
        highest = np.maximum.accumulate(event_time_ms)
        keep = np.ones(event_time_ms.size, np.bool_)
        keep[1:] = event_time_ms[1:] > highest[:-1]
        same = int(np.count_nonzero(event_time_ms[1:] == highest[:-1]))
        dropped = int(np.count_nonzero(~keep))
        if 2 * dropped > keep.size:
            raise ContractError(
                f"expected times that rise, got {dropped:,} of {keep.size:,} rows at or before an earlier one at "
                f"{place}, run {name}: sort the rows, or give what was recorded at once different runs"
            )
        if dropped:
            self.lines.append(f"{name}: dropped {same} rows of the same time and {dropped - same} rows out of order")
        return keep


def flagged_events(
    name: str, strand_id: str, event_time_ms: Ints, flags: Mapping[str, Flags], period_ms: int, kind: str | None = None
) -> list[Event]:
    """One event for each stretch of flagged rows, up to the first row after it; at once detectable, no zone left out.

    Args:
        name: of the sequence.
        strand_id: of the sequence.
        event_time_ms: [n] of its rows.
        flags: target → [n] whether a row is positive.
        period_ms: how long the last row lasts.
        kind: type of the events; None for the target's name.
    """
    ends = np.append(event_time_ms, event_time_ms[-1] + period_ms)
    found = []
    for target, flagged in flags.items():
        edges = np.flatnonzero(np.diff(np.concatenate([[False], flagged, [False]]).astype(np.int8)))
        found += [(target, int(ends[first]), int(ends[after])) for first, after in edges.reshape(-1, 2).tolist()]
    return [
        event_between(f"{name}-{number:02d}", name, strand_id, kind or target, target, start, start, end)
        for number, (target, start, end) in enumerate(found)
    ]


def event_between(
    event_id: str, name: str, strand_id: str, kind: str, target: str, onset_ms: int, detectable_ms: int, end_ms: int
) -> Event:
    """An event of which no more is known than its times."""
    return Event(
        event_id=event_id,
        sequence_id=name,
        strand_id=strand_id,
        type=kind,
        target=target,
        onset_ms=onset_ms,
        detectable_ms=detectable_ms,
        impact_ms=None,
        end_ms=end_ms,
        ignore_until_ms=end_ms,
        healed=False,
        position_m=math.nan,
    )


def refuse_without_positives(found: Mapping[str, int], places: Mapping[str, str]) -> None:
    """Refuse a target of which nothing can be learnt.

    Args:
        found: target → number of its positives.
        places: target → where they were looked for.

    Raises:
        ContractError: a target has none.
    """
    for target, count in found.items():
        if not count:
            raise ContractError(
                f"expected at least one positive of `{target}`, got none at {places[target]}: a model cannot learn it"
            )


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported and what was repaired on the way.

    Attributes:
        importer: `import/...`, the dataset's line.
        sequences: written.
        rows: scans written.
        counts: what the source's own description counts.
        events: target → number of its events.
        missing_values: kept as missing.
        repairs: one line each, see `Repairs`.
        splits: number of sequences in each split.
        fingerprint: of the dataset.
    """

    importer: str
    sequences: int
    rows: int
    counts: dict[str, int | float]
    events: dict[str, int]
    missing_values: int
    repairs: list[str]
    splits: dict[str, int]
    fingerprint: str

    def to_json(self) -> dict[str, object]:
        """The report as JSON values, the counts among the rest."""
        fields = asdict(self)
        return {**fields.pop("counts"), **fields}


def write_runs(
    writer: DatasetWriter,
    targets: Sequence[str],
    runs: Iterable[tuple[Run, Split]],
    *,
    counts: Mapping[str, int | float],
    repairs: Repairs,
    advance: Callable[[], None] | None = None,
) -> ImportReport:
    """Write runs with the splits of their groups, and tell what was written.

    Args:
        writer: not entered yet.
        targets: of the dataset.
        runs: read one at a time.
        counts: for the report.
        repairs: for the report; may grow while the runs are read.
        advance: called after each run.

    Raises:
        ContractError: two runs have the same content.
    """
    missing = 0
    events = dict.fromkeys(targets, 0)
    with writer:
        for run, split in runs:
            writer.add(_sequence(run), run.events, split)
            missing += int(np.count_nonzero(np.isnan(run.values)))
            for event in run.events:
                if event.target is not None:
                    events[event.target] += 1
            if advance:
                advance()
        check_no_leak(writer.sequences)
    infos = writer.sequences
    return ImportReport(
        importer=writer.info.line,
        sequences=len(infos),
        rows=sum(info.rows for info in infos),
        counts=dict(counts),
        events=events,
        missing_values=missing,
        repairs=repairs.lines,
        splits={split: sum(info.split == split for info in infos) for split in SPLITS},
        fingerprint=writer.info.fingerprint,
    )


def _sequence(run: Run) -> SequenceData:
    rows = len(run.event_time_ms)
    return SequenceData(
        sequence_id=run.name,
        strand_id=run.strand_id,
        event_time_ms=run.event_time_ms,
        values=run.values,
        seq=np.arange(rows, dtype=np.int64),
        heat_id=(None,) * rows,
        strand_position_m=np.full(rows, np.nan),
    )
