"""The trainer's command line, run in the test's own process."""

import sys

from trainer import cli


def run_trainer(*arguments: str) -> int:
    """Run it; returns its exit code."""
    before = sys.argv
    sys.argv = ["trainer", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    finally:
        sys.argv = before
    return 0
