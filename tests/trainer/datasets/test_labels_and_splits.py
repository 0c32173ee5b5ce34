"""Labels of windows, and splits by casting sequence."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ContractError
from trainer.datasets.labels import label_at
from trainer.datasets.records import SPLITS, Event, SequenceInfo
from trainer.datasets.splits import assign_splits, check_no_leak


def event(onset: int, detectable: int, end: int, ignore_until: int, target: str | None = "sticker") -> Event:
    return Event("e", "a", "p1.c1.s1", "sticker", target, onset, detectable, None, end, ignore_until, True, 0.0)


def labels(events, target="sticker", until=12):
    return label_at(np.arange(until, dtype=np.int64), events, target).tolist()


def test_a_window_is_positive_from_detectable_to_the_end_and_left_out_around_it():
    assert labels([event(2, 4, 7, 9)]) == [0, 0, -1, -1, 1, 1, 1, -1, -1, 0, 0, 0]


def test_look_alikes_and_other_targets_leave_no_mark():
    assert labels([event(2, 4, 7, 9, target=None), event(2, 4, 7, 9, target="quality")]) == [0] * 12


def test_positive_wins_where_events_overlap():
    events = [event(0, 2, 4, 8), event(5, 6, 7, 10)]
    expected = [-1, -1, 1, 1, -1, -1, 1, -1, -1, -1, 0, 0]
    assert labels(events) == expected
    assert labels(events[::-1]) == expected


def test_an_event_without_zones_to_leave_out_labels_exactly_its_rows():
    assert labels([event(3, 3, 6, 6)], until=8) == [0, 0, 0, 1, 1, 1, 0, 0]


@given(
    times=st.lists(st.integers(0, 60), max_size=30),
    bounds=st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4).map(sorted), max_size=4),
)
def test_labels_do_not_depend_on_the_order_of_times(times, bounds):
    events = [event(*bound) for bound in bounds]
    times_ms = np.array(times, dtype=np.int64)
    found = label_at(times_ms, events, "sticker")
    assert found.dtype == np.int8
    for time, label in zip(times, found.tolist(), strict=True):
        if any(e.detectable_ms <= time < e.end_ms for e in events):
            assert label == 1
        elif any(e.onset_ms <= time < e.ignore_until_ms for e in events):
            assert label == -1
        else:
            assert label == 0


def test_an_event_out_of_order_is_refused():
    with pytest.raises(ValueError, match="onset <= detectable"):
        event(5, 4, 7, 9)


@given(counts=st.lists(st.integers(0, 3), min_size=3, max_size=60), seed=st.integers(0, 2**32))
def test_each_split_gets_its_share_and_positives_where_there_are_three(counts, seed):
    positives = {f"s{index}": count for index, count in enumerate(counts)}
    splits = assign_splits(positives, seed)
    assert set(splits) == set(positives)
    with_events = [key for key, count in positives.items() if count]
    if len(with_events) >= 3:
        assert {splits[key] for key in with_events} == set(SPLITS)
    train = sum(split == "train" for split in splits.values())
    assert abs(train - 0.6 * len(splits)) <= 2
    assert splits == assign_splits(dict(reversed(positives.items())), seed)


def test_another_seed_deals_otherwise():
    positives = {f"s{index}": index % 2 for index in range(30)}
    assert assign_splits(positives, 1) != assign_splits(positives, 2)


def info(name, split, start_ms, end_ms, strand="p1.c1.s1"):
    return SequenceInfo(name, strand, split, 10, start_ms, end_ms, sha256=name)


def test_leaks_are_found():
    fine = [info("a", "train", 0, 100), info("b", "test", 200, 300), info("c", "test", 0, 100, strand="p1.c1.s2")]
    check_no_leak(fine, window_ms=100)
    with pytest.raises(ContractError, match=r"at least 101 ms, got 100 ms between a \(train\) and b \(test\)"):
        check_no_leak(fine, window_ms=101)
    with pytest.raises(ContractError, match="got -1 ms between a"):
        check_no_leak([fine[0], info("b", "train", 99, 300)])
    with pytest.raises(ContractError, match="same content at a and d"):
        check_no_leak([*fine, replace(info("d", "test", 900, 950, strand="p1.c9.s1"), sha256="a")])
