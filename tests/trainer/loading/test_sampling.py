"""What an epoch draws."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.loading.sampling import EpochSampler
from trainer.loading.window_index import NEAR, PLAIN, POSITIVE


@dataclass
class Kinds:
    kinds: np.ndarray
    epochs: list[int] = field(default_factory=list)
    look_alikes: np.ndarray = field(default_factory=lambda: np.empty(0, np.int8))
    look_alike_targets: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.kinds)

    def set_epoch(self, epoch: int) -> None:
        self.epochs.append(epoch)


def windows(positive: int, near: int, plain: int, of_second: int = 0) -> Kinds:
    kinds = np.repeat(np.array([POSITIVE, NEAR, PLAIN, POSITIVE + 1], np.int8), [positive, near, plain, of_second])
    return Kinds(np.random.default_rng(0).permutation(kinds))


SHARES = {"near": 0.5, "plain": 0.1}


def test_draws_shares_of_each_kind_each_window_once() -> None:
    data = windows(9, 31, 204)
    drawn = list(EpochSampler(data, seed=1, **SHARES))
    assert np.bincount(data.kinds[drawn]).tolist() == [21, 16, 9]
    assert len(set(drawn)) == len(drawn) == len(EpochSampler(data, seed=1, **SHARES))


def test_an_epoch_is_a_function_of_seed_and_number_whatever_was_drawn_before() -> None:
    data = windows(9, 31, 204)
    sampler = EpochSampler(data, seed=1, **SHARES)
    drawn = {}
    for epoch in (0, 1, 2, 1):
        sampler.set_epoch(epoch)
        order = list(sampler)
        assert drawn.setdefault(epoch, order) == order
    assert len({tuple(order) for order in drawn.values()}) == 3
    assert data.epochs == [0, 1, 2, 1]
    late = EpochSampler(data, seed=1, **SHARES)
    late.set_epoch(2)
    assert list(late) == drawn[2]
    assert list(EpochSampler(data, seed=2, **SHARES)) != drawn[0]


def test_fixed_is_the_same_in_every_epoch_and_in_order() -> None:
    sampler = EpochSampler(windows(9, 31, 204), seed=4, fixed=True, **SHARES)
    first = list(sampler)
    sampler.set_epoch(5)
    assert list(sampler) == first == sorted(first)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 30), st.integers(0, 30), st.integers(1, 200), st.integers(0, 300)),
    st.floats(0.05, 0.95),
    st.integers(0, 3),
)
def test_balanced_keeps_length_and_ratio_gives_each_target_as_many_and_repeats_evenly(
    counts: tuple[int, int, int, int], balance: float, epoch: int
) -> None:
    data = windows(*counts)
    shares = {"near": 0.5, "plain": 0.3, "seed": 2}
    sampler = EpochSampler(data, balance=balance, **shares)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(set(drawn)) == len(sampler) == len(EpochSampler(data, **shares))
    which = [index % len(data) for index in drawn]
    first, second = (sum(data.kinds[index] == POSITIVE + target for index in which) for target in (0, 1))
    assert abs(first + second - balance * len(drawn)) <= 1
    assert second == 0 if not counts[3] else 0 <= first - second <= 1
    times = Counter(which)
    for kind in (POSITIVE, POSITIVE + 1, NEAR, PLAIN):
        drawn_times = [times[index] for index in np.flatnonzero(data.kinds == kind).tolist()]
        assert max(drawn_times, default=0) - min(drawn_times, default=0) <= 1


def test_balanced_without_one_class_draws_what_there_is() -> None:
    data = windows(0, 3, 5)
    assert sorted(EpochSampler(data, near=1, plain=1, seed=1, balance=0.5)) == list(range(8))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_processes_share_an_epoch(count: int, world: int, fixed: bool) -> None:
    data = windows(count, 5, 20)
    whole = list(EpochSampler(data, near=0.7, plain=0.2, seed=3, fixed=fixed))
    parts = [
        EpochSampler(data, near=0.7, plain=0.2, seed=3, fixed=fixed, rank=rank, world=world) for rank in range(world)
    ]
    orders = [list(part) for part in parts]
    assert [len(part) for part in parts] == [len(order) for order in orders]
    seen = Counter(index for order in orders for index in order)
    assert seen == Counter(seen.keys())  # none twice
    if fixed:
        assert set(seen) == set(whole)
    else:
        assert len({len(order) for order in orders}) == 1
        assert 0 <= len(whole) - seen.total() < world
        # Together, the processes' k-th windows are those that one process would see there.
        assert [index for step in zip(*orders, strict=True) for index in step] == whole[: seen.total()]


def test_a_rank_beyond_the_world_is_refused() -> None:
    with pytest.raises(ValueError, match="rank below 2, got 2"):
        EpochSampler(windows(1, 1, 1), near=1, plain=1, seed=0, rank=2, world=2)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 30), st.integers(0, 60), st.integers(0, 300), st.integers(0, 100)),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40)), max_size=5),
    st.floats(0.05, 0.95),
    st.floats(0.05, 1.0),
)
def test_look_alikes_take_their_part_of_the_negatives_each_target_and_type_as_many(
    counts: tuple[int, int, int, int], types: list[tuple[int, int]], balance: float, part: float
) -> None:
    positive, near, plain, of_second = counts
    sizes = [size for _, size in types]
    kinds = [POSITIVE] * positive + [NEAR] * (near + sum(sizes)) + [PLAIN] * plain + [POSITIVE + 1] * of_second
    alike = np.full(len(kinds), -1, np.int8)
    alike[positive + near : positive + near + sum(sizes)] = np.repeat(np.arange(len(sizes)), sizes)
    data = Kinds(np.array(kinds, np.int8), look_alikes=alike, look_alike_targets=tuple(target for target, _ in types))
    shares = {"near": 0.5, "plain": 0.3, "seed": 2, "balance": balance}
    before, drawn = list(EpochSampler(data, **shares)), list(EpochSampler(data, look_alikes=part, **shares))
    assert len(drawn) == len(set(drawn)) == len(before)
    which, negatives = np.array(drawn) % len(data), sum(data.kinds[index % len(data)] < POSITIVE for index in before)
    assert (data.kinds[which] < POSITIVE).sum() == negatives
    found = Counter(alike[which].tolist())
    there = {target for target, size in types if size}
    beyond = []
    for target in there:
        mine = [(place, size) for place, (of, size) in enumerate(types) if of == target and size]
        wanted = part * negatives / len(there) / len(mine)
        for place, size in mine:
            beyond.append(found[place] - min(wanted, size))
    if near + plain:
        assert all(abs(one) < 2 for one in beyond)
    elif beyond:  # the negatives are of look-alikes alone: what is left goes to all of them alike
        assert -2 < min(beyond) <= max(beyond) < min(beyond) + 5
        assert sum(found[place] for place in range(len(sizes))) == negatives
