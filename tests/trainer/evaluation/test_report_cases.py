"""Which stretches the report shows, on probabilities made by hand, and how a picture is put into a page."""

from dataclasses import replace

import numpy as np
import pytest
from support import bundles
from support.told_line import told_event

from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event
from trainer.evaluation.evaluate import Confusion, Evaluation, TargetScores
from trainer.evaluation.events import Trace, judge
from trainer.evaluation.html_report.case_pictures import BEFORE_MS, LONGEST_MS, stretch, telling_sensors
from trainer.evaluation.html_report.cases import SHOWN, Case, caught_cases, false_cases, missed_cases
from trainer.evaluation.html_report.parts import inline


def event(
    name: str, kind: str, onset_s: int, end_s: int, *, healed: bool = False, target: str | None = "sticker"
) -> Event:
    found = told_event(name, "q", kind, target, onset_s, end_s)
    return replace(found, impact_ms=None if healed or target is None else end_s * 1000, healed=healed)


def evaluated(line: Dataset, raised: list[tuple[int, int, float]], events: list[Event]) -> Evaluation:
    """A prediction a second over 3000 s, 0.01 but for the raised stretches (from, to, value)."""
    said = np.full((3000, 1), 0.01, np.float32)
    for first, last, value in raised:
        said[first:last] = value
    times = np.arange(3000, dtype=np.int64) * 1000
    trace = Trace("q", times, said, np.zeros(3000, np.int64), grid_ms=1000, window_ms=60_000)
    manifest = bundles.manifest()
    scores = judge([trace], {"q": events}, "sticker", 0, manifest.alert["sticker"])
    told = TargetScores(None, None, None, 0, 0, Confusion(0, 0, 0, 0), scores)
    return Evaluation(manifest, line, "test", 1, "CPU", {"sticker": told}, [trace], {"q": events})


def named(cases: list[Case]) -> list[str]:
    return ["none" if case.event is None else case.event.event_id for case in cases]


def test_of_those_caught_the_median_lead_of_each_type_then_the_extremes(small_line: Dataset) -> None:
    events = [event(f"e{number}", "sticker", 100 * number, 100 * number + 80) for number in range(1, 6)]
    events.append(event("patch", "patch", 700, 780))
    raised = [(100 * number + 10 * number, 100 * number + 75, 0.9) for number in range(1, 6)] + [(710, 775, 0.9)]
    cases = caught_cases(evaluated(small_line, raised, events), "sticker")
    assert named(cases) == ["e3", "patch", "e5", "e1"]
    assert len(cases) == SHOWN
    assert cases[0].lead_s == 80 - 30 - 1  # the on-delay
    assert cases[0].alert is not None
    assert cases[0].peak == pytest.approx(0.9)


def test_misses_with_an_impact_and_the_lowest_probability_come_first(small_line: Dataset) -> None:
    events = [
        event("high", "sticker", 100, 150),
        event("healed", "sticker", 200, 250, healed=True),
        event("low", "sticker", 300, 350),
        event("other", "patch", 400, 450),
    ]
    raised = [(110, 140, 0.6), (310, 340, 0.3), (410, 440, 0.5)]
    cases = missed_cases(evaluated(small_line, raised, events), "sticker")
    assert named(cases) == ["low", "other", "high", "healed"]
    assert [round(case.peak, 2) for case in cases] == [0.3, 0.5, 0.6, 0.01]


def test_false_alarms_that_stay_open_longest_come_first_of_each_cause(small_line: Dataset) -> None:
    events = [event("film", "film", 100, 120, target=None), event("film2", "film", 500, 520, target=None)]
    raised = [(105, 115, 0.9), (505, 535, 0.9), (1000, 1010, 0.9), (2960, 3000, 0.95)]
    cases = false_cases(evaluated(small_line, raised, events), "sticker")
    assert named(cases) == ["film2", "none", "film", "none"]
    assert [case.open_s for case in cases] == [31.0, 38.0, 11.0, 11.0]
    assert cases[1].peak == pytest.approx(0.95)
    assert cases[1].anchor_ms == 2961 * 1000
    assert caught_cases(evaluated(small_line, raised, events), "sticker") == []


def test_what_is_shown_holds_event_and_alert_and_never_hours(small_line: Dataset) -> None:
    policy = bundles.POLICY
    evaluation = evaluated(small_line, [(110, 2900, 0.9)], [event("e", "sticker", 100, 150)])
    (case,) = caught_cases(evaluation, "sticker")
    assert stretch(case, policy) == (100_000 - BEFORE_MS, 100_000 - BEFORE_MS + LONGEST_MS)


def test_touched_sensors_are_the_telling_ones_where_they_are_known(small_line: Dataset) -> None:
    info = small_line.sequences("test")[0]
    data = small_line.load(info.sequence_id)
    names = [sensor.name for sensor in small_line.info.sensors]
    sticker = next(one for one in small_line.events(info.sequence_id) if one.type == "sticker")
    trace = Trace(info.sequence_id, data.event_time_ms, data.values[:, :1], np.zeros(data.rows, np.int64), 500, 12_000)
    known = Case("missed", "sticker", 0, trace, (), sticker, None, 0.0)
    assert {names[index] for index in telling_sensors(known, data, names)} <= set(sticker.sensors)
    unknown = replace(known, event=replace(sticker, sensors=()))
    assert len(telling_sensors(unknown, data, names)) == len(telling_sensors(known, data, names)) == 3


def test_a_picture_in_a_page_keeps_its_references_and_nothing_else() -> None:
    svg = (
        '<?xml version="1.0"?>\n<!DOCTYPE svg>\n<svg xmlns="http://www.w3.org/2000/svg" version="1.1">\n'
        "<metadata>who</metadata>\n<!-- why -->\n"
        '<g id="figure_1"><path id="m" d="M 1.23456 2\nL 3 4.5678\n" clip-path="url(#p)"/>'
        '<use xlink:href="#m" x="1.23456"/></g><clipPath id="p"/></svg>\n'
    )
    assert inline(svg, "f7") == (
        '<svg>\n<g><path id="f7-m" d="M 1.23 2L3 4.56" clip-path="url(#f7-p)"/><use href="#f7-m" x="1.23"/>'
        '</g><clipPath id="f7-p"/></svg>\n'
    )
