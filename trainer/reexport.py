"""A bundle's graph built anew from its weights, after the exporter or a contract changed; nothing is trained.

Its alert thresholds may be chosen anew with it: for another budget of false alerts, or on another line.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import BundleError, mismatch
from models.manifest import GOLDEN_FILE, MODEL_FILE, Manifest
from trainer.alert_choice import ChosenAlerts, choose_alerts
from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
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
        alerts: what was chosen anew; None if the thresholds stayed.
    """

    bundle: Bundle
    parity: dict[int, float]
    alerts: ChosenAlerts | None


@dataclass(frozen=True, slots=True)
class Rechoice:
    """What alert thresholds are chosen anew on.

    Attributes:
        dataset: its validation split.
        settings: by target, all of the bundle's.
    """

    dataset: Dataset
    settings: Mapping[str, AlertSettings]


def reexport(
    source: Bundle, folder: Path, *, name: str, version: str | None = None, rechoice: Rechoice | None = None
) -> Reexported:
    """Export a bundle's model once more and write it with the same metrics, weights and golden windows.

    The graph is held against torch on random windows within the sensors' ranges, and must still answer the golden
    windows as it did.

    Args:
        source: as read; may lie in `folder`.
        folder: the new bundle's; replaced if it exists.
        name: the new bundle's.
        version: the new bundle's; None for that of the source.
        rechoice: on what its alert thresholds are chosen anew; None: they stay.

    Raises:
        ContractError: the source is altered, or written without weights or for another trainer; the dataset does not
            fit it.
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
        predictor, parity = verify(
            Path(scratch) / name,
            draft,
            model,
            source.golden,
            graph,
            lambda count, rng: random_windows(old, count, rng),
        )
        alerts = None
        if rechoice:
            alerts = choose_alerts(predictor, rechoice.dataset, rechoice.settings)
            draft = _with_alerts(draft, alerts, rechoice.dataset)
    kept = set(old.files) - {MODEL_FILE, GOLDEN_FILE, RECORD_FILE}
    others = {name: bundles.read_file(source, name) for name in sorted(kept)} | {
        RECORD_FILE: _record(source, parity, alerts)
    }
    return Reexported(bundles.write(folder, draft, model, source.golden, others), parity, alerts)


def _with_alerts(draft: Manifest, alerts: ChosenAlerts, dataset: Dataset) -> Manifest:
    """The manifest with what was chosen, on what, and what it is worth there."""
    validation = {**draft.metrics.get("validation", {}), "event": alerts.metrics()}
    return msgspec.structs.replace(
        draft,
        alert=alerts.policies,
        metrics={**draft.metrics, "validation": validation},
        training={**draft.training, "alert": alerts.asked(), "alert_data": dataset.info.fingerprint},
    )


def _record(source: Bundle, parity: dict[int, float], alerts: ChosenAlerts | None) -> bytes:
    """The source's training.json with a note of this export; its recipe has the settings of newly chosen alerts."""
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
    if alerts:
        record["config"] = {**record["config"], "alert": alerts.asked()}
    return as_json(record)
