"""From a trained model to a bundle that is proven to compute the same.

    bundle = export_run(run, Path("runs/my-bundle"), name="my-bundle")

The graph is `Preprocess`, the model and a sigmoid: raw windows in, probabilities out. Every export is run through
`models.runtime.Predictor`, the worker's own way, and compared with torch (`trainer.graphs.verification`); then the
alert thresholds are chosen on what *it* says of the validation sequences. `load_model` goes the other way, from a
bundle to the torch model.
"""

import platform
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError
from safetensors.torch import load, save

from models import bundle as bundles
from models.alerting import AlertPolicy
from models.bundle import Bundle
from models.errors import BundleError, mismatch
from models.manifest import INPUT_NAME, OUTPUT_NAME, SCHEMA_VERSION, Manifest
from models.manifest import Tensor as TensorInfo
from trainer.alert_choice import choose_alerts
from trainer.architectures import model_from
from trainer.datasets.dataset import Dataset
from trainer.errors import ExportError
from trainer.evaluation.events import EventScores
from trainer.evaluation.traces import trace_split
from trainer.git import head_commit
from trainer.graphs.serving_graph import OPSET, RawModel, ServingGraph, to_onnx
from trainer.graphs.verification import golden_windows, trying_windows, verify
from trainer.preprocess import Preprocess
from trainer.sequence_dataset import NEAR, CastingSequenceDataset
from trainer.train_sequence import TrainingRun
from trainer.training.curves import curves_svg

WEIGHTS_FILE = "weights.safetensors"
RECORD_FILE = "training.json"


@dataclass(frozen=True, slots=True)
class Exported:
    """A written bundle and what it was found to be worth.

    Attributes:
        bundle: as read back.
        validation: by target, the validation scores its threshold was chosen for.
        parity: by batch size, how far ONNX Runtime's answers lay from torch's at most, absolute.
        warnings: what whoever trained it must know, one sentence each.
    """

    bundle: Bundle
    validation: dict[str, EventScores]
    parity: dict[int, float]
    warnings: list[str]


def export_run(
    run: TrainingRun,
    folder: Path,
    *,
    name: str,
    version: str = "1",
    recipe: str | None = None,
    must_catch: bool = False,
) -> Exported:
    """Export, verify, choose thresholds on the validation split, and write the bundle.

    Args:
        run: a finished training.
        folder: the bundle's; replaced if it exists.
        name: the bundle's.
        version: the bundle's.
        recipe: what the configuration came from, for the record.
        must_catch: write nothing unless each target catches an event of the validation split.

    Raises:
        ExportError: ONNX Runtime does not answer as torch does, or, with `must_catch`, no event was caught.
    """
    dataset = run.dataset
    graph = ServingGraph(run.preprocessor.module(), run.model).eval()
    rules = run.validation.rules
    model = to_onnx(graph, rules, len(run.validation.sensor_names))
    golden = golden_windows(graph, run.validation, run.config.seed)
    draft = _manifest(run, dataset, name, version, recipe)
    with tempfile.TemporaryDirectory() as scratch:
        predictor, parity = verify(
            Path(scratch) / name,
            draft,
            model,
            golden,
            graph,
            lambda count, rng: trying_windows(run.validation, count, rng),
            seed=run.config.seed,
        )
        traces = trace_split(predictor, dataset, "validation", at_once=run.config.threads)
    events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
    settings = {target: run.config.alert_settings(target) for target in run.validation.targets}
    alerts = choose_alerts(traces, events, settings)
    if must_catch and alerts.missed:
        raise ExportError(
            f"expected an event of the validation split caught, got none for {', '.join(alerts.missed)} at {folder}: "
            "train longer or on more data; nothing was written"
        )
    window = {"roc_auc": round(run.best.roc_auc, 4), "pr_auc": round(run.best.pr_auc, 4)}
    manifest = msgspec.structs.replace(
        draft, alert=alerts.policies, metrics={"validation": {"window": window, "event": alerts.metrics()}}
    )
    bundle = bundles.write(folder, manifest, model, golden, _other_files(run, parity))
    return Exported(bundle, alerts.scores, parity, alerts.warnings())


