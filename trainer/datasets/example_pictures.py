"""Pictures of examples: a defect and its look-alikes side by side, one row a sensor."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.features import Sensor, stem
from trainer.datasets.examples import Trace
from trainer.datasets.records import Event
from trainer.svg import BLUE, GREEN, GREY, ORANGE, RED, svg_style, svg_text

ROWS = 6
"""So many sensors are shown at most."""

MARKS: dict[str, tuple[str, Any]] = {
    "onset": (GREY, (0, (4, 2))),
    "detectable": (ORANGE, (0, (5, 1.5, 1, 1.5))),
    "end": (GREEN, (0, (1, 1.2))),
    "impact": (RED, "solid"),
}
"""Colour and dashes of each moment: told apart in black and white as well."""

_BUCKETS = 400


def shown_sensors(traces: Sequence[Trace]) -> list[int]:
    """The sensors to show: those the first event touched, then those of the others, as far as there is room."""
    return list(dict.fromkeys(index for trace in traces for index in trace.touched))[:ROWS]


def words(name: str) -> str:
    """A type's or sensor's name as words."""
    return name.replace("_", " ")


def draw_examples(traces: Sequence[Trace], sensors: Sequence[Sensor]) -> str:
    """A column an event, a row a sensor; the panels of a row have one scale, each around its own level.

    Args:
        traces: the defect first.
        sensors: of the dataset.

    Returns:
        SVG.
    """
    rows = shown_sensors(traces)
    with svg_style(axes_titlesize=8.5, axes_linewidth=0.6):
        from matplotlib.figure import Figure

        width = {1: 5.4, 2: 7.6, 3: 8.8}.get(len(traces), 9.6)
        figure = Figure(figsize=(width, 0.9 + 1.05 * len(rows)), layout="constrained")
        panels = figure.subplots(len(rows), len(traces), squeeze=False, sharex="col")
        for column, trace in zip(panels.T, traces, strict=True):
            _draw_column(column, trace, rows)
        for row, index in zip(panels, rows, strict=True):
            _same_scale(row, [trace.values[:, index] for trace in traces])
            sensor = sensors[index]
            label = textwrap.fill(f"{words(stem(sensor.name))}, {sensor.unit}", 16, max_lines=3, placeholder=" …")
            row[0].set_ylabel(label, fontsize=7.5)
        figure.align_ylabels(panels[:, 0])
        _legend(figure, traces)
        return svg_text(figure)


def _draw_column(column: Any, trace: Trace, rows: Sequence[int]) -> None:
    event = trace.event
    in_minutes = len(trace.seconds) > 0 and trace.seconds[-1] - trace.seconds[0] > 600
    scale = 60.0 if in_minutes else 1.0
    for axes, index in zip(column, rows, strict=True):
        touched = index in trace.touched
        seconds, values = thinned(*joined(trace.seconds, trace.values[:, index]))
        axes.plot(seconds / scale, values, color=BLUE if touched else GREY, linewidth=0.9)
        for name, second in moments(event).items():
            colour, dashes = MARKS[name]
            axes.axvline(second / scale, color=colour, linestyle=dashes, linewidth=1.2, zorder=1.5)
        axes.tick_params(labelsize=7, length=2.5, width=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    kind = f"defect, target {event.target}" if event.target is not None else "look-alike"
    column[0].set_title("\n".join((*textwrap.wrap(words(event.type), 26), kind)))
    column[-1].set_xlabel(f"{'min' if in_minutes else 's'} after the onset", fontsize=7.5)


def moments(event: Event) -> dict[str, float]:
    """What is marked, in seconds from the onset; of moments that fall together only the one that says more."""
    found = {"onset": 0.0}
    if event.target is not None and event.detectable_ms > event.onset_ms:
        found["detectable"] = (event.detectable_ms - event.onset_ms) / 1000
    if event.end_ms != event.impact_ms:
        found["end"] = (event.end_ms - event.onset_ms) / 1000
    if event.impact_ms is not None:
        found["impact"] = (event.impact_ms - event.onset_ms) / 1000
    return found


def _same_scale(row: Any, columns: Sequence[npt.NDArray[np.float32]]) -> None:
    spans = []
    for values in columns:
        finite = values[np.isfinite(values)]
        spans.append((float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0))
    half = 0.55 * max(high - low for low, high in spans) or 1.0
    for axes, (low, high) in zip(row, spans, strict=True):
        middle = (low + high) / 2
        axes.set_ylim(middle - half, middle + half)
        axes.locator_params(axis="y", nbins=4)


def _legend(figure: Any, traces: Sequence[Trace]) -> None:
    from matplotlib.lines import Line2D

    known = [bool(trace.event.sensors) for trace in traces]
    touched = "touched" if all(known) else "touched, or changed most" if any(known) else "changed most"
    lines = [Line2D([], [], color=BLUE, label=touched)]
    if any(set(shown_sensors(traces)) - set(trace.touched) for trace in traces):
        lines.append(Line2D([], [], color=GREY, label="not touched" if all(known) else "others"))
    drawn = {name for trace in traces for name in moments(trace.event)}
    for name, (colour, dashes) in MARKS.items():
        if name in drawn:
            lines.append(Line2D([], [], color=colour, linestyle=dashes, linewidth=1.2, label=name))
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, fontsize=7.5)


def joined(
    seconds: npt.NDArray[np.float64], values: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """The values there are, with a break only where several are missing: a slower sensor stays one line.

    Args:
        seconds: float64 [n].
        values: float32 [n], NaN where missing.

    Returns:
        Both without what is missing, NaN at each break.
    """
    found = np.isfinite(values)
    seconds, values = seconds[found], values[found]
    if len(seconds) < 2:
        return seconds, values
    steps = np.diff(seconds)
    breaks = np.flatnonzero(steps > 5 * np.median(steps)) + 1
    return np.insert(seconds, breaks, seconds[breaks]), np.insert(values, breaks, np.float32(np.nan))


def thinned(
    seconds: npt.NDArray[np.float64], values: npt.NDArray[np.float32], buckets: int = _BUCKETS
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """A long line by the lowest and highest point of each bucket, so that no peak is lost; breaks stay.

    Args:
        seconds: float64 [n].
        values: float32 [n], NaN where the line breaks.
        buckets: how many; a line of up to four points a bucket is left as it is.
    """
    if len(values) <= 4 * buckets:
        return seconds, values
    kept = list(np.flatnonzero(np.isnan(values)))
    for part in np.array_split(np.flatnonzero(~np.isnan(values)), buckets):
        kept += [part[values[part].argmin()], part[values[part].argmax()]]
    order = np.unique(kept)
    return seconds[order], values[order]
