"""`trainer quantize`: a bundle in less precision, if it is as good and faster."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from trainer.commands.bundle_folder import bundle_name, require_bundle_folder
from trainer.commands.console import progress, require_writable, tell

if TYPE_CHECKING:
    from trainer.quantized_bundle import Quantised


def command(
    bundle: Annotated[str, typer.Argument(help="A float32 bundle's folder, or the name of a released one.")],
    data: Annotated[Path, typer.Option(help="Folder of the dataset to judge it on.")],
    out: Annotated[Path, typer.Option(help="Folder of the new bundle.")],
    kind: Annotated[Literal["int8", "fp16"], typer.Option(help="`int8` for the CPU, `fp16` for a CUDA GPU.")] = "int8",
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, help="A batch size to time, once for each; 1, 8 and 64.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The bundle's name; the folder's if not given.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a bundle that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Make a bundle that computes in less precision, if that is worth it.

    It is judged on the dataset's test split and timed beside the other. It
    is written only if no target loses more than 0.005 ROC-AUC, no answer
    depends on its neighbours, and it is faster: nowhere slower, and at least
    5 % faster over the batch sizes. fp16 must be made where the GPU is.

    Example:
      trainer quantize casting-lstm --data data/line --out runs/int8
    """
    name = bundle_name(name, out)
    require_bundle_folder(out, force=force)
    require_writable(out)

    from models.bundle import read
    from trainer.datasets.dataset import Dataset
    from trainer.quantized_bundle import RACE_BATCHES, quantize_bundle

    source, dataset = read(bundle), Dataset.open(data)
    with progress("judging", 2 * len(dataset.sequences("test")), "sequences") as advance:
        made = quantize_bundle(
            source,
            dataset,
            out,
            name=name,
            kind=kind,
            batches=sorted(set(batches or RACE_BATCHES)),
            advance=advance,
        )
    tell(_result(made, out), _sentences(made, out), as_json=as_json)


def _result(made: "Quantised", out: Path) -> dict[str, Any]:
    manifest = made.bundle.manifest
    return {
        "path": str(out),
        "model": manifest.model,
        "model_sha256": manifest.model_sha256,
        **manifest.training["quantised"],
    }


def _sentences(made: "Quantised", out: Path) -> list[str]:
    manifest, size = made.bundle.manifest, made.size
    record = manifest.training["quantised"]
    lines = [
        f"{out}: {manifest.model}, model {manifest.model_sha256}, {size[1]:,} bytes after {size[0]:,}",
        f"answers differ by {made.neighbours:.2g} at most with the batch they are in",
    ]
    for target, scores in made.after.targets.items():
        roc, caught = record["roc_auc"][target], record["events_caught"][target]
        lines.append(
            f"test split, {target}: ROC-AUC {roc['after']:.4f} after {roc['before']:.4f}, {caught['after']} of "
            f"{len(scores.events.outcomes)} events caught after {caught['before']}"
        )
    lines += [
        f"batch {entry.batch}: {1e3 * entry.after_s:.3f} ms after {1e3 * entry.before_s:.3f} ms, "
        f"{entry.speed_up:.2f} times as fast ({made.after.provider}, one thread)"
        for entry in made.races
    ]
    return lines
