"""An explained window as a picture: its sensors, where the attribution lies, and what the event truly touched."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.features import stem
from trainer.datasets.example_pictures import joined, thinned, words
from trainer.evaluation.traces import Windowed
from trainer.explanation.attribution import Float64Array
from trainer.explanation.explain import Explained
from trainer.explanation.judging import KINDS
from trainer.svg import BLUE, GREEN, GREY, ORANGE, lean, svg_style, svg_text

METHOD_NAMES = {
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
    "attention": "attention",
}

MOST_SENSORS = 10
"""Rows of a picture at most: those touched, then those with the most attribution."""

_MOMENTS: dict[str, tuple[str, Any]] = {
    "onset": (BLUE, (0, (4, 2))),
    "detectable": (ORANGE, (0, (5, 1.5, 1, 1.5))),
}

_BUCKETS = 20
"""Of a sensor's line: it shows the shape, and the file stays small."""


def draw_explained(entry: Explained, rules: Windowed) -> str:
    """One panel a method, one row a sensor: its values as a line over the attribution as colour.

    Red speaks for the event, blue against it. Outlined is what the event truly touched, and when.

    Args:
        entry: an explained window.
        rules: its sensors.

    Returns:
        SVG.
    """
    by_sensor = {name: values for name, values in entry.own.items() if values.shape[1] == len(rules.sensors)}
    shown = shown_sensors(entry, list(by_sensor.values()))
    seconds = (entry.window.event_time_ms - entry.window.event_time_ms[-1]) / 1000
    in_time = entry.own.get("attention")
    with svg_style(axes_titlesize=8.5, axes_linewidth=0.6):
        from matplotlib.figure import Figure

        height = 0.21 * len(shown) + 1.5 + (0.9 if in_time is not None else 0)
        figure = Figure(figsize=(9.4, height), layout="constrained")
        heights = [0.21 * len(shown), 0.7] if in_time is not None else [1]
        panels = figure.subplots(
            len(heights), len(by_sensor), squeeze=False, sharex=True, sharey="row", height_ratios=heights
        )
        for axes, (name, values) in zip(panels[0], by_sensor.items(), strict=True):
            _draw_heat(figure, axes, values[:, shown], seconds)
            _draw_lines(axes, entry, shown, seconds)
            _draw_touched(axes, entry, shown, seconds)
            axes.set_title(_title(entry, name))
            axes.tick_params(labelbottom=True)
        _label_sensors(panels[0][0], entry, shown, rules)
        if in_time is not None:
            _draw_attention(panels[1], entry, seconds)
        for axes in panels.flat:
            _mark_moments(axes, entry, seconds)
        for axes in panels[0]:
            axes.set_xlabel("s before the window's end", fontsize=7.5)
        figure.suptitle(_of_event(entry), fontsize=9)
        _legend(figure, entry)
        return lean(svg_text(figure))


def caption(entry: Explained) -> str:
    """What is to be seen, in a sentence."""
    told = "; ".join(f"{METHOD_NAMES[method]} {share}" for method in entry.own if (share := _shares(entry, method)))
    return f"{_of_event(entry)}. On what it touched: {told}." if told else f"{_of_event(entry)}."


def _of_event(entry: Explained) -> str:
    event = entry.window.event
    return f"{words(event.type)}, target {event.target}, probability {entry.probability:.2f}"


def _title(entry: Explained, method: str) -> str:
    shares = _shares(entry, method)
    return f"{METHOD_NAMES[method]}: {shares}" if shares else METHOD_NAMES[method]


def _shares(entry: Explained, method: str) -> str:
    """The share on what was touched, beside its controls; attention knows of the interval only."""
    if method not in entry.shares:
        return ""
    shares = entry.shares[method][:, KINDS.index("interval" if method == "attention" else "cells")]
    if not np.isfinite(shares[0]):
        return ""
    return f"{shares[0]:.0%} (random {shares[1]:.0%}, shuffled {np.nanmean(shares[3:]):.0%})"


