"""Where a command writes a bundle: its name, and whether something is there already."""

from pathlib import Path

from models.bundle import MANIFEST_FILE
from models.errors import ManifestError, UsageError
from models.manifest import check_bundle_name


def bundle_name(name: str | None, out: Path) -> str:
    """The bundle's name: the one given, or else the folder's.

    Raises:
        UsageError: it cannot be one.
    """
    try:
        return check_bundle_name(name or out.resolve().name)
    except ManifestError as error:
        raise UsageError(f"{error} of --name or --out") from None


def require_bundle_folder(out: Path, *, force: bool) -> None:
    """Let a bundle be written only where nothing is, or, with `force`, where a bundle is.

    Raises:
        UsageError: something is in the way.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MANIFEST_FILE).is_file():
        raise UsageError(f"expected a new folder or a bundle, got something else at {out}: choose another --out")
    if not force:
        raise UsageError(f"expected a new folder, got a bundle at {out}: choose another --out, or add --force")
