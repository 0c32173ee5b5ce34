"""The command line `trainer`: one clear line for a user's mistake, exit code 1 (failed) or 2 (wrong usage)."""

import sys

import typer

from models.errors import StrandwatchError
from trainer.commands import evaluate, import_, simulate, stream, train

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
app.add_typer(import_.app, name="import")
app.command("stream")(stream.command)
app.command("train")(train.command)
app.command("evaluate")(evaluate.command)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except StrandwatchError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
