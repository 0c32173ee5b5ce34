"""The incremental and the batch form of the window rules, held to each other and to the rules' own words."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.strand_window import StrandWindow
from models.windows import Outcome, StrandTimeline, WindowRules, gather_windows, plan_windows

SENSORS = 2


@st.composite
def rules(draw: st.DrawFn) -> WindowRules:
    period = draw(st.sampled_from([100, 500, 1000]))
    return WindowRules(
        length=draw(st.integers(1, 6)),
        period_ms=period,
        stride=draw(st.integers(1, 4)),
        max_gap_ms=period * draw(st.integers(1, 8)),
    )


@st.composite
def arrivals(draw: st.DrawFn) -> list[int]:
    """Event times in any order of arrival: steady stretches, gaps, duplicates, late scans, clocks set back."""
    steps = draw(st.lists(st.sampled_from([500, 500, 500, 0, 250, -500, 1000, 9000, -30_000, 40_000]), max_size=80))
    return (1_764_000_000_000 + np.cumsum([0, *steps])).tolist()


@st.composite
def recordings(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    times = np.array(draw(arrivals()), np.int64)
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).normal(size=(len(times), SENSORS)).astype(np.float32)
    missing = np.random.default_rng(seed + 1).random(values.shape) < 0.2
    return times, np.where(missing, np.float32(np.nan), values)


@given(rules(), recordings(), st.sampled_from(["a.b.c", "p1.c2.s3"]))
def test_incremental_and_batch_form_agree(
    rules: WindowRules, recording: tuple[np.ndarray, np.ndarray], strand_id: str
) -> None:
    times, values = recording
    plan = plan_windows(times, strand_id, rules)
    window = StrandWindow(rules, strand_id, SENSORS)
    accepted, due, full_windows, starts = [], [], [], []
    for index, (time, row) in enumerate(zip(times.tolist(), values, strict=True)):
        verdict = window.push(time, row)
        if verdict.outcome is Outcome.USED:
            accepted.append(index)
        if verdict.due:
            due.append(index)
            starts.append(window.start_ms)
            if window.is_full:
                full_windows.append(window.rows.copy())
    assert plan.accepted.tolist() == accepted
    assert plan.accepted[plan.due].tolist() == due
    assert times[plan.accepted[plan.start]].tolist() == starts
    gathered = gather_windows(values, plan, np.flatnonzero(plan.full), rules.length)
    assert len(gathered) == len(full_windows)
    for batch_form, incremental in zip(gathered, full_windows, strict=True):
        np.testing.assert_array_equal(batch_form, incremental)


@given(rules(), arrivals())
def test_timeline_keeps_the_written_rules(rules: WindowRules, times: list[int]) -> None:
    """A second reading of design's words, kept as plain as possible: lists and slices, no state machine."""
    timeline = StrandTimeline(rules, "p.c.s")
    accepted: list[int] = []
    since_accepted: list[int] = []
    for time in times:
        verdict = timeline.observe(time)
        last = accepted[-1] if accepted else None
        since_accepted.append(time)
        late_ten = since_accepted[-10:]
        is_restart_by_clock = (
            last is not None
            and len(late_ten) == 10
            and all(t < last for t in late_ten)
            and all(a < b for a, b in itertools.pairwise(late_ten))
        )
        if last is None or time > last or is_restart_by_clock:
            grid, phase = rules.stride * rules.period_ms, rules.phase_ms("p.c.s")
            expected_due = rules.stride == 1 or last is None or (time + phase) // grid != (last + phase) // grid
            assert verdict.outcome is Outcome.USED
            assert verdict.due == expected_due
            assert verdict.restarted == (is_restart_by_clock or (last is not None and time - last > rules.max_gap_ms))
            accepted.append(time)
            since_accepted.clear()
        else:
            assert verdict.outcome is (Outcome.DUPLICATE if time == last else Outcome.LATE)


@given(rules(), recordings())
def test_strictly_rising_recording_takes_the_same_answer_by_either_path(
    rules: WindowRules, recording: tuple[np.ndarray, np.ndarray]
) -> None:
    times = np.unique(recording[0])
    rising = plan_windows(times, "p.c.s", rules)
    with_a_duplicate = plan_windows(np.append(times, times[-1]), "p.c.s", rules)
    for name in ("accepted", "restarted", "due", "start", "full"):
        np.testing.assert_array_equal(getattr(rising, name), getattr(with_a_duplicate, name))


def test_clock_that_ran_ahead_silences_a_strand_for_nine_scans_only() -> None:
    window = StrandWindow(WindowRules(3, 500, 1, 5000), "p.c.s", SENSORS)
    row = np.zeros(SENSORS, np.float32)
    window.push(10_000_000, row)
    verdicts = [window.push(1000 + 500 * step, row) for step in range(10)]
    assert [v.outcome for v in verdicts[:9]] == [Outcome.LATE] * 9
    assert verdicts[9] == (Outcome.USED, True, True)
    assert len(window.rows) == 1


def test_duplicate_breaks_a_row_of_late_scans() -> None:
    timeline = StrandTimeline(WindowRules(3, 500, 1, 5000), "p.c.s")
    timeline.observe(100_000)
    for late in range(9):
        timeline.observe(1000 + late)
    timeline.observe(100_000)
    assert timeline.observe(2000).outcome is Outcome.LATE


def test_window_is_contiguous_and_counts_what_is_missing() -> None:
    window = StrandWindow(WindowRules(4, 500, 1, 5000), "p.c.s", SENSORS)
    for step in range(11):
        window.push(500 * step, np.array([step, np.nan], np.float32))
    assert window.rows[:, 0].tolist() == [7, 8, 9, 10]
    assert window.rows.flags.c_contiguous
    assert window.missing_fraction == pytest.approx(0.5)
    assert window.start_ms == 3500


def test_only_full_windows_can_be_gathered() -> None:
    rules = WindowRules(4, 500, 1, 5000)
    times = np.arange(5, dtype=np.int64) * 500
    plan = plan_windows(times, "p.c.s", rules)
    with pytest.raises(ValueError, match="full windows"):
        gather_windows(np.zeros((5, 1), np.float32), plan, np.array([0]), 4)


def test_empty_recording_has_no_windows() -> None:
    plan = plan_windows(np.empty(0, np.int64), "p.c.s", WindowRules(4, 500, 1, 5000))
    assert plan.accepted.size == plan.due.size == 0


def test_strands_do_not_all_fall_due_at_once() -> None:
    rules = WindowRules(4, 500, 20, 5000)
    phases = {rules.phase_ms(f"p1.c1.s{n}") for n in range(50)}
    assert len(phases) > 40
    assert all(0 <= phase < rules.grid_ms for phase in phases)
