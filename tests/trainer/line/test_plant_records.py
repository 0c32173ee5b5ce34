"""What a plant would have written down: late, partly missing, partly wrong; a breakout exact and at once."""

from collections import Counter

import pytest

from trainer.datasets.records import FALSE_RECORD
from trainer.line.config import LineConfig
from trainer.line.simulator import simulate


@pytest.fixture(scope="module")
def events():
    return [event for made in simulate(LineConfig(), strands=8, hours=16, seed=21) for event in made.events]


def test_breakouts_are_recorded_exactly_and_at_once_and_healed_stickers_never(events):
    stickers = [event for event in events if event.type == "sticker"]
    assert {event.healed for event in stickers} == {True, False}
    for event in stickers:
        if event.healed:
            assert (event.recorded_type, event.recorded_at_ms) == (None, None)
        else:
            assert (event.recorded_type, event.recorded_at_ms) == ("breakout", event.impact_ms)
            assert event.recorded_position_m == event.position_m


def test_quality_defects_are_recorded_late_with_an_error_and_some_not_at_all(events):
    quality = [event for event in events if event.target == "quality" and event.type != "clogging_release"]
    recorded = [event for event in quality if event.recorded_type is not None]
    assert 0.7 <= len(recorded) / len(quality) <= 0.9
    for event in recorded:
        assert event.recorded_type == event.type
        assert 2 <= (event.recorded_at_ms - event.end_ms) / 3_600_000 <= 48
    off_m = [abs(event.recorded_position_m - event.position_m) for event in recorded]
    assert 0.3 < sum(off_m) / len(off_m) < 0.9


def test_slag_is_found_after_some_releases(events):
    releases = [event for event in events if event.type == "clogging_release"]
    found = Counter(event.recorded_type for event in releases)
    assert set(found) == {None, "slag"}


def test_one_to_three_pieces_in_a_hundred_carry_a_record_of_nothing(events):
    false = [event for event in events if event.type == FALSE_RECORD]
    pieces = 8 * 16 * 60 * 1.15 / LineConfig().geometry.piece_m
    harmed = {(e.sequence_id, e.position_m // 10) for e in events if e.target is not None}
    assert 0.01 <= len(false) / (pieces - len(harmed)) <= 0.03
    for event in false:
        assert (event.target, event.look_alike_of, event.sensors) == (None, None, ())
        assert event.recorded_type is not None
        assert (event.sequence_id, event.position_m // 10) not in harmed


def test_look_alikes_are_never_recorded(events):
    assert all(event.recorded_type is None for event in events if event.look_alike_of is not None)
