"""The windows of a split that scorers are compared on: what is true of them, and what each scorer says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.errors import ContractError, mismatch
from models.windows import Float32Array, Int64Array
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import POSITIVE, label_at
from trainer.datasets.records import Event, Split
from trainer.evaluation.comparison.calibration import BoolArray, Float64Array
from trainer.evaluation.events import Trace

LabelArray = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedWindows:
    """Every due, full window of a split, n of them, with its truth.

    Attributes:
        split: which.
        targets: k of them.
        sequence_ids: of the sequences with windows, in the order of the dataset.
        group: int64 [n], each window's place among them.
        event_time_ms: int64 [n].
        labels: int8 [n, k], see `trainer.datasets.labels`.
        events: all events by sequence id.
        strand_days: time watched.
    """

    split: Split
    targets: tuple[str, ...]
    sequence_ids: tuple[str, ...]
    group: Int64Array
    event_time_ms: Int64Array
    labels: LabelArray
    events: Mapping[str, Sequence[Event]]
    strand_days: float

    @classmethod
    def of(cls, traces: Sequence[Trace], dataset: Dataset, split: Split, targets: Sequence[str]) -> "JudgedWindows":
        """The windows that traces answer; of any scorer, they are the same."""
        held = [trace for trace in traces if len(trace.event_time_ms)]
        events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
        labels = [
            np.stack([label_at(trace.event_time_ms, events[trace.sequence_id], target) for target in targets], axis=1)
            for trace in held
        ]
        return cls(
            split=split,
            targets=tuple(targets),
            sequence_ids=tuple(trace.sequence_id for trace in held),
            group=np.repeat(np.arange(len(held)), [len(trace.event_time_ms) for trace in held]),
            event_time_ms=np.concatenate([np.empty(0, np.int64), *(trace.event_time_ms for trace in held)]),
            labels=np.concatenate([np.empty((0, len(targets)), np.int8), *labels]),
            events=events,
            strand_days=sum(trace.strand_days for trace in traces),
        )

    def said(self, traces: Sequence[Trace], who: str) -> Float32Array:
        """What a scorer's traces say of these windows, [n, k].

        Raises:
            ContractError: they answer other windows.
        """
        held = [trace for trace in traces if len(trace.event_time_ms)]
        times = np.concatenate([np.empty(0, np.int64), *(trace.event_time_ms for trace in held)])
        same = tuple(trace.sequence_id for trace in held) == self.sequence_ids
        if not (same and np.array_equal(times, self.event_time_ms)):
            raise ContractError(
                f"{mismatch(f'{len(self.event_time_ms)} windows', f'{len(times)}, or others', who)}, split "
                f"`{self.split}`: every scorer must answer the same windows; delete its traces"
            )
        return np.concatenate([np.empty((0, len(self.targets)), np.float32), *(one.probabilities for one in held)])

    def target(self, index: int) -> "TargetWindows":
        """The windows that count for one target: those that are neither positive nor negative are left out."""
        labels = self.labels[:, index]
        kept = np.flatnonzero(labels >= 0)
        return TargetWindows(self.targets[index], kept, labels[kept] == POSITIVE, self.group[kept])

    def within(self, events: Iterable[Event], *, detectable_only: bool) -> BoolArray:
        """Which windows end while one of these events is under way, bool [n].

        Args:
            events: of any sequences.
            detectable_only: from where it can be told to its end, as positives are; otherwise from its first trace
                to its last.
        """
        inside = np.zeros(len(self.group), bool)
        bounds = np.searchsorted(self.group, np.arange(len(self.sequence_ids) + 1))
        place = {name: number for number, name in enumerate(self.sequence_ids)}
        for event in events:
            if event.sequence_id not in place:
                continue
            number = place[event.sequence_id]
            part = slice(bounds[number], bounds[number + 1])
            times = self.event_time_ms[part]
            first, last = (
                (event.detectable_ms, event.end_ms) if detectable_only else (event.onset_ms, event.ignore_until_ms)
            )
            inside[part] |= (times >= first) & (times < last)
        return inside


@dataclass(frozen=True, slots=True, eq=False)
class TargetWindows:
    """The m windows that count for one target.

    Attributes:
        name: of the target.
        kept: int64 [m], their places among all windows.
        truth: bool [m].
        group: int64 [m], each window's sequence.
    """

    name: str
    kept: Int64Array
    truth: BoolArray
    group: Int64Array

    @property
    def has_both(self) -> bool:
        """Whether there are positives and negatives."""
        return bool(self.truth.any()) and not bool(self.truth.all())

    def said(self, probabilities: Float32Array, index: int) -> Float64Array:
        """One target's probabilities of these windows, of those of all [n, k]."""
        said: Float64Array = probabilities[self.kept, index].astype(np.float64)
        return said
