"""Windows whose scans the log no longer has: they start warming, and every scan is judged as without the loss."""

from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.frames import ScanFrame
from models.messages import SensorScan
from models.strand_window import missing_of
from models.windows import LATE_SCANS_TO_RESTART, Outcome, WindowRules
from worker.records import PLACES, DueWindow, FrameBlock, GivenUp, Origin, Reached, ScanBlock
from worker.stages.windows import Windows

PARTITION = ("t", 0)
EVICT_AFTER = 20
STRANDS = ("p.c.a", "p.c.b", "p.c.rare")
RULES = st.builds(WindowRules, st.integers(1, 6), st.just(500), st.sampled_from([1, 2, 7]), st.just(2000))
STEPS = st.tuples(
    st.sampled_from(STRANDS), st.sampled_from([500, 500, 500, 0, -500, -1500, 1000, 9000, -40_000]), st.integers(1, 4)
)
Log = list[ScanBlock | FrameBlock]


def scan(strand_id: str, event_time_ms: int, offset: int) -> ScanBlock:
    """One record; the value is its offset."""
    one = SensorScan(strand_id=strand_id, event_time_ms=event_time_ms, values={}, seq=offset)
    return ScanBlock([Origin(PARTITION, offset)], [one], np.array([[offset]], np.float32), [0], 0)


def as_log(steps: list[tuple[str, int, int]], holes: int, *, framed: bool) -> Log:
    """Late and doubled scans, gaps, clocks set back; as single scans, or as frames of a few."""
    clocks, log = dict.fromkeys(STRANDS, 1_000_000), Log()
    for index, (strand_id, step, count) in enumerate(steps):
        clocks[strand_id] += step
        if framed:
            rows = np.full((count, 1), index, np.float32)
            frame = ScanFrame(strand_id, clocks[strand_id], 500, rows, first_seq=100 * index)
            log.append(FrameBlock([Origin(PARTITION, index * holes)], [frame], [missing_of(rows)]))
            clocks[strand_id] += 500 * (count - 1)
        else:
            log.append(scan(strand_id, clocks[strand_id], index * holes))
    return log


def told(entries: Iterable[DueWindow | GivenUp]) -> list[tuple[object, list[float]]]:
    """What came out, without what a shorter window tells otherwise; and the rows."""
    return [
        ((one.scan.origin, one.scan.strand_id, one.scan.event_time_ms, one.scan.seq), one.rows[:, 0].tolist())
        if isinstance(one, DueWindow)
        else (one, [])
        for one in entries
    ]


def taken_over(
    log: Log, rules: WindowRules, at: int, live: int, low: int, *, is_known: bool
) -> tuple[Windows, Mapping[str, int]]:
    """Windows at the record `live`, of a table made at the record `at` and of the log from the record `low` on.

    Args:
        is_known: whether the starts that are gone are left out; otherwise the log ends while it is read.
    """
    windows = Windows(rules, 1, EVICT_AFTER)
    for block in log[:at]:
        told(windows.advance(block))
    starts, reached = windows.starts(PARTITION), windows.reached(PARTITION)
    lowest = log[low].origins[0].offset if low < len(log) else 10**6
    if is_known:
        starts = {strand_id: start for strand_id, start in starts.items() if start >= lowest * PLACES}
    since = log[at].origins[0].offset if at < live else None
    again = Windows(rules, 1, EVICT_AFTER)
    again.begin_refill(PARTITION, starts, {}, since, reached)
    begin = min(starts.values(), default=10**6 * PLACES) // PLACES
    for index in range(low, live):
        if index >= at or log[index].origins[0].offset >= begin:
            again.refill(log[index])
    return again, {strand_id: start for strand_id, start in starts.items() if start >= lowest * PLACES}


@given(
    rules=RULES, steps=st.lists(STEPS, max_size=80), framed=st.booleans(), holes=st.integers(1, 3),
    cuts=st.tuples(*[st.integers(0, 80)] * 3), is_known=st.booleans(), from_checkpoint=st.booleans(),
)  # fmt: skip
@example(  # the eighth of ten rising late scans is the last before the loss
    rules=WindowRules(3, 500, 2, 2000), framed=False, holes=1, cuts=(60, 60, 60), is_known=True, from_checkpoint=False,
    steps=[("p.c.a", 500, 1)] * 52 + [("p.c.a", -40_000, 1)] + [("p.c.a", 500, 1)] * 20,
)  # fmt: skip
@example(  # a silent strand is evicted at the record at which it would have been
    rules=WindowRules(3, 500, 1, 2000), framed=False, holes=1, cuts=(21, 21, 21), is_known=True, from_checkpoint=False,
    steps=[("p.c.rare", 500, 1)] + [("p.c.a", 500, 1)] * 40,
)  # fmt: skip
def test_every_scan_is_judged_as_without_the_loss(
    rules: WindowRules, steps: list[tuple[str, int, int]], framed: bool, holes: int, cuts: tuple[int, int, int],
    is_known: bool, from_checkpoint: bool,
) -> None:  # fmt: skip
    log = as_log(steps, holes, framed=framed)
    low, at, live = sorted(cut % (len(log) + 1) for cut in cuts)
    at = at if from_checkpoint else live
    whole = Windows(rules, 1, EVICT_AFTER)
    for block in log[:live]:
        told(whole.advance(block))
    again, refilled = taken_over(log, rules, at, live, low, is_known=is_known)
    assert again.reached(PARTITION) == whole.reached(PARTITION)
    if at == live:
        assert again.starts(PARTITION) == refilled
    seen = dict(whole.outcomes)
    for block in log[live:]:
        expected, found = told(whole.advance(block)), told(again.advance(block))
        assert [what for what, _ in found] == [what for what, _ in expected]
        for (_, rows), (_, wanted) in zip(found, expected, strict=True):
            assert rows == wanted[len(wanted) - len(rows) :]
    assert again.outcomes == {outcome: count - seen[outcome] for outcome, count in whole.outcomes.items()}


