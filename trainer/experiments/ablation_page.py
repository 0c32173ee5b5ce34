"""An ablation as a page: one table for people, one picture, and the same as JSON.

All are functions of the result alone: the same rows give the same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from models.whole_file import write_whole
from trainer.experiments.ablation_results import AblationResult, ChangeResult, Difference
from trainer.experiments.series_page import CAVEAT
from trainer.svg import BLUE, GREY, ORANGE, svg_style, svg_text

OTHER_WINDOWS = "†"
IMPORTED = "Recorded data of another machine: a score says nothing about a caster. The test split chose nothing."


def write_page(result: AblationResult, folder: Path) -> list[Path]:
    """Write `ablation.json`, `ablation.md` and `ablation.svg` into a folder.

    Returns:
        The files written.
    """
    record = msgspec.json.format(msgspec.json.encode(result.as_dict()), indent=2) + b"\n"
    contents = {
        "ablation.json": record,
        "ablation.md": as_markdown(result).encode(),
        "ablation.svg": as_svg(result).encode(),
    }
    for name, data in contents.items():
        write_whole(folder / name, data)
    return [folder / name for name in contents]


def as_markdown(result: AblationResult) -> str:
    """The ablation as Markdown: the recipe's scores, then every change's differences from them."""
    recipe = result.changes[0]
    itself = (
        f"The recipe itself, mean of {_seeds(result)}: validation ROC-AUC {recipe.scores['validation.roc_auc']:.4f}, "
        f"test ROC-AUC {recipe.scores['test.roc_auc']:.4f}, test PR-AUC {recipe.scores['test.pr_auc']:.4f}, "
        f"{recipe.parameters:,} parameters, {recipe.processor_minutes:.1f} processor minutes a training."
    )
    lines = [
        f"# What each part of `{result.recipe}` is worth",
        "",
        *_about(result),
        "",
        itself,
        "",
        "![Differences with their intervals](ablation.svg)",
        "",
    ]
    columns = ["validation ROC-AUC", "test ROC-AUC", "test PR-AUC", *(f"{name} ROC-AUC" for name in result.targets)]
    heads = ["part", "change", "what is different", *columns, "parameters", "minutes"]
    lines += [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    lines += [_row(change) for change in result.changes[1:]]
    if result.left_out:
        lines += ["", "Not made here:", ""]
        lines += [f"- {', '.join(names)}: {reason}." for reason, names in by_reason(result.left_out).items()]
    return "\n".join([*lines, ""])


def by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of the changes that were not made, by why not."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def table(result: AblationResult) -> list[str]:
    """Every change's difference in test ROC-AUC, for a terminal of 80 columns."""
    test, validation = (result.changes[0].scores[key] for key in ("test.roc_auc", "validation.roc_auc"))
    lines = [
        f"{result.recipe}, {_seeds(result)}: test ROC-AUC {test:.4f}, validation {validation:.4f}",
        f"{'change':<26}{'test ROC-AUC, less the same of the recipe':>44}",
    ]
    for change in result.changes[1:]:
        mark = OTHER_WINDOWS if change.other_windows else " "
        lines.append(f"{change.name or '':<25}{mark}{_cell(change.differences['test.roc_auc']):>44}")
    if any(change.other_windows for change in result.changes):
        lines.append(f"{OTHER_WINDOWS} judged on other windows than the recipe")
    return lines


def as_svg(result: AblationResult) -> str:
    """Each change's difference in test ROC-AUC as a dot with its interval; the recipe is the line at 0."""
    from matplotlib.figure import Figure

    changes = list(reversed(result.changes[1:]))
    with svg_style(axes_titlesize=9, axes_grid=True, grid_alpha=0.25):
        figure = Figure(figsize=(7.2, 1.1 + 0.17 * len(changes)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color=GREY, linewidth=1)
        for height, change in enumerate(changes):
            _draw(axes, height, change)
        axes.set_yticks(range(len(changes)), [_name(change) for change in changes], fontsize=7)
        axes.set_ylim(-0.7, len(changes) - 0.3)
        axes.set_xlabel("test ROC-AUC less the recipe's; below 0 the change is for the worse")
        axes.set_title(f"{result.recipe}, {_seeds(result)}: mean, 95 % interval, each seed")
        return svg_text(figure)


def _draw(axes: Any, height: int, change: ChangeResult) -> None:
    found = change.differences["test.roc_auc"]
    colour = ORANGE if change.other_windows else BLUE
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [height, height], color=colour, linewidth=1.4)
    axes.plot(found.by_seed, [height] * len(found.by_seed), "|", color=GREY, markersize=5)
    axes.plot(found.mean, height, "o", color=colour, markersize=3.5)


def _about(result: AblationResult) -> list[str]:
    imported = str(result.data["line"]).startswith("import/")
    how = (
        "A difference is the score with the change less the recipe's of the same seed; below 0 the change is for the "
        "worse. Mean over the seeds and, in brackets, Student's 95 % interval over them: it covers the luck of "
        "training, not the choice of the sequences. **Bold**: the interval leaves out 0, as one in twenty does by luck "
        "alone."
    )
    words = [IMPORTED if imported else CAVEAT, how]
    if any(change.other_windows for change in result.changes):
        words.append(
            f"{OTHER_WINDOWS} Judged on other windows than the recipe (they begin later after a start or a gap, or end "
            "at other scans): such a difference has more causes than the change."
        )
    return [" ".join([*words, result.about]).strip()]


def _row(change: ChangeResult) -> str:
    about = f"{change.about}: as the recipe has it" if change.same else change.about
    cells = [f"**{_cell(found)}**" if found.is_told else _cell(found) for found in change.differences.values()]
    end = f"| {change.parameters:,} | {change.processor_minutes:.1f} |"
    return f"| {change.part} | {_name(change)} | {about} | {' | '.join(cells)} {end}"


def _name(change: ChangeResult) -> str:
    return f"{change.name} {OTHER_WINDOWS}" if change.other_windows else f"{change.name}"


def _cell(found: Difference) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:+.4f}"
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _seeds(result: AblationResult) -> str:
    return f"{result.seeds} seed{'s' if result.seeds > 1 else ''}"
