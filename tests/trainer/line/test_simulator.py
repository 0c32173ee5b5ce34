"""Seeds, sequences, schedules, and the truth that comes with them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trainer.datasets.fingerprint import sequence_digest
from trainer.line.config import LineConfig
from trainer.line.patterns import draw_pattern
from trainer.line.schedule import Scheduled, plan_events, reserve_s
from trainer.line.simulator import RECORDING_DOMAIN, sequence_durations, simulate, simulate_sequence

SHORT = LineConfig.model_validate({"sequence_s": 900})


def test_same_seed_makes_the_same_line_and_another_seed_another():
    first, again, other = (
        [sequence_digest(made.sequence) for made in simulate(SHORT, strands=2, hours=0.5, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 4


def test_a_sequence_is_the_same_whatever_the_number_of_strands_and_hours():
    few = {made.sequence.sequence_id: made for made in simulate(SHORT, strands=1, hours=0.25, seed=3)}
    many = {made.sequence.sequence_id: made for made in simulate(SHORT, strands=3, hours=0.75, seed=3)}
    assert len(few) == 1
    assert len(many) == 9
    for name, made in few.items():
        assert sequence_digest(made.sequence) == sequence_digest(many[name].sequence)
        assert made.events == many[name].events


def test_the_recording_shares_no_random_numbers_with_training_even_at_the_same_seed():
    schedule = (Scheduled("sticker", 300),)
    training, recording = (
        simulate_sequence(SHORT, strand=0, index=0, duration_s=600, seed=5, schedule=schedule, domain=domain)
        for domain in (0, RECORDING_DOMAIN)
    )
    assert np.mean(training.sequence.values == recording.sequence.values) < 0.1


def test_sequences_of_a_strand_follow_each_other_with_a_pause_and_count_on():
    made = [one.sequence for one in simulate(SHORT, strands=1, hours=0.75, seed=1)]
    for before, after in pairwise(made):
        assert after.event_time_ms[0] - before.event_time_ms[-1] > 60_000
        assert after.seq[0] == before.seq[-1] + 1
    assert set(np.diff(made[0].event_time_ms)) == {500}
    assert made[0].strand_position_m[0] == 0
    assert np.all(np.diff(made[0].strand_position_m) > 0)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [(0.1, [360]), (0.25, [900]), (0.5, [900, 900]), (0.55, [900, 1080]), (0.6, [900, 900, 360])],
)
def test_hours_are_cut_into_sequences(hours, expected):
    assert sequence_durations(SHORT, hours) == pytest.approx(expected)


def test_each_kind_of_event_can_be_switched_off():
    off = {kind: {"per_hour": 0.0} for kind in ("sticker", "film_fracture", "speed_step")}
    for kind in off:
        config = LineConfig.model_validate({**off, kind: {"per_hour": 6.0}})
        seen = {event.type for made in simulate(config, strands=1, hours=1, seed=1) for event in made.events}
        assert seen == {kind}
    assert not next(simulate(LineConfig.model_validate(off), strands=1, hours=1, seed=1)).events


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.floats(0, 10), duration_s=st.floats(400, 8000))
def test_planned_events_never_overlap_and_keep_clear_of_the_ends(seed, rate, duration_s):
    config = LineConfig.model_validate({"sticker": {"per_hour": rate}, "film_fracture": {"per_hour": rate}})
    planned = plan_events(config, duration_s, np.random.default_rng(seed))
    free_from = config.event_margin_s
    for event in planned:
        assert event.onset_s >= free_from - 1e-6
        free_from = event.onset_s + reserve_s(config, event.type) + config.event_spacing_s
    assert free_from - config.event_spacing_s <= duration_s - config.event_margin_s + 1e-6 or not planned


def test_rates_are_kept_on_average():
    rng = np.random.default_rng(0)
    kinds = [event.type for _ in range(400) for event in plan_events(LineConfig(), 3600, rng)]
    assert kinds.count("sticker") / 400 == pytest.approx(1.0, abs=0.15)
    assert kinds.count("speed_step") / 400 == pytest.approx(2.0, abs=0.2)
    assert kinds.count("film_fracture") / 400 == pytest.approx(1.5, abs=0.2)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), speed=st.floats(0.8, 1.6), kind=st.sampled_from(["sticker", "film_fracture"]))
def test_a_pattern_keeps_the_order_of_its_truth_and_the_time_reserved_for_it(seed, speed, kind):
    config = LineConfig()
    pattern = draw_pattern(config, Scheduled(kind, 100.0), speed, np.random.default_rng(seed))
    assert 100 == pattern.onset_s <= pattern.detectable_s <= pattern.end_s <= pattern.ignore_until_s
    assert pattern.ignore_until_s - 100 <= reserve_s(config, kind)
    assert pattern.impact_s is None or (pattern.impact_s == pattern.end_s and not pattern.healed)
    assert 15 <= max(pattern.kernel.amplitude_k) <= 50
    traces = [np.abs(pattern.kernel.reading_k(np.array([100.0 - 8]), index)) for index in range(4)]
    assert max(traces)[0] < 0.05 * max(pattern.kernel.amplitude_k)


def test_shares_of_healed_and_one_sided_stickers_are_the_domains():
    rng, config = np.random.default_rng(1), LineConfig()
    drawn = [draw_pattern(config, Scheduled("sticker", 0), 1.2, rng) for _ in range(2000)]
    assert np.mean([pattern.healed for pattern in drawn]) == pytest.approx(0.30, abs=0.04)
    assert np.mean([len(pattern.kernel.touched) == 2 for pattern in drawn]) == pytest.approx(14 / 61, abs=0.04)
    assert np.mean([pattern.friction_kn > 0 for pattern in drawn]) == pytest.approx(0.60, abs=0.04)
    assert np.mean([pattern.vertical_m_min > 1.2 for pattern in drawn]) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {"sticker": {"amplitude_k": (50, 15)}},
        {"speed": {"base_m_min": (0.1, 9.0)}},
        {"sticker": {"per_hour": -1}},
        {"heat": {"nonsense": 1}},
    ],
)
def test_a_figure_outside_its_range_is_refused(changes):
    with pytest.raises(ValidationError):
        LineConfig.model_validate(changes)
