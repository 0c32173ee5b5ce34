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
from models.runtime import Predictor
from trainer.alert_choice import ChosenAlerts, choose_alerts
from trainer.config import AlertSettings
from trainer.datasets.dataset import Dataset
from trainer.errors import ExportError
from trainer.evaluation.evaluate import evaluate_bundle
from trainer.evaluation.traces import Advance
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
    """What alert thresholds are chosen anew on, and for.

    Attributes:
        dataset: its validation split.
        settings: by target, all of the bundle's and in its order.
        at_once: sequences answered at a time.
        advance: told of every sequence answered.
    """

    dataset: Dataset
    settings: Mapping[str, AlertSettings]
    at_once: int = 1
    advance: Advance | None = None


def reexport(
    source: Bundle, folder: Path, *, name: str, version: str | None = None, rechoice: Rechoice | None = None
) -> Reexported:
    """Export a bundle's model once more and write it with the same weights and golden windows.

    Alerts and what they were worth on validation stay as well, unless they are chosen anew. The graph is held against
    torch on random windows within the sensors' ranges, and must still answer the golden windows as it did.

    Args:
        source: as read; may lie in `folder`.
        folder: the new bundle's; replaced if it exists.
        name: the new bundle's.
        version: the new bundle's; None for that of the source.
        rechoice: on what its alert thresholds and on-delays are chosen anew; None: they stay.

    Raises:
        ContractError: the source is altered, or written without weights or for another trainer; the dataset was
            altered, or its splits leak.
        UsageError: the dataset lacks a sensor or target of the bundle, has another scan period, or no validation split.
        ExportError: the new graph does not answer as torch does, or as the golden windows say; a newly chosen policy
            catches no event.
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
            alerts = _chosen(predictor, rechoice)
            draft = _with_alerts(draft, alerts, rechoice.dataset)
    kept = set(old.files) - {MODEL_FILE, GOLDEN_FILE, RECORD_FILE}
    others = {name: bundles.read_file(source, name) for name in sorted(kept)} | {
        RECORD_FILE: _record(source, draft, parity)
    }
    return Reexported(bundles.write(folder, draft, model, source.golden, others), parity, alerts)


def _chosen(predictor: Predictor, rechoice: Rechoice) -> ChosenAlerts:
    dataset = rechoice.dataset
    said = evaluate_bundle(predictor, dataset, "validation", rechoice.advance, at_once=rechoice.at_once)
    alerts = choose_alerts(said.traces, said.events, rechoice.settings)
    if alerts.missed:
        raise ExportError(
            f"expected an event of the validation split caught, got none for {', '.join(alerts.missed)} at "
            f"{dataset.path}: choose on a line that has such events; nothing was written"
        )
    return alerts


def _with_alerts(draft: Manifest, alerts: ChosenAlerts, dataset: Dataset) -> Manifest:
    """The manifest with what was chosen, on what, and what it is worth there."""
    validation = {"event": alerts.metrics()}
    if dataset.info.fingerprint == draft.data_fingerprint:
        validation = draft.metrics.get("validation", {}) | validation
    return msgspec.structs.replace(
        draft,
        alert=alerts.policies,
        metrics={**draft.metrics, "validation": validation},
        training={**draft.training, "alert": alerts.asked(), "alert_data": dataset.info.fingerprint},
    )


def _record(source: Bundle, draft: Manifest, parity: dict[int, float]) -> bytes:
    """The source's training.json with a note of this export; its recipe has the settings the alerts are chosen for."""
    where = str(source.path / RECORD_FILE)
    try:
        record = msgspec.json.decode(bundles.read_file(source, RECORD_FILE), type=dict)
    except msgspec.DecodeError as error:
        raise BundleError(mismatch("JSON", f"something else ({error})", where)) from None
    record["export"] = {
        "of": f"{source.manifest.model}, model {source.manifest.model_sha256}",
        "of_commit": source.manifest.git_commit,
        "parity": {str(count): off for count, off in parity.items()},
        "versions": versions(),
    }
    if chosen_on := draft.training.get("alert_data"):
        record["export"]["alert_data"] = chosen_on
        record["config"] = {**record.get("config", {}), "alert": draft.training["alert"]}
    return as_json(record)
