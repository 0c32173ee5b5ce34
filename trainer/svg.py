"""Pictures as SVG text: the same figure gives the same bytes, and its colours are told apart by everybody.

Matplotlib is imported only when a picture is drawn.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

BLUE, ORANGE, GREEN, RED, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#8C8C8C"
"""Colours that stay apart in every common kind of colour blindness (Okabe and Ito 2008), and a grey."""

_LETTERS: ContextVar[Literal["path", "none"]] = ContextVar("letters", default="path")


@contextmanager
def letters_as_text() -> Iterator[None]:
    """Within this block pictures have letters as text, for a page that can be searched and read aloud."""
    before = _LETTERS.set("none")
    try:
        yield
    finally:
        _LETTERS.reset(before)


@contextmanager
def svg_style(**settings: Any) -> Iterator[None]:
    """Draw and save within this block: no random ids, letters as outlines, whatever the user's own style is.

    Args:
        **settings: matplotlib's rc settings, an underscore for a dot (`axes_titlesize=8`).
    """
    import matplotlib as mpl

    style: dict[Any, Any] = {"svg.hashsalt": "strandwatch", "font.size": 8, "svg.fonttype": _LETTERS.get()}
    style |= {name.replace("_", ".", 1): value for name, value in settings.items()}
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(style)
        yield


def svg_text(figure: Any) -> str:
    """A matplotlib figure as SVG, without date, creator and blanks at line ends; call it within `svg_style`."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    # matplotlib leaves blanks at line ends, which any editor would take away.
    return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines()) + "\n"


def lean(svg: str) -> str:
    """The same with two decimals in paths and places: a hundredth of a point is not seen, and a fifth goes."""
    return re.sub(r' d="[^"]*"|translate\([^)]*\)', lambda part: re.sub(r"(\.\d\d)\d+", r"\1", part[0]), svg)
