"""A bundle's graph built anew from its weights, after the exporter or a contract changed; nothing is trained."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import BundleError, mismatch
from models.manifest import GOLDEN_FILE, MODEL_FILE
from trainer.export import RECORD_FILE, as_json, load_model, versions
from trainer.git import head_commit
from trainer.graphs.serving_graph import OPSET, ServingGraph, to_onnx
from trainer.graphs.verification import random_windows, verify


@dataclass(frozen=True, slots=True)
class Reexported:
    """A bundle that was written anew.

    Attributes:
        bundle: as read back.
        parity: by batch size, how far ONNX Runtime's answers lay from torch's at most, absolute.
    """

    bundle: Bundle
    parity: dict[int, float]


def reexport(source: Bundle, folder: Path, *, name: str, version: str | None = None) -> Reexported:
    """Export a bundle's model once more and write it with the same thresholds, metrics, weights and golden windows.

    The graph is held against torch on random windows within the sensors' ranges, and must still answer the golden
    windows as it did.

    Args:
        source: as read; may lie in `folder`.
        folder: the new bundle's; replaced if it exists.
        name: the new bundle's.
        version: the new bundle's; None for that of the source.

    Raises:
        ContractError: the source is altered, or written without weights or for another trainer.
        ExportError: the new graph does not answer as torch does, or as the golden windows say.
    """
    old = source.manifest
    loaded = load_model(source)
    graph = ServingGraph(loaded.preprocess, loaded.model).eval()
    model = to_onnx(graph, old.window, len(old.sensors))
    draft = msgspec.structs.replace(
        old,
        name=name,
        version=old.version if version is None else version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=head_commit(),
        opset=OPSET,
        files={},
    )
    with tempfile.TemporaryDirectory() as scratch:
        _, parity = verify(
            Path(scratch) / name,
            draft,
            model,
            source.golden,
            graph,
            lambda count, rng: random_windows(old, count, rng),
        )
    kept = set(old.files) - {MODEL_FILE, GOLDEN_FILE, RECORD_FILE}
    others = {name: bundles.read_file(source, name) for name in sorted(kept)} | {RECORD_FILE: _record(source, parity)}
    return Reexported(bundles.write(folder, draft, model, source.golden, others), parity)


def _record(source: Bundle, parity: dict[int, float]) -> bytes:
    """The source's training.json with a note of this export."""
    where = str(source.path / RECORD_FILE)
    try:
        record = msgspec.json.decode(bundles.read_file(source, RECORD_FILE), type=dict)
    except msgspec.DecodeError as error:
        raise BundleError(mismatch("JSON", f"something else ({error})", where)) from None
    record["export"] = {
        "of": f"{source.manifest.model}, model {source.manifest.model_sha256}",
        "parity": {str(count): off for count, off in parity.items()},
        "versions": versions(),
    }
    return as_json(record)
