"""What the operator meets, as pictures: how early events are announced, and what raises alerts for nothing."""

from collections.abc import Mapping

import numpy as np

from trainer.datasets.example_pictures import words
from trainer.evaluation.events import NO_CAUSE, EventScores
from trainer.evaluation.html_report.window_pictures import SIZE
from trainer.svg import BLUE, GREY, ORANGE, RED, svg_style, svg_text

_BINS = 24


def leads_svg(scores: EventScores, wanted_s: float) -> str:
    """How many events were announced how long before their impact.

    Args:
        scores: with one lead at least.
        wanted_s: the lead that was asked for, seconds; 0 for none.
    """
    leads = np.array(scores.leads_s)
    with svg_style():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        longest = 1.02 * max(float(leads.max()), wanted_s, 1.0)
        axes.hist(leads, bins=np.linspace(0, longest, _BINS + 1).tolist(), color=BLUE)
        median = float(np.median(leads))
        axes.axvline(median, color="black", linewidth=1, linestyle="--", label=f"median {median:.1f} s")
        if wanted_s:
            axes.axvline(wanted_s, color=ORANGE, linewidth=1.2, label=f"{wanted_s:g} s asked for")
        axes.set_xlim(left=0)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.set_xlabel("s from the alert to the impact")
        axes.set_ylabel("events")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=7.5)
        return svg_text(figure)


def false_svg(scores: EventScores) -> str:
    """False alerts by what they are charged to, beside how often that happened."""
    happened: Mapping[str, int] = scores.look_alikes
    causes = sorted(
        {*happened, *scores.false_by_cause, NO_CAUSE}, key=lambda kind: (scores.false_by_cause.get(kind, 0), kind)
    )
    counts = [scores.false_by_cause.get(kind, 0) for kind in causes]
    with svg_style():
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        figure = Figure(figsize=(SIZE[0], 0.75 + 0.17 * len(causes)), layout="constrained")
        axes = figure.subplots()
        axes.barh(range(len(causes)), counts, color=RED)
        for row, (kind, count) in enumerate(zip(causes, counts, strict=True)):
            told = f" {count}" + ("" if kind == NO_CAUSE else f" at {happened.get(kind, 0)}")
            axes.text(count, row, told, va="center", fontsize=6.5, color="black" if count else GREY)
        axes.set_yticks(range(len(causes)), ["nothing" if kind == NO_CAUSE else words(kind) for kind in causes])
        axes.tick_params(axis="y", labelsize=7, length=0)
        axes.set_xlim(0, 1.18 * max([*counts, 1]))
        axes.set_ylim(-0.6, len(causes) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        axes.set_xlabel("false alerts, at how many occurrences")
        axes.spines[["top", "right"]].set_visible(False)
        return svg_text(figure)
