"""How the dataset card is laid out: sections of tables and sentences, for a terminal or as Markdown."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

WIDTH = 80
_INDENT, _GAP, _NARROWEST = "  ", "  ", 8


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the card.

    Attributes:
        title: its heading.
        header: names of the columns; without any, rows are pairs of a name and a text.
        rows: the table.
        notes: sentences after it.
        texts: how many columns from the left hold text; the others hold numbers.
    """

    title: str
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the card.

    Attributes:
        file: its name, beside the card.
        section: title of the section it belongs to.
        title: what it shows.
        caption: what to look for.
        svg: the picture.
    """

    file: str
    section: str
    title: str
    caption: str
    svg: str


EXAMPLES = "Examples"
"""Title of the section whose pictures have headings of their own."""


def as_text(parts: Sequence[Section], width: int = WIDTH) -> list[str]:
    """The card's lines, none wider than `width`."""
    lines: list[str] = []
    for part in parts:
        lines += ["", part.title] if lines else [part.title]
        lines += _table(part, width) if part.header else _pairs(part, width)
        for note in part.notes:
            lines += textwrap.wrap(note, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return [line if cell_len(line) <= width else _cut(line, width) for line in lines]


def as_markdown(parts: Sequence[Section], pictures: Sequence[Picture] = ()) -> str:
    """The card as Markdown; pictures are linked by name."""
    lines: list[str] = []
    for level, part in enumerate(parts):
        lines += [f"{'##' if level else '#'} {_plain(part.title)}", ""]
        header = part.header or ("", "")
        marks = ["---" if column < part.texts or not part.header else "---:" for column in range(len(header))]
        for row in (header, marks, *part.rows) if part.rows else ():
            lines.append("| " + " | ".join(_plain(cell) for cell in row) + " |")
        lines += [""] if part.rows else []
        for note in part.notes:
            lines += [_plain(note), ""]
        for picture in pictures:
            if picture.section == part.title:
                lines += _shown(picture, heading=False)
    examples = [picture for picture in pictures if picture.section == EXAMPLES]
    lines += [f"## {EXAMPLES}", ""] if examples else []
    for picture in examples:
        lines += _shown(picture, heading=True)
    return "\n".join(lines).rstrip("\n") + "\n"


def _shown(picture: Picture, *, heading: bool) -> list[str]:
    title = _plain(picture.title)
    above = [f"### {title}", ""] if heading else []
    return [*above, f"![{title}]({picture.file})", "", _plain(picture.caption), ""]


def _plain(text: str) -> str:
    """Text whose signs mean nothing to Markdown."""
    for sign in "\\`*_|<>[]":
        text = text.replace(sign, f"\\{sign}")
    return text


def _table(part: Section, width: int) -> list[str]:
    rows = [part.header, *part.rows]
    widths = [max(cell_len(row[column]) for row in rows) for column in range(len(part.header))]
    # The names give way, the longest first; numbers stay whole.
    room = width - len(_INDENT) - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths[: part.texts]) > _NARROWEST:
        widths[widths.index(max(widths[: part.texts]))] -= 1
    lines = []
    for row in rows:
        cells = []
        for column, (cell, size) in enumerate(zip(row, widths, strict=True)):
            shown = _cut(cell, size)
            blank = " " * (size - cell_len(shown))
            cells.append(shown + blank if column < part.texts else blank + shown)
        lines.append((_INDENT + _GAP.join(cells)).rstrip())
    return lines


def _pairs(part: Section, width: int) -> list[str]:
    size = max((cell_len(name) for name, _ in part.rows), default=0)
    lines = []
    for name, text in part.rows:
        first = f"{_INDENT}{name:<{size}}{_GAP}"
        lines += textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first))
    return lines


def _cut(text: str, size: int) -> str:
    return text if cell_len(text) <= size else set_cell_size(text, size - 1).rstrip() + "…"