def load_model(bundle: str | Path | Bundle = "current") -> RawModel:
    """The torch model of a bundle, in eval mode: raw windows [b, time, sensor] to logits [b, target].

    Built anew from what the manifest says of architecture, normalisation and missing values, with the weights beside
    the graph, held to their checksum. The sigmoid of its logits is what the graph answers.

    Args:
        bundle: a folder, a released name, `current`, or a bundle that was read.

    Raises:
        UsageError: no such bundle.
        ContractError: it is altered, or written without weights or for another trainer.
    """
    read = bundle if isinstance(bundle, Bundle) else bundles.read(bundle)
    manifest = read.manifest
    model = model_from(manifest.architecture)
    weights = bundles.read_file(read, WEIGHTS_FILE)
    try:
        model.load_state_dict(load(weights))
    except (RuntimeError, SafetensorError) as error:
        what = " ".join(str(error).split())
        raise BundleError(mismatch("the weights of the architecture", what, str(read.path / WEIGHTS_FILE))) from None
    return RawModel(Preprocess.from_manifest(manifest.normalisation, manifest.missing), model).eval()


def _manifest(run: TrainingRun, dataset: Dataset, name: str, version: str, recipe: str | None) -> Manifest:
    rules, targets = run.validation.rules, run.validation.targets
    info, config = dataset.info, run.config
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=name,
        version=version,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=head_commit(),
        sensors=list(info.sensors),
        window=rules,
        normalisation=run.preprocessor.normalisation(),
        missing=run.preprocessor.missing(),
        inputs=[TensorInfo(INPUT_NAME, "float32", ["batch", rules.length, len(info.sensors)])],
        outputs=[TensorInfo(OUTPUT_NAME, "float32", ["batch", len(targets)])],
        opset=OPSET,
        # Any valid policy until the thresholds are chosen on what the exported graph says.
        alert={target: AlertPolicy(0.5, 0.5, 0, 0, 0) for target in targets},
        files={},
        targets=targets,
        architecture=run.model.architecture,
        training={
            "recipe": recipe,
            "seed": config.seed,
            "epochs": len(run.history),
            "best_epoch": run.best.epoch,
            "alert": {target: asdict(config.alert_settings(target)) for target in targets},
            "line": info.line,
            "line_seed": info.seed,
            "strands": _watched(dataset),
        },
        data_fingerprint=info.fingerprint,
    )


def _watched(dataset: Dataset) -> dict[str, list[int]]:
    """First and last event time of what each strand showed in training and validation, milliseconds since 1970."""
    times: dict[str, list[int]] = {}
    for info in (*dataset.sequences("train"), *dataset.sequences("validation")):
        first, last = times.get(info.strand_id, (info.start_ms, info.end_ms))
        times[info.strand_id] = [min(first, info.start_ms), max(last, info.end_ms)]
    return times


def _other_files(run: TrainingRun, parity: Mapping[int, float]) -> dict[str, bytes]:
    record = {
        **run.record(),
        "parity": {str(count): off for count, off in parity.items()},
        "versions": versions(),
        "windows": {
            "train": _counts(run.train),
            "validation": _counts(run.validation),
        },
    }
    return {
        WEIGHTS_FILE: save({key: value.contiguous() for key, value in run.model.state_dict().items()}),
        "curves.svg": curves_svg(run.history).encode(),
        RECORD_FILE: as_json(record),
    }


def as_json(record: Mapping[str, Any]) -> bytes:
    """A record for people and machines."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def versions() -> dict[str, str]:
    """Of Python and of the libraries that an export depends on."""
    names = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy", "scikit-learn", "strandwatch")
    found = {"python": platform.python_version()}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = installed(name)
    return found


def _counts(data: CastingSequenceDataset) -> dict[str, Any]:
    positive = {name: int((column == 1).sum()) for name, column in zip(data.targets, data.labels.T, strict=True)}
    return {"all": len(data), "positive": positive, "near": int((data.kinds == NEAR).sum())}
