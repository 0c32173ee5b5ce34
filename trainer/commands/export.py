"""`trainer export`: a bundle's graph built anew from its weights."""

from pathlib import Path
from typing import Annotated

import typer

from trainer.commands.bundle_folder import bundle_name, require_bundle_folder
from trainer.commands.console import require_writable, tell


def command(
    bundle: Annotated[str, typer.Argument(help="A bundle's folder, the name of a released one, or `current`.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    name: Annotated[str | None, typer.Option(help="The new bundle's name; the folder's if not given.")] = None,
    version: Annotated[str | None, typer.Option(help="The new bundle's version; the old one's if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Export a bundle's model once more, after the exporter changed; nothing is trained.

    Weights, thresholds, metrics and golden windows stay. The new graph is
    checked against torch and against the golden windows.

    Example:
      trainer export casting-cnn-lstm --out runs/again
    """
    name = bundle_name(name, out)
    require_bundle_folder(out, force=force)
    require_writable(out)

    from models.bundle import read
    from trainer.reexport import reexport

    source = read(bundle)
    made = reexport(source, out, name=name, version=version)
    manifest, worst = made.bundle.manifest, max(made.parity.values())
    result = {
        "path": str(out),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        "of": {"model": source.manifest.model, "model_sha256": source.manifest.model_sha256},
        "bytes": {"before": len(source.model), "after": len(made.bundle.model)},
        "parity": {str(count): off for count, off in made.parity.items()},
    }
    batches = ", ".join(map(str, made.parity))
    sentences = [
        f"{out}: {manifest.model}, model {manifest.model_sha256}, before {source.manifest.model_sha256}",
        f"within {worst:.1e} of torch at batches {batches}; the golden windows are answered as before",
    ]
    tell(result, sentences, as_json=as_json)
