"""Examples are chosen by rule, and their pictures show what happened: peaks stay, slow sensors stay lines."""

from dataclasses import replace

import numpy as np
import pytest
from support.told_line import SENSORS, told_event, told_sequence, write_told_line

from trainer.datasets.dataset import Dataset
from trainer.datasets.describe import describe
from trainer.datasets.example_pictures import draw_examples, joined, moments, shown_sensors, thinned
from trainer.datasets.examples import Trace, choose, most_changed, trace
from trainer.datasets.pictures import pictures
from trainer.datasets.records import Event
from trainer.datasets.writer import DatasetWriter

SPLIT_OF = {"a": "train", "b": "validation", "c": "test"}


def sticker(name: str, sequence: str, length_s: int, *, impact: bool = True) -> Event:
    event = told_event(name, sequence, "sticker", "sticker", 0, length_s)
    return replace(event, impact_ms=event.end_ms if impact else None)


def film(name: str, sequence: str = "a", kind: str = "film_fracture", length_s: int = 10) -> Event:
    return replace(told_event(name, sequence, kind, None, 0, length_s), look_alike_of="sticker")


def chosen(events: list[Event]) -> list[list[str]]:
    return [[event.event_id for event in found.events] for found in choose(events, SPLIT_OF, ("sticker", "quality"))]


def test_the_event_of_median_length_of_the_first_split_is_shown():
    events = [sticker("long", "a", 90), sticker("short", "a", 20), sticker("middle", "a", 40), sticker("b", "b", 41)]
    assert chosen(events) == [["middle"]]
    assert chosen(events[::-1]) == [["middle"]]
    assert chosen([sticker("c", "c", 40), sticker("b", "b", 99)]) == [["b"]]


def test_an_event_with_an_impact_is_preferred_within_its_split():
    healed = [sticker(f"healed{length}", "a", length, impact=False) for length in (10, 20, 30)]
    assert chosen([*healed, sticker("fatal", "a", 90), sticker("other", "b", 20)]) == [["fatal"]]
    assert chosen([*healed, sticker("other", "b", 20)]) == [["healed20"]]


def test_the_look_alike_matched_to_a_defect_stands_beside_it():
    plain = [sticker(f"s{length}", "a", length) for length in (20, 30, 40)]
    pair = [replace(sticker("mine", "b", 70), pair_id="p"), replace(film("its"), pair_id="p")]
    assert chosen([*plain, *pair, film("f1"), film("f2"), film("f3")]) == [["mine", "its"]]
    # A pair of another defect's is no reason.
    assert chosen([*plain, film("f", length_s=9), film("g"), film("h", length_s=11)]) == [["s30", "g"]]


def test_no_more_than_three_types_stand_beside_a_defect_the_most_frequent_first():
    kinds = ["patch"] * 2 + ["powder"] + ["fracture"] * 3 + ["fault"]
    events = [film(f"{kind}-{number}", kind=kind) for number, kind in enumerate(kinds)]
    (found,) = choose([sticker("s", "a", 20), *events], SPLIT_OF, ("sticker",))
    assert [event.type for event in found.events] == ["sticker", "fracture", "patch", "fault"]
    assert found.left_out == ("powder",)


def test_what_is_matched_stands_next_to_the_defect_however_rare_its_type():
    often = [film(f"{kind}-{number}", kind=kind) for kind in ("patch", "powder", "step") for number in range(2)]
    defect, rare = replace(sticker("s", "a", 20), pair_id="p"), replace(film("r", kind="zone_fault"), pair_id="p")
    (found,) = choose([defect, *often, rare], SPLIT_OF, ("sticker",))
    assert [event.type for event in found.events] == ["sticker", "zone_fault", "patch", "powder"]
    assert found.left_out == ("step",)


def test_a_look_alike_of_nothing_or_of_what_is_not_there_is_shown_alone_and_a_false_record_never():
    events = [
        replace(film("step", kind="speed_step"), look_alike_of=None),
        replace(film("glitch", kind="level_glitch"), look_alike_of="slag_entrapment"),
        told_event("false", "a", "false_record", None, 5, 5),
        sticker("s", "a", 20),
        told_event("crack", "a", "crack", "quality", 0, 9),
    ]
    assert chosen(events) == [["s"], ["crack"], ["glitch"], ["step"]]


def test_sensors_that_were_touched_are_shown_or_else_those_that_changed_most(tmp_path):
    dataset = write_told_line(tmp_path / "d")
    events = {event.event_id: event for event in dataset.events()}
    assert trace(dataset, events["a-crack"], "train").touched == (2,)
    assert trace(dataset, events["c-step"], "test").touched == (0, 1, 2)


def test_what_changed_most_is_measured_by_the_unrest_before():
    rows = 200
    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, 6)).astype(np.float32) * np.float32([1, 100, 1, 1, 1, 1])
    values[100:120, 0] += 20
    values[100:120, 1] += 20  # much in its unit, little beside its own unrest
    values[100:120, 3] += 40
    values[:, 4] = np.where(np.arange(rows) < 150, 7, 17)  # stands still, but for its last digit, until later
    values[105, 4] += 0.01
    values[:, 5] = np.nan
    event = told_event("a-1", "a", "sticker", "sticker", 100, 119)
    data = replace(told_sequence("a", 0, rows, 0), values=values)
    assert most_changed(data, event.onset_ms, event.end_ms, count=2) == (0, 3)
    assert 5 not in most_changed(data, event.onset_ms, event.end_ms, count=5)
    assert 4 not in most_changed(data, event.onset_ms, event.end_ms, count=4)


