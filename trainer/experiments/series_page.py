"""A series of trainings as a page: a table for people, and its curves as one SVG picture.

Both are functions of the rows alone: the same `runs.jsonl` gives the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.experiments.runs import RunRow, by_recipe, mean_and_deviation
from trainer.svg import BLUE, GREY, svg_style, svg_text

CAVEAT = (
    "The line is simulated: a score shows only that the method recovers the simulator's own model of defects and "
    "look-alikes. Validation chose the epoch; the test split chose nothing. Scores are of the windows that judge a "
    "run, `validation_share` of a split's, the same for all: one in 25 with the recipes that come with the trainer."
)


def write_page(rows: Sequence[RunRow], folder: Path) -> list[Path]:
    """Write `training.md` and `training.svg` into a folder.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page, picture = folder / "training.md", folder / "training.svg"
    page.write_text(as_markdown(rows), encoding="utf-8")
    picture.write_text(as_svg(rows), encoding="utf-8")
    return [page, picture]


def as_markdown(rows: Sequence[RunRow]) -> str:
    """The series as Markdown: each recipe's scores over its seeds, then every run."""
    lines = [
        "# Training, repeated",
        "",
        f"{CAVEAT} Mean ± standard deviation over the seeds; ROC-AUC and PR-AUC of windows, the mean over the targets.",
        "",
        "| recipe | model | parameters | seeds | validation ROC-AUC | test ROC-AUC | test PR-AUC | processor minutes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for recipe, group in by_recipe(rows).items():
        scores = (
            _spread([row.validation.roc_auc for row in group]),
            _spread([row.test.roc_auc for row in group]),
            _spread([row.test.pr_auc for row in group]),
        )
        minutes = mean_and_deviation(row.processor_seconds / 60 for row in group)[0]
        head = f"| {recipe} | {group[0].model_type} | {group[0].parameters:,} | {len(group)} "
        lines.append(f"{head}| {' | '.join(scores)} | {minutes:.1f} |")
    targets = list(rows[0].test.targets)
    columns = [f"test ROC-AUC, {target}" for target in targets]
    lines += ["", "![validation by epoch](training.svg)", "", "## Every run", ""]
    lines.append(f"| recipe | seed | epochs, kept | validation ROC-AUC | test ROC-AUC | {' | '.join(columns)} |")
    lines.append("| --- " * (5 + len(targets)) + "|")
    for recipe, group in by_recipe(rows).items():
        for row in group:
            each = " | ".join(f"{row.test.targets[target]['roc_auc']:.4f}" for target in targets)
            lines.append(
                f"| {recipe} | {row.seed} | {row.epochs}, {row.best_epoch} | {row.validation.roc_auc:.4f} "
                f"| {row.test.roc_auc:.4f} | {each} |"
            )
    return "\n".join([*lines, ""])


def table(rows: Sequence[RunRow]) -> list[str]:
    """Each recipe's scores over its seeds, for a terminal."""
    lines = [f"{'recipe':<16}{'seeds':>6}{'validation ROC-AUC':>21}{'test ROC-AUC':>21}"]
    for recipe, group in by_recipe(rows).items():
        validation, test = (
            _spread([split.roc_auc for split in splits])
            for splits in ([row.validation for row in group], [row.test for row in group])
        )
        lines.append(f"{recipe:<16}{len(group):>6}{validation:>21}{test:>21}")
    return lines


def as_svg(rows: Sequence[RunRow]) -> str:
    """One column a recipe: losses above, validation ROC-AUC below; a thin line a seed, a dot at the epoch kept."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    groups = by_recipe(rows)
    with svg_style(axes_titlesize=9, axes_grid=True, grid_alpha=0.25):
        figure = Figure(figsize=(3.0 * len(groups), 4.2), layout="constrained")
        panes = figure.subplots(2, len(groups), sharex="col", sharey="row", squeeze=False)
        for (above, below), (recipe, group) in zip(panes.T, groups.items(), strict=True):
            above.set_title(f"{recipe}, {len(group)} seeds")
            for row in group:
                _draw(above, below, row)
            below.set_xlabel("epoch")
            below.xaxis.set_major_locator(MaxNLocator(integer=True))
        panes[0, 0].set_yscale("log")
        panes[0, 0].set_ylabel("loss")
        panes[0, 0].legend(["training", "validation"], frameon=False, fontsize=7)
        panes[1, 0].set_ylabel("validation ROC-AUC")
        return svg_text(figure)


def _draw(above: Any, below: Any, row: RunRow) -> None:
    epochs = [entry["epoch"] for entry in row.history]
    above.plot(epochs, [entry["train_loss"] for entry in row.history], color=GREY, linewidth=0.9)
    above.plot(epochs, [entry["validation_loss"] for entry in row.history], color=BLUE, linewidth=0.9)
    scores = [entry["roc_auc"] for entry in row.history]
    below.plot(epochs, scores, color=BLUE, linewidth=0.9)
    below.plot(row.best_epoch, scores[row.best_epoch - 1], ".", color=BLUE)


def _spread(values: Sequence[float]) -> str:
    mean, deviation = mean_and_deviation(values)
    return f"{mean:.4f}" if len(values) < 2 else f"{mean:.4f} ± {deviation:.4f}"
