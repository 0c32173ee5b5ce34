"""Which commit the code is at, for the record in a bundle."""

import subprocess
from pathlib import Path

UNKNOWN = "unknown"
_CODE = (":/", ":(exclude,top)models/sequence")


def head_commit() -> str:
    """The commit of this repository's head, `-dirty` if files differ from it; `unknown` outside a repository.

    Bundles and evaluations do not count: a series or a release writes them while it runs, and they are no code.
    """
    here = Path(__file__).parent
    try:
        head = _git(here, "rev-parse", "--verify", "--quiet", "HEAD")
        return head + ("-dirty" if _git(here, "status", "--porcelain", "--untracked-files=no", "--", *_CODE) else "")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
