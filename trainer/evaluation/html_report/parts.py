"""What the page is made of: chapters of groups, each with sentences, numbers, tables and pictures."""

import re
from dataclasses import dataclass

from trainer.datasets.card_layout import Section
from trainer.svg import lean


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that is read first.

    Attributes:
        value: the number, with its unit.
        label: what it is.
        note: what it is measured by; may be empty.
    """

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture.

    Attributes:
        title: what it shows.
        caption: what to look for.
        svg: the picture, as matplotlib wrote it.
        wide: whether it takes a row of its own.
    """

    title: str
    caption: str
    svg: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Part of a chapter, often of one target.

    Attributes:
        title: its heading; may be empty.
        texts: sentences before the rest.
        tiles: numbers.
        tables: whose titles are not shown.
        figures: side by side where there is room.
    """

    title: str = ""
    texts: tuple[str, ...] = ()
    tiles: tuple[Tile, ...] = ()
    tables: tuple[Section, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """A chapter.

    Attributes:
        key: its anchor.
        title: its heading.
        reading: how to read it, for a process engineer or an operator.
        groups: what it holds.
    """

    key: str
    title: str
    reading: str
    groups: tuple[Group, ...]


_UNSEEN = (
    r"<metadata>.*?</metadata>",
    r"<!--.*?-->",
    r' (xmlns(:\w+)?|version)="[^"]*"',
    r" font-family: [^;\"]*;",  # the page says which
    r' transform="rotate\(-0 [^)]*\)"',
)


def inline(svg: str, prefix: str) -> str:
    """A picture to stand within a page beside others: without a head, with ids of its own, as small as it can be.

    Args:
        svg: as matplotlib wrote it, letters as text.
        prefix: of its ids, another for each picture of the page.
    """
    text = svg[svg.index("<svg") :]
    for pattern in _UNSEEN:
        text = re.sub(pattern, "", text, flags=re.DOTALL)
    text = text.replace("xlink:href=", "href=")
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r'(url\(#|href="#)', rf"\1{prefix}-", text)
    text = re.sub(r'( [xy]="-?\d+\.\d\d)\d+"', r'\1"', lean(text))
    text = re.sub(r"\s*\n\s*(?=<)", "\n", text)
    return re.sub(r"\n([LQCMz]) ?", r"\1", text.replace('\n"', '"'))
