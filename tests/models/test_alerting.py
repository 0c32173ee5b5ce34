"""The alert state machine: delays, cooldown, giving up; and what a replay must repeat."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.alerting import AlertMachine, AlertPolicy, Transition, alert_id

POLICY = AlertPolicy(open=0.8, close=0.5, on_delay_ms=2000, off_delay_ms=3000, cooldown_ms=10_000)


def run(probabilities: Sequence[float], policy: AlertPolicy = POLICY) -> list[tuple[int, Transition]]:
    """One probability a second from 0 on; the transitions with their times."""
    machine = AlertMachine(policy)
    moves = ((second * 1000, machine.observe(second * 1000, p)) for second, p in enumerate(probabilities))
    return [(time, move) for time, move in moves if move is not None]


def test_opens_once_the_threshold_has_held_for_the_on_delay() -> None:
    assert run([0.1, 0.9, 0.9, 0.9, 0.9]) == [(3000, Transition.OPENED)]


def test_a_dip_below_open_starts_the_on_delay_anew() -> None:
    assert run([0.9, 0.9, 0.7, 0.9, 0.9, 0.9]) == [(5000, Transition.OPENED)]


def test_opens_at_once_without_an_on_delay() -> None:
    assert run([0.8], AlertPolicy(0.8, 0.5, 0, 0, 0)) == [(0, Transition.OPENED)]


def test_closes_once_below_close_for_the_off_delay_and_not_between_the_thresholds() -> None:
    assert run([0.9] * 3 + [0.6] * 10) == [(2000, Transition.OPENED)]
    assert run([0.9] * 3 + [0.6, 0.4, 0.4, 0.6, 0.4, 0.4, 0.4, 0.4]) == [
        (2000, Transition.OPENED),
        (10_000, Transition.CLOSED),
    ]


def test_does_not_open_again_within_the_cooldown_but_right_after_it() -> None:
    transitions = run([0.9] * 3 + [0.1] * 4 + [0.9] * 20)
    assert transitions == [(2000, Transition.OPENED), (6000, Transition.CLOSED), (16_000, Transition.OPENED)]


def test_giving_up_closes_at_the_last_prediction_and_forgets_the_rise() -> None:
    machine = AlertMachine(POLICY)
    for second in range(4):
        machine.observe(second * 1000, 0.9)
    assert machine.give_up() is Transition.CLOSED
    assert machine.closed_at_ms == 3000
    assert machine.give_up() is None
    assert machine.observe(60_000, 0.9) is None
    assert machine.is_rising


def test_a_closing_in_the_future_does_not_silence_a_strand_whose_clock_was_set_back() -> None:
    machine = AlertMachine(POLICY)
    for time in (100_000_000, 100_002_000):
        machine.observe(time, 0.9)
    machine.give_up()
    assert [machine.observe(time, 0.9) for time in (1000, 2000, 3000)][-1] is Transition.OPENED


def test_a_cooldown_that_is_over_does_not_begin_anew_when_the_clock_is_set_back() -> None:
    machine = AlertMachine(POLICY)
    for second in [0, 1, 2]:
        machine.observe(second * 1000, 0.9)
    for second in [3, 4, 5, 6]:
        machine.observe(second * 1000, 0.1)
    assert (machine.closed_at_ms, machine.is_idle) == (6000, False)
    machine.observe(16_000, 0.1)
    assert machine.is_idle
    assert [machine.observe(second * 1000, 0.9) for second in [8, 9, 10]][-1] is Transition.OPENED


def test_peak_is_the_highest_since_the_rise_began() -> None:
    machine = AlertMachine(POLICY)
    for second, probability in enumerate([0.99, 0.1, 0.85, 0.97, 0.9]):
        machine.observe(second * 1000, probability)
    assert machine.is_open
    assert machine.peak == pytest.approx(0.97)


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.6, 0.9]), st.sampled_from([1000, 1000, 20_000, -5000])), max_size=80),
)
def test_an_idle_machine_does_what_a_new_one_would(steps: list[tuple[float, int]]) -> None:
    kept, forgotten, now = AlertMachine(POLICY), AlertMachine(POLICY), 100_000
    for probability, step in steps:
        now += step
        assert forgotten.observe(now, probability) is kept.observe(now, probability)
        assert forgotten.is_idle == kept.is_idle
        if forgotten.is_idle:
            forgotten = AlertMachine(POLICY)


@given(st.lists(st.floats(0, 1), max_size=200), st.integers(0, 5), st.integers(0, 5), st.integers(0, 20))
def test_openings_and_closings_alternate_and_keep_their_delays(
    probabilities: list[float], on_s: int, off_s: int, cooldown_s: int
) -> None:
    policy = AlertPolicy(0.6, 0.4, on_s * 1000, off_s * 1000, cooldown_s * 1000)
    transitions = run(probabilities, policy)
    assert [move for _, move in transitions] == [Transition.OPENED, Transition.CLOSED] * (len(transitions) // 2) + (
        [Transition.OPENED] if len(transitions) % 2 else []
    )
    closed_at = None
    for time, move in transitions:
        second = time // 1000
        if move is Transition.OPENED:
            assert all(p >= 0.6 for p in probabilities[second - on_s : second + 1])
            assert closed_at is None or time >= closed_at + policy.cooldown_ms
        else:
            assert all(p < 0.4 for p in probabilities[second - off_s : second + 1])
            closed_at = time


def test_alert_id_is_a_pure_function_of_strand_target_model_and_opening_sample() -> None:
    base = ("p.c.s", "sticker", "abc", 1000)
    others = [("p.c.t", "sticker", "abc", 1000), ("p.c.s", "quality", "abc", 1000), ("p.c.s", "sticker", "abd", 1000)]
    assert alert_id(*base) == "633ce1545e06a32323d4cb65ed4152f9"
    assert (
        len({alert_id(*base), alert_id("p.c.s", "sticker", "abc", 1001), *(alert_id(*other) for other in others)}) == 5
    )
