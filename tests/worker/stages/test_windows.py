"""Rolling windows of many strands: due scans, gaps, partitions that go, strands that fall silent."""

import sys
from collections.abc import Iterable

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from models.messages import SensorScan
from models.windows import Outcome, WindowRules
from worker.records import PLACES, DueWindow, GivenUp, Origin, ScanBlock
from worker.stages.windows import Windows

RULES = WindowRules(length=3, period_ms=500, stride=1, max_gap_ms=2000)


def block(*scans: tuple[int, str, int], start: int = 0) -> ScanBlock:
    """Scans as (partition, strand, event time); the value is the event time."""
    return ScanBlock(
        [Origin(("t", partition), start + index) for index, (partition, _, _) in enumerate(scans)],
        [SensorScan(strand_id=strand, event_time_ms=time, values={}, seq=time) for _, strand, time in scans],
        np.array([[time] for _, _, time in scans], np.float32).reshape(-1, 1),
        [0] * len(scans),
        0,
    )


def test_due_scan_carries_its_window_and_particulars() -> None:
    windows = Windows(RULES, 1)
    due = [
        (entry.scan, entry.rows[:, 0].tolist())
        for entry in windows.advance(block(*[(0, "p.c.s", 500 * n) for n in range(4)]))
        if isinstance(entry, DueWindow)
    ]
    assert [rows for _, rows in due] == [[0], [0, 500], [0, 500, 1000], [500, 1000, 1500]]
    assert [scan.is_full for scan, _ in due] == [False, False, True, True]
    last = due[-1][0]
    assert (last.window_start_ms, last.seq, last.origin.offset) == (500, 1500, 3)


def test_strands_do_not_mix() -> None:
    windows = Windows(RULES, 1)
    entries = [(0, strand, time) for time in (0, 500, 1000) for strand in ("p.c.a", "p.c.b")]
    full = [e for e in windows.advance(block(*entries)) if isinstance(e, DueWindow) and e.scan.is_full]
    assert [entry.scan.strand_id for entry in full] == ["p.c.a", "p.c.b"]


def test_gap_gives_the_strand_up_before_its_next_prediction() -> None:
    windows = Windows(RULES, 1)
    list(windows.advance(block((0, "p.c.s", 0), (0, "p.c.s", 500))))
    given_up, due = windows.advance(block((0, "p.c.s", 9000)))
    assert given_up == GivenUp(Origin(("t", 0), 0), "p.c.s", 9000, "a gap of 8.5 s in its scans")
    assert isinstance(due, DueWindow)
    assert due.rows[:, 0].tolist() == [9000]


def test_clock_set_back_is_told_as_such() -> None:
    windows = Windows(RULES, 1)
    scans = [(0, "p.c.s", 100_000), *((0, "p.c.s", 1000 + 500 * n) for n in range(10))]
    reasons = [entry.why for entry in windows.advance(block(*scans)) if isinstance(entry, GivenUp)]
    assert reasons == ["its clock was set back by 94.5 s"]


def test_outcomes_are_counted() -> None:
    windows = Windows(RULES, 1)
    list(windows.advance(block((0, "p.c.s", 500), (0, "p.c.s", 500), (0, "p.c.s", 0), (0, "p.c.s", 1000))))
    assert windows.outcomes == {Outcome.USED: 2, Outcome.DUPLICATE: 1, Outcome.LATE: 1}


def test_revoked_partition_drops_its_open_windows_and_no_others() -> None:
    windows = Windows(RULES, 1)
    list(windows.advance(block((0, "p.c.a", 0), (1, "p.c.b", 0), (1, "p.c.c", 0))))
    assert len(windows.last_times_ms()) == 3
    windows.drop(("t", 1))
    assert len(windows.last_times_ms()) == 1
    (due,) = windows.advance(block((1, "p.c.b", 500)))
    assert isinstance(due, DueWindow)
    assert due.rows[:, 0].tolist() == [500]


def test_silent_strand_is_evicted_by_records_of_its_partition_alone() -> None:
    windows = Windows(RULES, 1, evict_after_records=100)
    list(windows.advance(block((0, "p.c.silent", 0))))
    talk = [(0, "p.c.busy", 500 * n) for n in range(150)]
    evicted = [entry for entry in windows.advance(block(*talk, start=1)) if isinstance(entry, GivenUp)]
    assert [(entry.strand_id, entry.is_evicted) for entry in evicted] == [("p.c.silent", True)]
    assert "no scan in the last 100 records" in evicted[0].why
    assert len(windows.last_times_ms()) == 1


def told(entries: Iterable[DueWindow | GivenUp]) -> list[object]:
    """What came out, with the windows' own numbers: a yielded window is a view."""
    return [(entry.scan, entry.rows.tolist()) if isinstance(entry, DueWindow) else entry for entry in entries]


