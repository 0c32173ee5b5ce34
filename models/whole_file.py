"""Files that are there with all their bytes or not at all, even if the machine stops in between."""

import os
from pathlib import Path

PART = ".part"
"""Ending of a file that is being written beside its place."""


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place, force it to the disk and rename it; its folder is made if there is none.

    Args:
        path: of the file; one that is there is replaced.
        data: its bytes.

    Raises:
        OSError: the system will not take it; what was there is as it was.
    """
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        sync_folder(path.parent.parent)
    part = path.with_name(f".{path.name}{PART}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force what was made, renamed or removed in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
