"""Which windows an epoch sees, and in which order: a pure function of (seed, epoch), whatever was drawn before.

    sampler = EpochSampler(train, near=0.15, plain=0.05, seed=1)
    sampler.set_epoch(3)
    order = list(sampler)

Neighbouring windows share nearly all their rows, so a share of them says almost as much as all.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from models.windows import Int64Array
from trainer.loading.window_index import NEAR, PLAIN, POSITIVE, Int8Array

_Indices = npt.NDArray[Any]

_STREAM = 1
"""Tells this module's draws from others of the same seed and epoch."""


class Windows(Protocol):
    """What is sampled from."""

    @property
    def kinds(self) -> Int8Array:
        """Of each window, see `trainer.loading.window_index`."""

    @property
    def look_alikes(self) -> Int8Array:
        """Of each window the look-alike it is of, -1 of none."""

    @property
    def look_alike_targets(self) -> tuple[int, ...]:
        """Of each look-alike the target it imitates."""

    def __len__(self) -> int:
        """Number of windows."""

    def set_epoch(self, epoch: int) -> None:
        """Told of every new epoch."""


class EpochSampler(Sampler[int]):
    """Draws an epoch: a share of each kind of window, or positives and negatives in a chosen ratio.

    By shares, a window is drawn at most once. With `balance`, the epoch is as long as the shares make it, but that
    part of it is positive, as many for each target, so that a frequent one does not crowd out a rare one; near and
    plain negatives keep the ratio of their shares. With `look_alikes` that part of the negatives is of look-alikes, as
    many for each target and of these as many for each type: what comes often and is told apart at once does not crowd
    out what must be learnt; of a type with too few windows all are drawn once, if there are other negatives.

    Where any other kind has too few windows, all of them are drawn as often as they go, and the rest once more. A
    repeated window has the index c · len(dataset) + i in its c-th further copy, so that `CastingSequenceDataset` varies
    the copies differently.

    Several processes each take every `world`-th window of one common order, so that a step of all of them together
    sees what a step of one process with the whole batch would. All get equally many: up to world - 1 windows of the
    order's end are left out. Of a fixed order each window is in exactly one process; their numbers may differ by one.

    Args:
        dataset: windows with `kinds`; told of every epoch.
        positive: share of the positives.
        plain: share of the plain negatives.
        near: share of the negatives near events and look-alikes.
        seed: of the drawing.
        fixed: the draw of epoch 0 for ever, in the order of the dataset; for validation.
        balance: part of an epoch that is positive; None draws by the shares alone.
        look_alikes: part of the negatives that is of look-alikes; with `balance` only.
        rank: number of this process.
        world: number of processes.
    """

    def __init__(
        self,
        dataset: Windows,
        *,
        positive: float = 1.0,
        near: float,
        plain: float,
        seed: int,
        fixed: bool = False,
        balance: float | None = None,
        look_alikes: float = 0.0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if not 0 <= rank < world:
            raise ValueError(f"expected a rank below {world}, got {rank}")
        self._dataset = dataset
        kinds = dataset.kinds
        groups = [np.flatnonzero(kinds >= POSITIVE), np.flatnonzero(kinds == NEAR), np.flatnonzero(kinds == PLAIN)]
        wanted = [
            int(np.ceil(group.size * share)) for group, share in zip(groups, (positive, near, plain), strict=True)
        ]
        if balance is not None:
            wanted = _balanced(wanted, balance)
            if look_alikes and sum(wanted[1:]):
                _give_way(groups, wanted, dataset, look_alikes)
            of_targets = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds[groups[0]])]
            groups[:1], wanted[:1] = of_targets, _evenly(wanted[0], len(of_targets))
        row_type = np.int32 if len(kinds) <= np.iinfo(np.int32).max else np.int64
        self._groups: list[tuple[_Indices, int]] = [
            (group.astype(row_type), count) for group, count in zip(groups, wanted, strict=True)
        ]
        self._size = sum(wanted)
        self._seed, self._fixed, self._rank, self._world = seed, fixed, rank, world
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw as of this epoch from now on, and let the dataset know."""
        self._epoch = epoch
        self._dataset.set_epoch(epoch)

    def __len__(self) -> int:
        """Windows of an epoch in this process."""
        spare = self._world - 1 - self._rank if self._fixed else 0
        return (self._size + spare) // self._world

    def __iter__(self) -> Iterator[int]:
        """Indices of the epoch, this process's part."""
        rng = np.random.default_rng([_STREAM, self._seed, 0 if self._fixed else self._epoch])
        drawn = np.concatenate([self._draw(rng, group, count) for group, count in self._groups])
        order = np.sort(drawn) if self._fixed else rng.permutation(drawn)[: len(self) * self._world]
        return map(int, order[self._rank :: self._world])

    def _draw(self, rng: np.random.Generator, group: _Indices, count: int) -> Int64Array:
        whole, rest = divmod(count, max(group.size, 1))
        copies = [group + copy * np.int64(len(self._dataset)) for copy in range(whole)]
        once_more = rng.choice(group, rest, replace=False) + whole * np.int64(len(self._dataset))
        return np.concatenate([*copies, once_more])


def _evenly(count: int, parts: int) -> list[int]:
    """A number in so many parts that differ by one at most."""
    return [count // parts + (part < count % parts) for part in range(parts)]


def _give_way(groups: list[Int64Array], wanted: list[int], windows: Windows, part: float) -> None:
    """Add groups of look-alikes to those of (positive, near, plain); the negatives give way to them.

    Args:
        groups: the windows of each; what is left of the near ones is of no look-alike.
        wanted: how many of each.
        windows: that are sampled from.
        part: of the negatives.
    """
    alike, negatives = windows.look_alikes, sum(wanted[1:])
    types: dict[int, list[Int64Array]] = {}
    for place, target in enumerate(windows.look_alike_targets):
        group = np.flatnonzero(alike == place)
        if group.size:
            types.setdefault(target, []).append(group)
    for mine, share in zip(types.values(), _evenly(round(part * negatives), len(types)), strict=True):
        groups += mine
        wanted += [min(count, group.size) for group, count in zip(mine, _evenly(share, len(mine)), strict=True)]
    groups[1] = groups[1][alike[groups[1]] < 0]
    near, plain = groups[1].size > 0, groups[2].size > 0
    left = negatives - sum(wanted[3:])
    if near and plain:
        left_near = round(left * wanted[1] / negatives)
        wanted[1:3] = [left_near, left - left_near]
    elif near or plain:
        wanted[1:3] = [left * near, left * plain]
    elif types:  # there are no other negatives: the same ones again
        wanted[1:] = [0, 0, *(had + more for had, more in zip(wanted[3:], _evenly(left, len(wanted) - 3), strict=True))]


def _balanced(counts: list[int], balance: float) -> list[int]:
    """As many as `counts` (positive, near, plain) together, of which the part `balance` is positive."""
    positive, near, plain = counts
    total, negative = sum(counts), near + plain
    if not positive or not negative:
        return counts
    positive = min(max(round(total * balance), 1), total - 1)
    near = round((total - positive) * near / negative)
    return [positive, near, total - positive - near]
