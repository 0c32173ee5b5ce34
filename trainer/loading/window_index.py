"""Which windows a split has, in a few bytes each.

Within a dataset event times strictly rise, so every scan is accepted and a window's rows are contiguous: the row it
ends with, counted over the whole split, says all. What else belongs to a window (its first row, its labels, its time,
its sequence) is looked up when it is asked for.

Held are 6 to 10 bytes a window and a byte a row and target, as tensors: torch hands those to a loader's worker
processes through shared memory, whatever the way they are started.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.windows import BoolArray, Float32Array, Int64Array, WindowRules, plan_windows
from trainer.datasets.dataset import Dataset
from trainer.datasets.labels import LEFT_OUT, label_at
from trainer.datasets.records import Event, SequenceInfo
from trainer.loading.row_store import RowStore

SHORTEST = 8
"""Rows below which a window of variable length says nothing."""

PLAIN, NEAR, POSITIVE = 0, 1, 2
"""What a window is for sampling: a plain negative, one near an event or look-alike, a positive of the first target;
those of the k-th further target are POSITIVE + k. One that is positive for several is of the target with the fewest."""

Int8Array = npt.NDArray[np.int8]

_SHUFFLE = 2
"""Tells this module's draws from others of the same seed."""


@dataclass(frozen=True, slots=True)
class WindowIndex:
    """The windows of a split, in the order of its rows.

    Attributes:
        last: int32 or int64 [window], the row each ends with.
        kind: int8 [window], see `PLAIN`, `NEAR` and `POSITIVE`.
        look_alike: int8 [window], of a negative its place among the look-alikes; -1 where it is of none.
        look_alike_targets: of each type of look-alike, the most frequent first, the place of the target it imitates.
        truth: int8 [row, target], of a window that would end there; see `trainer.datasets.labels`.
        stretches: int64 [stretch], the first row of each stretch without a gap, rising.
        length: rows of a window, at most.
        shortest: rows of a window, at least.
    """

    last: Tensor
    kind: Tensor
    look_alike: Tensor
    look_alike_targets: tuple[int, ...]
    truth: Tensor
    stretches: Tensor
    length: int
    shortest: int

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.last)

    @property
    def kinds(self) -> Int8Array:
        """`kind` as an array, a view."""
        return np.asarray(self.kind.numpy(), np.int8)

    def last_rows(self, which: Int64Array | None = None) -> Int64Array:
        """The rows that windows [k] end with; None for all windows."""
        last = self.last.numpy()
        return np.asarray(last if which is None else last[which], np.int64)

    def first_rows(self, last: Int64Array) -> Int64Array:
        """The rows [k] that windows begin with which end with the rows `last` [k]."""
        stretches = self.stretches.numpy()
        begins = stretches[np.searchsorted(stretches, last, side="right") - 1]
        return np.asarray(np.maximum(begins, last - self.length + 1), np.int64)

    def labels(self, last: Int64Array) -> Float32Array:
        """Labels [k, target] of windows that end with the rows `last` [k]: 1, 0, and NaN where left out."""
        truth = self.truth.numpy()[last]
        return np.asarray(np.where(truth == LEFT_OUT, np.float32(np.nan), truth), np.float32)

    def shuffled(self, seed: int) -> "WindowIndex":
        """The same windows with each other's labels and kinds, as a leak test wants them.

        The kind goes with its labels: sampling would otherwise still tell where the events are. Rows that no window
        ends with are left out for every target: a window that augmentation shifts would end there with its true label.
        """
        order = torch.from_numpy(np.random.default_rng([_SHUFFLE, seed]).permutation(len(self)))
        last = self.last.long()
        truth = torch.full_like(self.truth, LEFT_OUT)
        truth[last] = self.truth[last[order]]
        return replace(self, kind=self.kind[order], look_alike=self.look_alike[order], truth=truth)

    def ends_near(self, last: int, reach: int) -> Int64Array:
        """Rows that a like window may end with, at most `reach` scans from `last`, that one among them.

        They lie in the same stretch, leave room for a whole window, and know every target that `last` knows.
        """
        stretches = self.stretches.numpy()
        number = int(np.searchsorted(stretches, last, side="right"))
        after = int(stretches[number]) if number < len(stretches) else len(self.truth)
        earliest = max(last - reach, int(stretches[number - 1]) + self.shortest - 1)
        rows = np.arange(earliest, min(last + reach + 1, after), dtype=np.int64)
        truth = self.truth.numpy()
        wanted: BoolArray = (truth[rows] != LEFT_OUT)[:, truth[last] != LEFT_OUT].all(axis=1)
        return rows[wanted]


