"""How well windows are told apart, and how far a probability can be believed: ROC, PR and reliability as pictures."""

from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from trainer.evaluation.comparison.calibration import BINS, BoolArray, Float64Array, bin_of, reliability
from trainer.svg import BLUE, GREY, ORANGE, svg_style, svg_text

SIZE = (4.4, 3.1)
"""Inches; letters stay readable where a page is as narrow as a phone."""

_POINTS = 250


def roc_svg(said: Float64Array, truth: BoolArray, threshold: float) -> str:
    """ROC curve, the false share on a logarithmic axis, and where the alert's threshold lies.

    Args:
        said: probabilities [n].
        truth: [n], both classes.
        threshold: that an alert opens at.
    """
    false, true, _ = roc_curve(truth, said)
    smallest = 0.5 / np.count_nonzero(~truth)
    at_false, at_true = np.mean(said[~truth] >= threshold), np.mean(said[truth] >= threshold)
    with svg_style(axes_grid=True, grid_alpha=0.25):
        figure, axes = _axes()
        axes.plot(*_few(np.maximum(false, smallest), true), color=BLUE, linewidth=1.4)
        guess = np.geomspace(smallest, 1, 60)
        axes.plot(guess, guess, color=GREY, linewidth=0.9, linestyle="--", label="guessing")
        axes.plot(max(at_false, smallest), at_true, "o", color=ORANGE, label=f"opens at {threshold:g}")
        axes.set_xscale("log")
        axes.set_xlim(smallest, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("share of the other windows that reach it")
        axes.set_ylabel("share of event windows that reach it")
        axes.legend(frameon=False, fontsize=7.5, loc="lower left", bbox_to_anchor=(0.2, 0.06))
        return svg_text(figure)


def pr_svg(said: Float64Array, truth: BoolArray, threshold: float) -> str:
    """Precision over recall, and where the alert's threshold lies; arguments as for `roc_svg`."""
    precision, recall, _ = precision_recall_curve(truth, said)
    alarmed = said >= threshold
    base = float(truth.mean())
    with svg_style(axes_grid=True, grid_alpha=0.25):
        figure, axes = _axes()
        axes.plot(*_few(recall, precision), color=BLUE, linewidth=1.4)
        axes.axhline(base, color=GREY, linewidth=0.9, linestyle="--", label=f"guessing: {base:.2%}")
        if alarmed.any():
            at = (alarmed & truth).sum() / truth.sum(), (alarmed & truth).sum() / alarmed.sum()
            axes.plot(*at, "o", color=ORANGE, label=f"opens at {threshold:g}")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("share of event windows that reach it")
        axes.set_ylabel("share of those that reach it\nthat are of an event")
        axes.legend(frameon=False, fontsize=7.5, loc="center left")
        return svg_text(figure)


def reliability_svg(said: Float64Array, truth: BoolArray, threshold: float) -> str:
    """How often it happened over what was said, and below how many windows said so.

    Args:
        said: probabilities [n], one at least.
        truth: [n].
        threshold: that an alert opens at.
    """
    rows = reliability(said, truth)
    counts = np.bincount(bin_of(said), minlength=BINS)
    middles = (np.arange(BINS) + 0.5) / BINS
    with svg_style(axes_grid=True, grid_alpha=0.25):
        from matplotlib.figure import Figure

        figure = Figure(figsize=SIZE, layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.6, 1))
        above.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle="--", label="as often as said")
        above.plot(
            [row["mean"] for row in rows], [row["positive_share"] for row in rows], "o-", color=BLUE, markersize=3.5
        )
        below.bar(middles, counts, width=0.9 / BINS, color=BLUE)
        below.set_yscale("log")
        below.set_ylim(bottom=0.5)
        for axes in (above, below):
            axes.axvline(threshold, color=ORANGE, linewidth=0.9)
            axes.spines[["top", "right"]].set_visible(False)
        above.axvline(threshold, color=ORANGE, linewidth=0.9, label=f"opens at {threshold:g}")
        above.set_xlim(0, 1)
        above.set_ylim(-0.02, 1.02)
        above.set_ylabel("share of an event")
        above.legend(frameon=False, fontsize=7.5, loc="upper left")
        below.set_ylabel("windows")
        below.set_xlabel("probability that was said")
        return svg_text(figure)


def _axes() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _few(x: Float64Array, y: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Points of a curve few enough for a page: evenly along its length, so that no bend is lost."""
    if len(x) <= _POINTS:
        return x, y
    along = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], _POINTS)))
    kept = np.unique([0, *kept, len(x) - 1])
    return x[kept], y[kept]
