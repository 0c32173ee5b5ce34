"""Pictures as SVG text: the same figure gives the same bytes, and its colours are told apart by everybody.

Matplotlib is imported only when a picture is drawn.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BLUE, ORANGE, GREEN, RED, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#8C8C8C"
"""Colours that stay apart in every common kind of colour blindness (Okabe and Ito 2008), and a grey."""


@contextmanager
def svg_style(**settings: Any) -> Iterator[None]:
    """Draw and save within this block: no random ids, letters as outlines, whatever the user's own style is.

    Args:
        **settings: matplotlib's rc settings, an underscore for a dot (`axes_titlesize=8`).
    """
    import matplotlib as mpl

    style: dict[Any, Any] = {"svg.hashsalt": "strandwatch", "font.size": 8, "svg.fonttype": "path"}
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