def index_windows(
    dataset: Dataset,
    store: RowStore,
    infos: Sequence[SequenceInfo],
    targets: Sequence[str],
    rules: WindowRules,
    *,
    variable: bool,
) -> WindowIndex:
    """Find the windows of a split's sequences, one sequence at a time.

    Args:
        dataset: for its events.
        store: the split's rows.
        infos: the split's sequences, in the order of the rows.
        targets: whose truth is looked up.
        rules: of the windows.
        variable: whether windows count that are still growing after a start or a gap, from `SHORTEST` rows up.
    """
    happened: dict[str, list[Event]] = {info.sequence_id: [] for info in infos}
    imitated: dict[str, str] = {}
    for event in dataset.events():
        if event.target in targets:
            imitated[event.type] = str(event.target)
        if event.sequence_id in happened:
            happened[event.sequence_id].append(event)
    shortest = min(SHORTEST, rules.length) if variable else rules.length
    row_type = np.int32 if store.rows <= np.iinfo(np.int32).max else np.int64
    offsets = np.cumsum([0, *(info.rows for info in infos)]).tolist()
    lasts: list[npt.NDArray[Any]] = [np.empty(0, row_type)]
    kinds: list[Int8Array] = [np.empty(0, np.int8)]
    alike: list[Int8Array] = [np.empty(0, np.int8)]
    look_alikes = _look_alikes(happened, imitated)
    stretches: list[Int64Array] = [np.empty(0, np.int64)]
    truth = np.empty((store.rows, len(targets)), np.int8)
    for info, (offset, end) in zip(infos, pairwise(offsets), strict=True):
        times, events = store.event_times(offset, info.rows), happened[info.sequence_id]
        for column, target in enumerate(targets):
            truth[offset:end, column] = label_at(times, events, target)
        plan = plan_windows(times, info.strand_id, rules)
        due = plan.due[plan.due - plan.start + 1 >= shortest]
        due = due[(truth[offset + due] != LEFT_OUT).any(axis=1)]
        lasts.append((offset + due).astype(row_type))
        decoys = [event for event in events if event.look_alike_of in {None, *imitated}]
        kinds.append(_negatives(times[due], decoys, rules))
        alike.append(_of_look_alikes(times[due], events, list(look_alikes), rules))
        stretches.append(offset + np.flatnonzero(plan.restarted | (np.arange(info.rows) == 0)))
    last, kind, look_alike, begins = (np.concatenate(parts) for parts in (lasts, kinds, alike, stretches))
    _mark_positives(kind, truth[last] == 1)
    look_alike[kind >= POSITIVE] = -1
    return WindowIndex(
        last=torch.from_numpy(last),
        kind=torch.from_numpy(kind),
        look_alike=torch.from_numpy(look_alike),
        look_alike_targets=tuple(list(targets).index(target) for target in look_alikes.values()),
        truth=torch.from_numpy(truth),
        stretches=torch.from_numpy(begins),
        length=rules.length,
        shortest=shortest,
    )


def _look_alikes(happened: Mapping[str, Sequence[Event]], imitated: Mapping[str, str]) -> dict[str, str]:
    """The types of look-alikes that there are, the most frequent first, and the target that each imitates."""
    events = [event for of_sequence in happened.values() for event in of_sequence]
    found = {event.type: target for event in events if (target := imitated.get(event.look_alike_of or ""))}
    counts = Counter(event.type for event in events)
    return dict(sorted(found.items(), key=lambda entry: (-counts[entry[0]], entry[0])))


def _of_look_alikes(times: Int64Array, events: list[Event], types: list[str], rules: WindowRules) -> Int8Array:
    """The look-alike that each window is of, the rarest of several, while half of the window at least holds it."""
    found = np.full(times.size, -1, np.int8)
    half_ms = rules.length * rules.period_ms // 2
    for place, kind in enumerate(types):
        for event in events:
            if event.type == kind:
                found[(times >= event.onset_ms) & (times < event.ignore_until_ms + half_ms)] = place
    return found


def _mark_positives(kinds: Int8Array, positive: BoolArray) -> None:
    """Of windows that are positive [n, target], each for the rarest of its targets."""
    for target in np.argsort(-positive.sum(axis=0), kind="stable").tolist():
        kinds[positive[:, target]] = POSITIVE + target


def _negatives(times: Int64Array, events: list[Event], rules: WindowRules) -> Int8Array:
    kinds = np.full(times.size, PLAIN, np.int8)
    span_ms = rules.length * rules.period_ms
    for event in events:
        # Any window that sees a row of it, and those just after, where the model must let go again.
        kinds[(times >= event.onset_ms) & (times < event.ignore_until_ms + span_ms)] = NEAR
    return kinds
