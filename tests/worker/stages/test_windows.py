"""Rolling windows of many strands: due scans, gaps, partitions that go, strands that fall silent."""

import numpy as np

from models.messages import SensorScan
from models.windows import Outcome, WindowRules
from worker.records import DueWindow, GivenUp, Origin, ScanBlock
from worker.stages.windows import Windows

RULES = WindowRules(length=3, period_ms=500, stride=1, max_gap_ms=2000)


def block(*scans: tuple[int, str, int], start: int = 0) -> ScanBlock:
    """Scans as (partition, strand, event time); the value is the event time."""
    return ScanBlock(
        [Origin("t", partition, start + index) for index, (partition, _, _) in enumerate(scans)],
        [SensorScan(strand_id=strand, event_time_ms=time, values={}, seq=time) for _, strand, time in scans],
        np.array([[time] for _, _, time in scans], np.float32).reshape(-1, 1),
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
    assert given_up == GivenUp(Origin("t", 0, 0), "p.c.s", 9000, "a gap of 8.5 s in its scans")
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
