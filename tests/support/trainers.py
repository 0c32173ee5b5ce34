"""`trainer` as its users start it: a process of its own."""

import json
import subprocess
import sys


def trainer(*arguments: str) -> dict[str, object]:
    """Run a command that must do; what it told as JSON."""
    ended = subprocess.run(
        [sys.executable, "-m", "trainer", *arguments, "--json"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    result: dict[str, object] = json.loads(ended.stdout)
    return result