def test_a_trace_begins_a_minute_before_and_is_counted_from_the_onset(tmp_path):
    with DatasetWriter(
        tmp_path / "d", line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("sticker",)
    ) as writer:
        event = told_event("a-1", "a", "sticker", "sticker", 500, 540)
        late = told_event("a-2", "a", "sticker", "sticker", 990, 999)
        writer.add(told_sequence("a", 0, 1000, 0), [event, late])
    dataset = Dataset.open(tmp_path / "d")
    found = trace(dataset, event, "train")
    assert (found.seconds[0], found.seconds[-1]) == (-60, 100)
    assert found.values[60, 2] == 500
    assert (trace(dataset, late, "train").seconds[0], trace(dataset, late, "train").seconds[-1]) == (-60, 9)


def a_trace(event: Event, touched: tuple[int, ...], rows: int = 120) -> Trace:
    values = told_sequence("a", 0, rows, 100).values
    return Trace(event, "train", np.arange(rows) - 60.0, values, touched)


@pytest.mark.parametrize(
    ("changes", "marked"),
    [
        ({}, {"onset": 0, "end": 30}),
        ({"detectable_ms": 4_000}, {"onset": 0, "detectable": 4, "end": 30}),
        ({"detectable_ms": 4_000, "impact_ms": 30_000}, {"onset": 0, "detectable": 4, "impact": 30}),
        ({"detectable_ms": 4_000, "impact_ms": 25_000}, {"onset": 0, "detectable": 4, "impact": 25, "end": 30}),
        ({"detectable_ms": 4_000, "target": None}, {"onset": 0, "end": 30}),
    ],
)
def test_moments_that_are_marked(changes, marked):
    event = replace(told_event("a-1", "a", "sticker", "sticker", 0, 30), **changes)
    assert moments(event) == marked


def test_rows_are_the_sensors_of_the_defect_then_of_its_look_alikes():
    defect, look_alike = sticker("s", "a", 30), film("f")
    assert shown_sensors([a_trace(defect, (2,)), a_trace(look_alike, (0, 2))]) == [2, 0]
    assert len(shown_sensors([a_trace(defect, tuple(range(9)))])) == 6


def test_a_picture_is_the_same_twice_and_another_for_other_values():
    traces = [a_trace(sticker("s", "a", 30), (0, 2)), a_trace(film("f"), (2,))]
    first = draw_examples(traces, SENSORS)
    assert first == draw_examples(traces, SENSORS)
    assert first.startswith("<?xml")
    assert "<dc:date>" not in first
    traces[1].values[70, 2] += 30
    assert first != draw_examples(traces, SENSORS)


def test_a_picture_is_drawn_of_a_sensor_that_shows_nothing():
    one = a_trace(sticker("s", "a", 30), (0, 1))
    one.values[:, 1] = np.nan
    assert draw_examples([one], SENSORS).startswith("<?xml")


def test_a_sensor_slower_than_the_scans_stays_a_line_and_a_long_silence_breaks_it():
    seconds = np.arange(100) * 0.5
    values = np.where(np.arange(100) % 2 == 0, 1, np.nan).astype(np.float32)
    at, shown = joined(seconds, values)
    assert not np.isnan(shown).any()
    assert at.tolist() == seconds[::2].tolist()
    values[10:14] = np.nan  # two in a row
    assert not np.isnan(joined(seconds, values)[1]).any()
    values[40:60] = np.nan
    at, shown = joined(seconds, values)
    assert np.flatnonzero(np.isnan(shown)).tolist() == [18]
    assert (at[17], at[19]) == (19, 30)


def test_a_long_line_keeps_every_peak_and_break():
    values = np.zeros(20_000, dtype=np.float32)
    values[[1_234, 15_000]] = [9, -9]
    values[7_000:7_003] = np.nan
    seconds, shown = thinned(np.arange(20_000) * 1.0, values, buckets=50)
    assert len(shown) <= 103
    assert {1_234.0: 9.0, 15_000.0: -9.0}.items() <= dict(zip(seconds.tolist(), shown.tolist(), strict=True)).items()
    assert np.isnan(shown).sum() == 3
    assert bool(np.all(np.diff(seconds) > 0))


def test_a_short_line_is_left_as_it_is():
    seconds, values = np.arange(200.0), np.sin(np.arange(200)).astype(np.float32)
    assert thinned(seconds, values, buckets=50)[1] is values


def test_captions_tell_which_events_are_shown_and_names_of_files_are_plain(tmp_path):
    names = ["Riss/längs", "riss längs"]
    with DatasetWriter(tmp_path / "d", line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("x",)) as writer:
        events = [told_event(f"a-{number}", "a", name, "x", 10, 20) for number, name in enumerate(names)]
        writer.add(told_sequence("a", 0, 100, 0), [replace(events[0], difficulty="order"), events[1]])
    dataset = Dataset.open(tmp_path / "d")
    made = [picture for picture in pictures(dataset, describe(dataset)) if picture.section == "Examples"]
    assert len({picture.file for picture in made}) == 2
    assert all(picture.file.isascii() and "/" not in picture.file for picture in made)
    assert "event a-0 of the train split, 10 s long, difficulty order." in made[0].caption
    assert "those are shown that changed most" in made[0].caption
