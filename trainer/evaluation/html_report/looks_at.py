"""The chapter of what the network looks at, from what `trainer explain` left."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from models.errors import ContractError
from trainer.datasets.card_layout import Section
from trainer.evaluation.html_report.parts import Chapter, Figure, Group
from trainer.explanation.page import NOT_SHOWN, UNKNOWN, findings, judged_rows, judgements_of, ranking_rows, score_line
from trainer.explanation.summary import Explanation


def looks_at(explained: Mapping[str, Any], folder: Path) -> Chapter:
    """Attribution judged against the truth, sensors ranked, an example of each defect.

    Args:
        explained: `explain.json`.
        folder: that it lies in; its `examples/` too.

    Raises:
        ContractError: an example is not there.
    """
    found = msgspec.convert(explained, Explanation)
    pictures = [
        Figure(
            entry["caption"], "Red speaks for the event, blue against it.", _picture(folder, entry["file"]), wide=True
        )
        for entry in explained["examples"]
    ]
    groups = [_group(found, target) for target in found.windows]
    texts = (NOT_SHOWN,) if explained["judged"] else (UNKNOWN, NOT_SHOWN)
    groups.append(Group("An example of each, neither the best nor the worst", texts, figures=tuple(pictures)))
    return Chapter(
        "looks",
        "What it looks at",
        "Integrated gradients and occlusion share an answer out over sensors and scans. Where the simulator tells what "
        "an event touched, the part that falls there is held against attribution at random and against networks with "
        "shuffled weights: a method that is no better than either proves nothing.",
        tuple(groups),
    )


def _group(found: Explanation, target: str) -> Group:
    judgements = judgements_of(found, target)
    tables = [ranking_rows(found, target)]
    if judgements:  # without the two differences, which explain.md has: they would not fit
        tables.append([(*row[:7], row[9]) for row in judged_rows(judgements)])
    texts = (f"{score_line(found, target).capitalize()}.", *(one.replace("`", "") for one in findings(judgements)))
    return Group(target, texts, tables=tuple(Section("", head, tuple(rows)) for head, *rows in tables))


def _picture(folder: Path, file: str) -> str:
    path = folder / "examples" / Path(file).name
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ContractError(
            f"expected a picture, got no such file at {path}: `trainer explain` writes it, run it anew"
        ) from None