@given(
    scans=st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(["p.c.a", "p.c.b", "p.c.rare"]),
            st.sampled_from([500, 500, 500, 0, -500, 1000, 9000, -40_000]),
        ),
        max_size=120,
    ),
    cut=st.integers(0, 120),
    holes=st.integers(1, 3),
)
@example(  # two fall silent at once, and stand in another order after a refill
    scans=[(0, "p.c.rare", 500), (0, "p.c.b", 500), (0, "p.c.rare", 9000), *[(1, "p.c.a", 500)] * 7, (0, "p.c.a", 500)],
    cut=3,
    holes=3,
)
def test_refilled_windows_go_on_as_if_nothing_had_happened(
    scans: list[tuple[int, str, int]], cut: int, holes: int
) -> None:
    """Uneven strands, gaps, late and doubled scans, clocks set back, evictions, offsets with holes; cut anywhere."""
    clocks = dict.fromkeys([scan[:2] for scan in scans], 1_000_000)
    log = []
    for index, (partition, strand, step) in enumerate(scans):
        clocks[partition, strand] += step
        log.append(block((partition, strand, clocks[partition, strand]), start=index * holes))
    uninterrupted = Windows(RULES, 1, evict_after_records=20)
    expected = [told(uninterrupted.advance(part)) for part in log]

    before, after = (Windows(RULES, 1, evict_after_records=20) for _ in range(2))
    for part in log[:cut]:
        list(before.advance(part))
    for partition in (("t", 0), ("t", 1)):
        starts = before.starts(partition)
        after.begin_refill(partition, starts, {})
        for part in log[:cut]:
            if (
                part.origins[0].partition == partition
                and part.origins[0].offset >= min(starts.values(), default=sys.maxsize) // PLACES
            ):
                after.refill(part)
        assert after.starts(partition) == starts
    assert [told(after.advance(part)) for part in log[cut:]] == expected[cut:]
    assert sum(after.outcomes.values()) == len(log[cut:])


def test_a_late_scan_before_a_strands_start_is_not_taken_on_refill() -> None:
    """It lies in the log after the partition's first start, and was refused when it came."""
    windows = Windows(RULES, 1)
    log = block(
        (0, "p.c.slow", 0), (0, "p.c.a", 5000), (0, "p.c.a", 4000), (0, "p.c.a", 5500), (0, "p.c.a", 6000),
        (0, "p.c.a", 6500),
    )  # fmt: skip
    list(windows.advance(log))
    starts = windows.starts(("t", 0))
    assert starts == {"p.c.slow": 0, "p.c.a": 3 * PLACES}
    again = Windows(RULES, 1)
    again.begin_refill(("t", 0), starts, {})
    again.refill(log)
    (due,) = again.advance(block((0, "p.c.a", 7000), start=6))
    assert isinstance(due, DueWindow)
    assert due.rows[:, 0].tolist() == [6000, 6500, 7000]


def test_a_refill_evicts_a_silent_strand_at_the_same_record() -> None:
    log = block((0, "p.c.silent", 0), *[(0, "p.c.busy", 500 * n) for n in range(150)])
    for cut in (0, 95, 105):
        windows = Windows(RULES, 1, evict_after_records=100)
        windows.begin_refill(("t", 0), {"p.c.silent": 0, "p.c.busy": max(1, cut - 3) * PLACES} if cut else {}, {})
        windows.refill(part(log, 0, cut))
        (evicted,) = [e for e in windows.advance(part(log, cut, 151)) if isinstance(e, GivenUp)]
        assert (evicted.strand_id, evicted.origin.offset) == ("p.c.silent", 110)
    for cut in (95, 112):  # from windows as they were at the fifth record
        windows = Windows(RULES, 1, evict_after_records=100)
        windows.begin_refill(("t", 0), {"p.c.silent": 0, "p.c.busy": 2 * PLACES}, {}, since=5)
        windows.refill(part(log, 0, cut))
        evicted_after = [e.origin.offset for e in windows.advance(part(log, cut, 151)) if isinstance(e, GivenUp)]
        assert evicted_after == ([110] if cut < 110 else [])


def part(of: ScanBlock, first: int, last: int) -> ScanBlock:
    return ScanBlock(of.origins[first:last], of.scans[first:last], of.rows[first:last], of.missing[first:last], 0)


def test_a_strand_whose_scans_are_gone_is_given_up_with_the_next_record() -> None:
    windows = Windows(RULES, 1)
    windows.begin_refill(("t", 0), {}, {"p.c.gone": 7000})
    given_up, due = windows.advance(block((0, "p.c.busy", 500), start=9))
    assert given_up == GivenUp(
        Origin(("t", 0), 9), "p.c.gone", 7000, "its earlier scans are gone from the log", is_evicted=True
    )
    assert isinstance(due, DueWindow)
    assert [type(entry) for entry in windows.advance(block((0, "p.c.busy", 1000), start=10))] == [DueWindow]


def test_a_strand_of_which_only_the_last_scans_are_left_is_given_up_and_not_forgotten() -> None:
    windows = Windows(RULES, 1)
    windows.begin_refill(("t", 0), {}, {"p.c.a": 7000}, since=8)
    windows.refill(block((0, "p.c.a", 7000), start=8))
    given_up, _ = windows.advance(block((0, "p.c.a", 7500), start=9))
    assert given_up == GivenUp(Origin(("t", 0), 9), "p.c.a", 7000, "its earlier scans are gone from the log")
