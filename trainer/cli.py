"""The command line `trainer`: one clear line for a user's mistake, exit code 1 (failed) or 2 (wrong usage).

Ctrl-C ends a command with 130, SIGTERM with 143; either way what was half written is removed first.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import typer

from models.errors import StrandwatchError
from trainer.commands import (
    ablate,
    baseline,
    compare,
    describe,
    evaluate,
    explain,
    export,
    import_,
    leak,
    profile,
    quantize,
    retrain,
    series,
    simulate,
    stream,
    train,
    tune,
)
from trainer.freed_memory import keep_freed_memory

_HELP = """Build, judge and export the models that watch continuous casting strands.

Example:
  trainer simulate --hours 10 --strands 4 --seed 1 --out data/line
"""

app = typer.Typer(
    name="trainer",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("simulate")(simulate.command)
app.command("describe")(describe.command)
app.add_typer(import_.app, name="import")
app.command("stream")(stream.command)
app.command("train")(train.command)
app.command("baseline")(baseline.command)
app.command("series")(series.command)
app.command("tune")(tune.command)
app.command("ablate")(ablate.command)
app.command("leak")(leak.command)
app.command("evaluate")(evaluate.command)
app.command("profile")(profile.command)
app.command("explain")(explain.command)
app.command("compare")(compare.command)
app.command("quantize")(quantize.command)
app.command("retrain")(retrain.command)
app.command("export")(export.command)


def main() -> None:
    """Run the command line."""
    keep_freed_memory()
    try:
        with _unwinding_on_sigterm():
            app()
    except StrandwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        print(f"error: {_of_the_system(error)}", file=sys.stderr)
        raise SystemExit(1) from None


def _of_the_system(error: OSError) -> str:
    """What the operating system refused, in one line."""
    what = " ".join((error.strerror or str(error)).split())
    where = "" if error.filename is None else f" at {error.filename}"
    return f"expected the system to read and write, got `{what}`{where}: check the path, its permissions and the space"


@contextmanager
def _unwinding_on_sigterm() -> Iterator[None]:
    """Let SIGTERM leave through every `with` and `finally`, as Ctrl-C does; only the main thread may do so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one must not cut the tidying short
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
