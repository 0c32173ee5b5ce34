"""A case as a picture: the probability with its alerts over what the most telling sensors showed."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.alerting import AlertPolicy
from models.features import Sensor, stem
from trainer.datasets.example_pictures import MARKS, joined, moments, thinned, words
from trainer.datasets.examples import most_changed
from trainer.datasets.records import SequenceData
from trainer.evaluation.html_report.cases import Case
from trainer.svg import BLUE, ORANGE, SKY, svg_style, svg_text

SENSORS = 3
"""So many are shown."""

BEFORE_MS, AFTER_MS = 90_000, 60_000
LONGEST_MS = 1_500_000
"""An alert may stay open for hours; what raised it stands at its beginning."""

_BUCKETS = 80


def draw_case(case: Case, data: SequenceData, sensors: Sequence[Sensor], policy: AlertPolicy) -> str:
    """Draw a case; time is in seconds from the onset, or from the alert where nothing happened.

    Args:
        case: what to show.
        data: its sequence.
        sensors: of the dataset.
        policy: of the target.

    Returns:
        SVG.
    """
    first_ms, last_ms = stretch(case, policy)
    zero_ms = case.anchor_ms
    rows = telling_sensors(case, data, [sensor.name for sensor in sensors])
    with svg_style(axes_linewidth=0.6):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.9, 1.7 + 0.85 * len(rows)), layout="constrained")
        above, *below = figure.subplots(1 + len(rows), 1, sharex=True, height_ratios=[1.5, *[1] * len(rows)])
        _draw_probability(above, case, policy, (first_ms, last_ms, zero_ms))
        shown = (data.event_time_ms >= first_ms) & (data.event_time_ms <= last_ms)
        seconds = (data.event_time_ms[shown] - zero_ms) / 1000
        for axes, index in zip(below, rows, strict=True):
            _draw_sensor(axes, seconds, data.values[shown, index], sensors[index])
        for axes in (above, *below):
            _mark(axes, case, zero_ms)
            axes.tick_params(labelsize=7, length=2.5, width=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        above.set_xlim((first_ms - zero_ms) / 1000, (last_ms - zero_ms) / 1000)
        since = "the onset" if case.event is not None else "the alert"
        (below[-1] if below else above).set_xlabel(f"s from {since}", fontsize=7.5)
        _legend(figure, case)
        return svg_text(figure)


def stretch(case: Case, policy: AlertPolicy) -> tuple[int, int]:
    """First and last time that is shown, milliseconds."""
    times = [] if case.event is None else [case.event.onset_ms, case.event.end_ms]
    if case.alert is not None:
        closed = case.alert.closed_at_ms or int(case.trace.event_time_ms[-1])
        # Until the probability fell; the alert stays open for the off-delay after it.
        times += [case.alert.opened_at_ms, max(case.alert.opened_at_ms, closed - policy.off_delay_ms)]
    first = min(times) - BEFORE_MS
    return first, min(max(times) + AFTER_MS, first + LONGEST_MS)


def telling_sensors(case: Case, data: SequenceData, names: Sequence[str]) -> tuple[int, ...]:
    """Of the sensors that the event touched, or of all where that is unknown, those that changed most."""
    if case.event is None:
        return most_changed(data, case.anchor_ms - case.trace.window_ms // 2, case.anchor_ms, SENSORS)
    touched = [index for index, name in enumerate(names) if name in case.event.sensors]
    return most_changed(data, case.event.onset_ms, case.event.end_ms, SENSORS, touched)


def _draw_probability(axes: Any, case: Case, policy: AlertPolicy, times_ms: tuple[int, int, int]) -> None:
    first_ms, last_ms, zero_ms = times_ms
    trace = case.trace
    shown = (trace.event_time_ms >= first_ms) & (trace.event_time_ms <= last_ms)
    seconds, said = (trace.event_time_ms[shown] - zero_ms) / 1000, trace.probabilities[shown, case.index]
    axes.plot(*thinned(*joined(seconds, said), _BUCKETS), color="black", linewidth=1.1)
    axes.axhline(policy.open, color=ORANGE, linewidth=0.9)
    axes.axhline(policy.close, color=ORANGE, linewidth=0.9, linestyle=(0, (1, 1.2)))
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.5, 1])
    _name(axes, f"probability of {words(case.target)}")


def _draw_sensor(axes: Any, seconds: npt.NDArray[np.float64], values: npt.NDArray[np.float32], sensor: Sensor) -> None:
    axes.plot(*thinned(*joined(seconds, values), _BUCKETS), color=BLUE, linewidth=0.9)
    _name(axes, f"{words(stem(sensor.name))}, {sensor.unit}")
    axes.locator_params(axis="y", nbins=3)


def _name(axes: Any, text: str) -> None:
    """Above its panel: beside it a long name would not be read."""
    axes.set_title(textwrap.shorten(text, 60, placeholder=" …"), loc="left", fontsize=7.5, pad=2.5)


def _mark(axes: Any, case: Case, zero_ms: int) -> None:
    for span in case.spans:
        closed = span.closed_at_ms or int(case.trace.event_time_ms[-1])
        axes.axvspan(
            (span.opened_at_ms - zero_ms) / 1000, (closed - zero_ms) / 1000, color=SKY, alpha=0.25, linewidth=0
        )
    for name, second in ({} if case.event is None else moments(case.event)).items():
        colour, dashes = MARKS[name]
        axes.axvline(second, color=colour, linestyle=dashes, linewidth=1.2, zorder=1.5)


def _legend(figure: Any, case: Case) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(color=SKY, alpha=0.25, linewidth=0, label="alert open")]
    handles.append(Line2D([], [], color=ORANGE, linewidth=0.9, label="opens at"))
    handles.append(Line2D([], [], color=ORANGE, linewidth=0.9, linestyle=(0, (1, 1.2)), label="closes at"))
    for name in {} if case.event is None else moments(case.event):
        colour, dashes = MARKS[name]
        handles.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=1.2, label=name))
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=7, columnspacing=1.2)