def shown_sensors(entry: Explained, attributions: Sequence[Float64Array]) -> list[int]:
    """Indices of the sensors to show, in the bundle's order."""
    shares = np.mean([np.abs(values).sum(axis=0) / max(np.abs(values).sum(), 1e-12) for values in attributions], axis=0)
    if entry.window.touched is not None:
        shares = shares + entry.window.touched.any(axis=0)
    return sorted(np.argsort(-shares, kind="stable")[:MOST_SENSORS].tolist())


def _draw_heat(figure: Any, axes: Any, values: Float64Array, seconds: Float64Array) -> None:
    strongest = float(np.percentile(np.abs(values), 99.5)) or 1.0
    half = (seconds[-1] - seconds[0]) / max(len(seconds) - 1, 1) / 2
    image = axes.imshow(
        values.T,
        aspect="auto",
        interpolation="nearest",
        cmap="RdBu_r",
        vmin=-strongest,
        vmax=strongest,
        extent=(seconds[0] - half, seconds[-1] + half, values.shape[1] - 0.5, -0.5),
    )
    bar = figure.colorbar(image, ax=axes, pad=0.01, fraction=0.03, aspect=30)
    bar.ax.tick_params(labelsize=6, length=2)
    bar.ax.set_title("logit", fontsize=6)


def _draw_lines(axes: Any, entry: Explained, shown: Sequence[int], seconds: Float64Array) -> None:
    for row, index in enumerate(shown):
        at, values = thinned(*joined(seconds, entry.window.values[:, index]), _BUCKETS)
        told = values[np.isfinite(values)]
        if not len(told):
            continue
        middle, span = (told.max() + told.min()) / 2, (told.max() - told.min()) or 1.0
        axes.plot(at, row - 0.8 * (values - middle) / span, color="black", linewidth=0.6)


def _draw_touched(axes: Any, entry: Explained, shown: Sequence[int], seconds: Float64Array) -> None:
    if entry.window.touched is None:
        return
    from matplotlib.patches import Rectangle

    for row, index in enumerate(shown):
        during = np.flatnonzero(entry.window.touched[:, index])
        if len(during):
            first, last = seconds[during[0]], seconds[during[-1]]
            axes.add_patch(Rectangle((first, row - 0.5), last - first, 1, fill=False, edgecolor=GREEN, linewidth=1.2))


def _label_sensors(axes: Any, entry: Explained, shown: Sequence[int], rules: Windowed) -> None:
    names = [textwrap.shorten(words(stem(rules.sensors[index].name)), 34, placeholder=" …") for index in shown]
    axes.set_yticks(range(len(shown)), names)
    touched = entry.window.touched
    for label, index in zip(axes.get_yticklabels(), shown, strict=True):
        is_touched = touched is not None and bool(touched[:, index].any())
        label.set_color(GREEN if is_touched else "black")
        label.set_fontsize(7)


def _draw_attention(row: Sequence[Any], entry: Explained, seconds: Float64Array) -> None:
    for axes in row[1:]:
        axes.set_visible(False)
    row[0].fill_between(seconds, entry.own["attention"][:, 0], color=GREY, linewidth=0)
    row[0].set_title(_title(entry, "attention"))


def _mark_moments(axes: Any, entry: Explained, seconds: Float64Array) -> None:
    for second, (colour, dashes) in zip(_moments_s(entry), _MOMENTS.values(), strict=True):
        if seconds[0] <= second <= seconds[-1]:
            axes.axvline(second, color=colour, linestyle=dashes, linewidth=1.1)
    axes.tick_params(labelsize=6.5, length=2.5, width=0.6)


def _moments_s(entry: Explained) -> tuple[float, float]:
    """Onset and detectable, in seconds from the window's end."""
    event, end_ms = entry.window.event, int(entry.window.event_time_ms[-1])
    return (event.onset_ms - end_ms) / 1000, (event.detectable_ms - end_ms) / 1000


def _legend(figure: Any, entry: Explained) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=1.1, label=name)
        for name, (colour, dashes) in _MOMENTS.items()
    ]
    if entry.window.touched is not None:
        handles.append(Line2D([], [], color=GREEN, linewidth=1.2, label="touched"))
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False, fontsize=7)
