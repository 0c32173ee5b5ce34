"""The dataset card on disk: Markdown and pictures for people, JSON for machines. The same dataset, the same bytes."""

import json
from collections.abc import Sequence
from pathlib import Path

from trainer.datasets.card import sections
from trainer.datasets.card_layout import Picture, as_markdown
from trainer.datasets.describe import DatasetFacts


def write_card(facts: DatasetFacts, pictures: Sequence[Picture], folder: Path) -> list[Path]:
    """Write `card.md`, `card.json` and the pictures into a folder; files of these names are replaced.

    Returns:
        The files written.

    Raises:
        OSError: the system will not take them.
    """
    contents = {
        "card.md": as_markdown(sections(facts), pictures),
        "card.json": json.dumps(facts.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        **{picture.file: picture.svg for picture in pictures},
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in contents.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return paths
