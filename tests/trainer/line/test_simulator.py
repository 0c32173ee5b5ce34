"""Seeds, sequences, schedules, and the truth that comes with them."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.happenings import drawn

from trainer.datasets.fingerprint import sequence_digest
from trainer.line.config import LineConfig
from trainer.line.happenings import TARGETS
from trainer.line.schedule import FAST, SCHEDULED, SLOW, TWINS, Scheduled, margin_s, plan, reserve_s
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


def test_each_kind_of_happening_can_be_switched_off():
    off = dict.fromkeys(LineConfig().happenings(), 0.0)
    for kind in off:
        config = LineConfig().with_rates({**off, kind: 4.0})
        made = [event for one in simulate(config, strands=1, hours=2, seed=1) for event in one.events]
        seen = {event.type for event in made} - {"ladle_change", "false_record"}
        expected = {kind} | ({"longitudinal_crack"} if kind == "depression" else set())
        expected |= {TWINS[kind]} if any(event.difficulty == "order" and kind in TWINS for event in made) else set()
        assert seen == expected, (kind, seen)
    (quiet,) = simulate(LineConfig().with_rates(off), strands=1, hours=2, seed=1)
    assert {event.type for event in quiet.events} <= {"ladle_change", "false_record"}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.floats(0, 10), duration_s=st.floats(400, 8000))
def test_what_is_planned_never_overlaps_in_its_lane_and_keeps_clear_of_the_ends(seed, rate, duration_s):
    config = LineConfig().with_rates({"sticker": rate, "film_fracture": rate, "bulging": rate})
    planned = plan(config, duration_s, "ULC", np.random.default_rng(seed))
    margin = margin_s(config, duration_s)
    for lane in (FAST, SLOW):
        free_from = margin
        for event in (one for one in planned if one.type in lane):
            assert event.onset_s >= free_from - 1e-6
            free_from = event.onset_s + reserve_s(config, event.type) + config.spacing_s
            assert free_from <= duration_s - margin + config.spacing_s + 1e-6


def test_rates_are_kept_on_average_and_peritectic_steel_has_more_depressions():
    rng, hours = np.random.default_rng(0), 2 * 300
    plans = {grade: [one for _ in range(300) for one in plan(LineConfig(), 7200, grade, rng)]
             for grade in ("ULC", "peritectic")}  # fmt: skip
    kinds = [event.type for event in plans["ULC"]]
    for kind in ("sticker", "speed_step", "tc_fault", "bulging"):
        rate = LineConfig().happenings()[kind].per_hour
        assert kinds.count(kind) / hours == pytest.approx(rate, rel=0.25), kind
    peritectic = sum(event.type == "depression" for event in plans["peritectic"])
    assert 3 <= peritectic / kinds.count("depression") <= 5


def test_about_a_third_of_the_defects_of_each_target_has_each_difficulty():
    found = Counter()
    for made in simulate(LineConfig(), strands=8, hours=16, seed=12):
        found.update((event.target, event.difficulty) for event in made.events if event.target)
    for target in TARGETS:
        total = sum(count for (of, _), count in found.items() if of == target)
        assert total > 60
        for difficulty in ("summary", "partial", "order"):
            assert 0.25 <= found[target, difficulty] / total <= 0.42, (target, difficulty, found)


def test_a_natural_line_has_a_sticker_in_100_to_300_hours():
    natural = LineConfig().at_natural_rates()
    assert 1 / 300 <= natural.sticker.per_hour <= 1 / 100
    assert all(value.per_hour == value.natural_per_hour for value in natural.happenings().values())


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32), speed=st.floats(0.8, 1.6), kind=st.sampled_from(sorted(SCHEDULED)))
def test_a_happening_keeps_the_order_of_its_truth_and_the_time_reserved_for_it(seed, speed, kind):
    config = LineConfig()
    made = drawn(config, Scheduled(kind, 500.0), speed, np.random.default_rng(seed))
    assert 500 == made.onset_s <= made.detectable_s <= made.end_s <= made.ignore_until_s
    assert made.ignore_until_s - 500 <= reserve_s(config, kind)
    assert made.impact_s is None or (made.impact_s == made.end_s and not made.healed)
    assert (made.target is None) == (made.difficulty is None) == (made.impact_s is None and not made.healed)
    assert (made.look_alike_of is None) == (made.target is not None)
    assert made.sensors
    before_s = np.array([500.0 - 8])
    for kernel in made.kernels:
        traces = [abs(kernel.reading_k(before_s, index)[0]) for index in range(4)]
        assert max(traces) < 0.05 * max(map(abs, kernel.amplitude_k))
    for profile in made.profiles:
        assert abs(profile.over(before_s)[0]) < 1e-9


def test_shares_of_healed_and_one_sided_stickers_are_the_domains():
    rng, config = np.random.default_rng(1), LineConfig()
    made = [drawn(config, Scheduled("sticker", 0), 1.2, rng) for _ in range(2000)]
    assert np.mean([one.healed for one in made]) == pytest.approx(0.30, abs=0.04)
    assert np.mean([len(one.kernels[0].touched) == 2 for one in made]) == pytest.approx(14 / 61, abs=0.04)
    assert np.mean(["mould_friction_kn" in one.sensors for one in made]) == pytest.approx(0.60, abs=0.04)
    assert all(15 <= max(one.kernels[0].amplitude_k) <= 50 for one in made)


@pytest.mark.parametrize(
    "changes",
    [
        {"sticker": {"width_s": (8, 4)}},
        {"speed": {"base_m_min": (0.1, 9.0)}},
        {"sticker": {"per_hour": -1}},
        {"heat": {"nonsense": 1}},
    ],
)
def test_a_figure_outside_its_range_is_refused(changes):
    with pytest.raises(ValidationError):
        LineConfig.model_validate(changes)
