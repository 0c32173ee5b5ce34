"""Temporal patterns as SVG pictures: the same patterns give the same bytes."""

from collections.abc import Sequence
from typing import Any

from trainer.evaluation.aligned import AlignedCurve, Anchor
from trainer.evaluation.known_rows import Earlier, History
from trainer.evaluation.temporal import TemporalPatterns
from trainer.svg import BLUE, GREEN, GREY, ORANGE, RED, SKY, svg_style, svg_text

_COLOURS = (BLUE, ORANGE, GREEN, RED, SKY, GREY)
_WIDE = 3
"""Panels beside each other."""

_EARLIER: dict[Earlier, str] = {
    "absent": "the window is shorter",
    "missing": "earlier rows missing",
    "held": "earlier rows hold the first known one",
}


def aligned_svg(patterns: TemporalPatterns, target: str, anchor: Anchor = "onset") -> str:
    """One panel a type of event: median and quartiles of a target's probability; a colour a scorer.

    Types of the target come first, then those that must not raise it.

    Raises:
        ValueError: there is no such curve.
    """
    curves = [curve for curve in patterns.aligned if (curve.target, curve.anchor) == (target, anchor)]
    kinds = sorted({(not curve.own, curve.event_type) for curve in curves})
    if not kinds:
        raise ValueError(f"expected curves of {target} around the {anchor}, got none")
    scorers = _named(curves)
    with svg_style(axes_titlesize=8, axes_grid=True, grid_alpha=0.25):
        figure, panels = _panels(len(kinds))
        for axes, (other, kind) in zip(panels, kinds, strict=False):
            mine = [curve for curve in curves if curve.event_type == kind]
            for curve in mine:
                _draw_curve(axes, curve, scorers[curve.scorer])
            axes.axvline(0, color=GREY, linewidth=0.8)
            axes.set_ylim(0, 1)
            count = max(one.events for one in mine)
            axes.set_title(f"{kind}, {count} events" + ("\nmust not raise it" if other else ""))
            axes.set_xlabel(f"s from the {anchor}")
        panels[0].set_ylabel(f"probability of {target}")
        panels[0].legend(frameon=False, fontsize=7)
        return svg_text(figure)


def history_svg(patterns: TemporalPatterns, target: str) -> str:
    """One panel for what the earlier rows were: ROC-AUC by the rows known; a colour a scorer.

    Raises:
        ValueError: there is no history with a ROC-AUC.
    """
    entries = [entry for entry in patterns.history if entry.target == target and entry.roc_auc[-1] is not None]
    kinds = sorted({entry.earlier for entry in entries})
    if not kinds:
        raise ValueError(f"expected a ROC-AUC of {target}, got none")
    scorers = _named(entries)
    with svg_style(axes_titlesize=8, axes_grid=True, grid_alpha=0.25):
        figure, panels = _panels(len(kinds))
        for axes, earlier in zip(panels, kinds, strict=False):
            for entry in entries:
                if entry.earlier == earlier:
                    axes.plot(entry.rows, entry.roc_auc, ".-", color=scorers[entry.scorer], label=entry.scorer)
            axes.set_xscale("log")
            axes.set_title(_EARLIER[earlier])
            axes.set_xlabel("last rows known")
        panels[0].set_ylabel(f"ROC-AUC of {target}")
        panels[0].legend(frameon=False, fontsize=7)
        return svg_text(figure)


def _named(found: Sequence[AlignedCurve] | Sequence[History]) -> dict[str, str]:
    names = dict.fromkeys(one.scorer for one in found)
    return {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(names)}


def _panels(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    rows = -(-count // _WIDE)
    figure = Figure(figsize=(2.6 * min(count, _WIDE) + 0.4, 2.2 * rows), layout="constrained")
    panels = figure.subplots(rows, min(count, _WIDE), squeeze=False).ravel().tolist()
    for unused in panels[count:]:
        unused.set_axis_off()
    return figure, panels


def _draw_curve(axes: Any, curve: AlignedCurve, colour: str) -> None:
    told = [place for place, count in enumerate(curve.counts) if count]
    times = [curve.times_s[place] for place in told]
    low, median, high = ([side[place] for place in told] for side in (curve.low, curve.median, curve.high))
    axes.fill_between(times, low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(times, median, color=colour, linewidth=1.2, label=curve.scorer)
