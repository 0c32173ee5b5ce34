"""The decision records are numbered without gaps, have their four parts, and stand in the index."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "deploy" / "adr"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))


def test_they_are_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))
    assert len(RECORDS) >= 13


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_has_its_parts(record: Path) -> None:
    text = record.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(record.name[:4])}. ")
    assert re.search(r"^Status: \w+", text, re.MULTILINE)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


def test_the_index_lists_each_record_by_its_title() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+) \| \[([^\]]+)\]\(([^)]+)\) \| ", index, re.MULTILINE)
    titles = [record.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for record in RECORDS]
    assert [f"{number}. {title}" for number, title, _ in listed] == titles
    assert [target for _, _, target in listed] == [record.name for record in RECORDS]
