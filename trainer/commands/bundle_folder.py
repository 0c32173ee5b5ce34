"""Where a command is to write a bundle."""

from pathlib import Path

from models.bundle import MANIFEST_FILE
from models.errors import ManifestError, UsageError
from models.manifest import check_bundle_name


def bundle_name(name: str) -> str:
    """A new bundle's name, checked.

    Raises:
        UsageError: it is none.
    """
    try:
        return check_bundle_name(name)
    except ManifestError as error:
        raise UsageError(f"{error} of --name or --out") from None


def refuse_occupied(out: Path, *, force: bool) -> None:
    """Let a bundle be written where there is nothing, or, by force, where a bundle is.

    Raises:
        UsageError: something is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MANIFEST_FILE).is_file():
        raise UsageError(f"expected a new folder or a bundle, got something else at {out}: choose another --out")
    if not force:
        raise UsageError(f"expected a new folder, got a bundle at {out}: choose another --out, or add --force")