REACHED = {"p.c.a": Reached(100_000, 8)}


OF_THREE = WindowRules(3, 500, 1, 2000)


def gone(reached: Mapping[str, Reached], rules: WindowRules = OF_THREE) -> Windows:
    """Taken up at the ninth record of a log that has nothing before it."""
    windows = Windows(rules, 1)
    windows.begin_refill(PARTITION, {}, {}, reached=reached)
    return windows


def due(windows: Windows, *times_ms: int) -> list[tuple[int, bool]]:
    """Event times of what was due, and whether the window was full."""
    return [
        (entry.scan.event_time_ms, entry.scan.is_full)
        for number, time_ms in enumerate(times_ms)
        for entry in windows.advance(scan("p.c.a", time_ms, 9 + number))
        if isinstance(entry, DueWindow)
    ]


def test_a_scan_that_was_answered_and_a_late_one_are_refused_although_the_window_is_gone() -> None:
    windows = gone(REACHED)
    assert due(windows, 100_000, 99_500, 100_500, 101_000, 101_500) == [
        (100_500, False), (101_000, False), (101_500, True),
    ]  # fmt: skip
    assert (windows.outcomes[Outcome.DUPLICATE], windows.outcomes[Outcome.LATE]) == (1, 1)


def test_no_scan_is_due_that_would_not_have_been() -> None:
    """The first after the loss is as far from the last due one as it was."""
    rules = WindowRules(3, 500, 4, 2000)
    uninterrupted = Windows(rules, 1)
    wanted = due(uninterrupted, *range(100_000, 104_000, 500))[1:]
    assert wanted
    assert [time for time, _ in due(gone(REACHED, rules), *range(100_500, 104_000, 500))] == [
        time for time, _ in wanted
    ]


@pytest.mark.parametrize("before", [0, 4, LATE_SCANS_TO_RESTART - 1])
def test_ten_rising_late_scans_restart_a_strand_also_if_some_of_them_are_gone(before: int) -> None:
    late = (before, 10_000 + 500 * before) if before else None
    windows = gone({"p.c.a": Reached(100_000, 8, late)})
    rest = [10_500 + 500 * number for number in range(before, LATE_SCANS_TO_RESTART)]
    assert due(windows, *rest) == [(10_000 + 500 * LATE_SCANS_TO_RESTART, False)]


def test_a_strand_without_a_window_is_told_on_until_it_has_one() -> None:
    windows = gone(REACHED)
    assert (windows.starts(PARTITION), windows.reached(PARTITION)) == ({}, REACHED)
    due(windows, 100_500)
    assert windows.starts(PARTITION) == {"p.c.a": 9 * PLACES}
    assert windows.reached(PARTITION) == {"p.c.a": Reached(100_500, 9)}


def test_a_window_of_which_the_newest_scans_are_gone_begins_anew() -> None:
    """Refilled from its start on, it has not come as far as it had: some scan within it is lost."""
    windows = Windows(WindowRules(3, 500, 1, 2000), 1)
    windows.begin_refill(PARTITION, {"p.c.a": 6 * PLACES}, {}, reached=REACHED)
    windows.refill(scan("p.c.a", 99_000, 6))
    assert due(windows, 99_500, 100_500) == [(100_500, False)]
    assert windows.starts(PARTITION) == {"p.c.a": 10 * PLACES}


def test_so_does_one_that_is_read_on_from_a_checkpoint() -> None:
    windows = Windows(WindowRules(3, 500, 1, 2000), 1)
    windows.begin_refill(PARTITION, {"p.c.a": 6 * PLACES}, {}, 9, REACHED)
    for number, time_ms in [(6, 99_000), (9, 99_500), (10, 100_500)]:
        windows.refill(scan("p.c.a", time_ms, number))
    assert windows.starts(PARTITION) == {"p.c.a": 10 * PLACES}
    assert list(windows.advance(scan("p.c.a", 100_500, 11))) == []
    assert windows.starts(PARTITION) == {"p.c.a": 10 * PLACES}


def test_an_alert_of_a_strand_without_its_window_is_given_up_and_its_cooldown_kept() -> None:
    windows = Windows(WindowRules(3, 500, 1, 2000), 1)
    windows.begin_refill(PARTITION, {}, {"p.c.a": 99_500}, reached=REACHED)
    assert list(windows.advance(scan("p.c.a", 100_000, 9))) == [
        GivenUp(Origin(PARTITION, 9), "p.c.a", 99_500, "its earlier scans are gone from the log")
    ]
