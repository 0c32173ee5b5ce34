"""How commands talk: results on stdout, progress on stderr; a bar on a terminal, plain lines elsewhere."""

import json
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Advance = Callable[[float], None]
AnySplit = Literal["train", "validation", "test", "all"]
"""As `trainer.evaluation.traces.Scope`, which `--help` need not wait for."""


@contextmanager
def progress(what: str, total: float | None, unit: str) -> Iterator[Advance]:
    """Show how far something is; yields a function that takes what was done since the last call.

    Without a `total` there is no end to be near to: a terminal shows that it moves, a file nothing.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task(what, total=total)
            yield lambda amount: bar.advance(task, amount)
    elif total is None:
        yield lambda _: None
    else:
        yield _lines(what, total, unit)


def _lines(what: str, total: float, unit: str) -> Advance:
    """A line for each further tenth."""
    done, told = 0.0, 0
    decimals = 0 if total >= 100 else 2

    def advance(amount: float) -> None:
        nonlocal done, told
        done += amount
        tenths = int(10 * done / total + 1e-9) if total else 10
        if tenths > told:
            told = tenths
            print(f"{what}: {done:,.{decimals}f} of {total:,.{decimals}f} {unit}", file=sys.stderr, flush=True)

    return advance


def tell(result: Mapping[str, object], sentences: list[str], *, as_json: bool) -> None:
    """Print a command's result: one JSON object for a machine, sentences for a person, as wide as the terminal."""
    if as_json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False), flush=True)
        return
    lines = sentences
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        lines = [part for line in sentences for part in _wrapped(line, width)]
    print("\n".join(lines), flush=True)


def _wrapped(line: str, width: int) -> list[str]:
    """Between words, and what follows a little further in; a row of a table that fits stays as it is."""
    return [line] if len(line) <= width else textwrap.wrap(line, width, subsequent_indent="  ")


def require_writable(out: Path) -> None:
    """Find out before the work whether its result can be written, by writing where `out` is to be.

    Raises:
        OSError: it cannot; names `out`.
    """
    there = out.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".strandwatch-", dir=there):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error
