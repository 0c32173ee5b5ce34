"""A training run's curves as one SVG picture: loss, how well it tells the classes apart, learning rate."""

from collections.abc import Sequence
from typing import Any

from trainer.svg import BLUE, GREEN, GREY, ORANGE, svg_style, svg_text
from trainer.training.history import EpochRecord


def curves_svg(history: Sequence[EpochRecord]) -> str:
    """Draw a training's history; the epoch whose weights were kept is marked.

    Args:
        history: at least one epoch.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [record.epoch for record in history]
    best = max((record for record in history if record.best), key=lambda record: record.epoch)
    with svg_style(axes_titlesize=9, axes_grid=True, grid_alpha=0.25):
        figure = Figure(figsize=(9.0, 2.7), layout="constrained")
        loss, scores, rate = figure.subplots(1, 3)
        _curve(loss, epochs, [record.train_loss for record in history], BLUE, "training")
        _curve(loss, epochs, [record.validation_loss for record in history], ORANGE, "validation")
        _curve(scores, epochs, [record.roc_auc for record in history], BLUE, "ROC-AUC")
        _curve(scores, epochs, [record.pr_auc for record in history], GREEN, "PR-AUC")
        _curve(rate, epochs, [record.learning_rate for record in history], BLUE, "learning rate")
        scores.plot(best.epoch, best.roc_auc, "o", color=BLUE, markersize=6)
        titles = ("loss", "validation", "learning rate")
        for axes, title in zip((loss, scores, rate), titles, strict=True):
            axes.set_title(title)
            axes.spines[["top", "right"]].set_visible(False)
            axes.set_xlabel("epoch")
            axes.axvline(best.epoch, color=GREY, linewidth=1, linestyle="--", zorder=1, label=f"kept: {best.epoch}")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend(frameon=False, fontsize=7)
        rate.set_yscale("log")
        return svg_text(figure)


def _curve(axes: Any, epochs: Sequence[int], values: Sequence[float], colour: str, label: str) -> None:
    axes.plot(epochs, values, ".-", color=colour, linewidth=1.4, markersize=4, label=label)
