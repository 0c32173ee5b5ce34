"""From a trained model to a bundle that is proven to compute the same.

    bundle = export_run(run, Path("runs/my-bundle"), name="my-bundle")

The graph is `Preprocess`, the model and a sigmoid: raw windows in, probabilities out. Every export is run through
`models.runtime.Predictor`, the worker's own way, and compared with torch on 1, 3 and 64 windows, some with missing
values and outliers; then the alert thresholds are chosen on what *it* says of the validation sequences.
"""

import copy
import logging
import platform
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import torch
from safetensors.torch import save
from torch import Tensor, nn

from models import bundle as bundles
from models.alerting import AlertPolicy
from models.bundle import Bundle, Golden
from models.errors import StrandwatchError
from models.manifest import INPUT_NAME, OUTPUT_NAME, SCHEMA_VERSION, Manifest
from models.manifest import Tensor as TensorInfo
from models.runtime import Predictor
from models.windows import Float32Array, WindowRules
from trainer.datasets.dataset import Dataset
from trainer.errors import ExportError
from trainer.evaluation.evaluate import trace_split
from trainer.evaluation.events import EventScores
from trainer.evaluation.thresholds import choose_policy
from trainer.git import head_commit
from trainer.preprocess import Preprocess
from trainer.sequence_dataset import NEAR, POSITIVE, CastingSequenceDataset
from trainer.train_sequence import TrainingRun

OPSET = 20
"""Newer LSTM operators have no CUDA kernel in ONNX Runtime."""

PARITY_ATOL = 1e-5
PARITY_BATCHES = (1, 3, 64)
GOLDEN_WINDOWS = 8


class ServingGraph(nn.Module):
    """What is exported: raw windows [b, time, sensor] with NaN to probabilities [b, target]."""

    def __init__(self, preprocess: Preprocess, model: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.model = model

    def forward(self, window: Tensor) -> Tensor:
        """Probabilities of raw windows."""
        return torch.sigmoid(self.model(self.preprocess(window)))

    @torch.inference_mode()
    def expected(self, windows: Float32Array) -> Float32Array:
        """Torch's answer to raw windows, to hold ONNX Runtime's against."""
        answer: Float32Array = self(torch.from_numpy(windows)).numpy()
        return answer


@dataclass(frozen=True, slots=True)
class Exported:
    """A written bundle and, by target, the validation scores its thresholds were chosen for."""

    bundle: Bundle
    validation: dict[str, EventScores]


def export_run(run: TrainingRun, folder: Path, *, name: str, version: str = "1", recipe: str | None = None) -> Exported:
    """Export, verify, choose thresholds on the validation split, and write the bundle.

    Args:
        run: a finished training.
        folder: the bundle's; replaced if it exists.
        name: the bundle's.
        version: the bundle's.
        recipe: what the configuration came from, for the record.

    Raises:
        ExportError: ONNX Runtime does not answer as torch does.
    """
    dataset = run.dataset
    graph = ServingGraph(run.preprocessor.module(), run.model).eval()
    rules = run.validation.rules
    model = to_onnx(graph, rules, len(run.validation.sensor_names))
    golden = golden_windows(graph, run.validation, run.config.seed)
    draft = _manifest(run, dataset, name, version, recipe)
    with tempfile.TemporaryDirectory() as scratch:
        predictor = verify(Path(scratch) / name, draft, model, golden, graph, run)
        traces = trace_split(predictor, dataset, "validation")
    events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
    policies: dict[str, AlertPolicy] = {}
    scores: dict[str, EventScores] = {}
    for index, target in enumerate(run.validation.targets):
        policies[target], scores[target] = choose_policy(
            traces, events, target, index, run.config.alert_settings(target)
        )
    manifest = msgspec.structs.replace(draft, alert=policies, metrics=_metrics(run, scores))
    return Exported(bundles.write(folder, manifest, model, golden, _other_files(run)), scores)


def to_onnx(graph: ServingGraph, rules: WindowRules, sensors: int) -> bytes:
    """Export to one self-contained ONNX file with a symbolic batch; quietly, and without traces of this machine."""
    with _quiet():
        from onnxscript import optimizer

        program = torch.onnx.export(
            copy.deepcopy(graph).eval(),  # the exporter re-assigns an LSTM's weights while it traces
            (torch.zeros(4, rules.length, sensors),),
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_shapes={INPUT_NAME: {0: torch.export.Dim("batch")}},
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise ExportError("expected an ONNX program, got none from torch.onnx.export")
        # Folds the re-ordering of the LSTM's gates, which the exporter leaves as nodes because the weights are large.
        proto = optimizer.optimize(program.model_proto, input_size_limit=1 << 26, output_size_limit=1 << 26)
    _strip(proto)
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def verify(
    folder: Path, draft: Manifest, model: bytes, golden: Golden, graph: ServingGraph, run: TrainingRun
) -> Predictor:
    """Write a bundle to a scratch folder, open it as the worker does and hold its answers against torch's.

    Returns:
        The predictor, for further use.

    Raises:
        ExportError: the bundle cannot be opened, or an answer is more than 1e-5 off.
    """
    try:
        written = bundles.write(folder, draft, model, golden, {})
        predictor = Predictor(written, device="cpu", batch_sizes=PARITY_BATCHES, threads=run.config.threads)
    except StrandwatchError as error:
        raise ExportError(f"the exported graph cannot be served: {error}") from error
    rng = np.random.default_rng(run.config.seed)
    for count in PARITY_BATCHES:
        windows = trying_windows(run.validation, count, rng)
        off = float(np.abs(predictor.predict(windows) - graph.expected(windows)).max())
        if not off <= PARITY_ATOL:
            raise ExportError(f"expected ONNX Runtime within {PARITY_ATOL:g} of torch, got {off:.3g} at batch {count}")
    return predictor


def trying_windows(data: CastingSequenceDataset, count: int, rng: np.random.Generator) -> Float32Array:
    """Windows [count, time, sensor] of the data made harder: missing values, sensors and rows, and outliers."""
    windows = data.raw(rng.integers(len(data), size=count))
    _, rows, sensors = windows.shape
    windows[rng.random(windows.shape) < 0.05] = np.nan
    for number, window in enumerate(windows):
        match number % 4:
            case 0:
                window[: rows // 3] = np.nan
            case 1:
                window[:, rng.integers(sensors)] = np.nan
            case 2:
                window[rng.integers(rows), rng.integers(sensors)] = 1e30
                window[rng.integers(rows), rng.integers(sensors)] = -np.inf
            case _:
                pass
    return windows


def golden_windows(graph: ServingGraph, data: CastingSequenceDataset, seed: int) -> Golden:
    """Eight windows to prove a provider with: positives, negatives near events, plain ones; some with much missing."""
    rng = np.random.default_rng(seed)
    positive, near = (np.flatnonzero(data.kinds == kind) for kind in (POSITIVE, NEAR))
    chosen = [rng.choice(group, min(3, group.size), replace=False) for group in (positive, near)]
    rest = rng.choice(len(data), GOLDEN_WINDOWS - sum(map(len, chosen)))
    windows = data.raw(np.concatenate([*chosen, rest]))
    windows[-1] = np.nan
    windows[-2, : windows.shape[1] // 2] = np.nan
    windows[0, :, -1] = np.nan
    return Golden(windows, graph.expected(windows))


def _manifest(run: TrainingRun, dataset: Dataset, name: str, version: str, recipe: str | None) -> Manifest:
    rules, targets = run.validation.rules, run.validation.targets
    info, config = dataset.info, run.config
    best = max((entry for entry in run.history if entry.best), key=lambda entry: entry.epoch)
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
            "best_epoch": best.epoch,
            "alert": {target: asdict(config.alert_settings(target)) for target in targets},
            "line": info.line,
            "line_seed": info.seed,
        },
        data_fingerprint=info.fingerprint,
    )


def _metrics(run: TrainingRun, scores: Mapping[str, EventScores]) -> dict[str, Any]:
    best = max((entry for entry in run.history if entry.best), key=lambda entry: entry.epoch)
    events = {
        target: {
            key: value
            for key, value in score.as_dict(run.config.alert_settings(target).min_lead_s).items()
            if key != "outcomes"
        }
        for target, score in scores.items()
    }
    window = {"roc_auc": round(best.roc_auc, 4), "pr_auc": round(best.pr_auc, 4)}
    return {"validation": {"window": window, "event": events}}


def _other_files(run: TrainingRun) -> dict[str, bytes]:
    record = {
        **run.record(),
        "versions": {"python": platform.python_version(), **_versions()},
        "windows": {
            "train": _counts(run.train),
            "validation": _counts(run.validation),
        },
    }
    return {
        "weights.safetensors": save({key: value.contiguous() for key, value in run.model.state_dict().items()}),
        "training.json": msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n",
    }


def _versions() -> dict[str, str]:
    names = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu", "numpy", "scikit-learn", "strandwatch")
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = installed(name)
    return found


def _counts(data: CastingSequenceDataset) -> dict[str, Any]:
    positive = {name: int((column == 1).sum()) for name, column in zip(data.targets, data.labels.T, strict=True)}
    return {"all": len(data), "positive": positive, "near": int((data.kinds == NEAR).sum())}


def _strip(proto: onnx.ModelProto) -> None:
    """Remove what only a debugger reads; some of it names source files of the machine that exported."""
    graph = proto.graph
    del proto.metadata_props[:]
    proto.doc_string = graph.doc_string = ""
    parts: Iterable[Any] = (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info)
    for part in parts:
        del part.metadata_props[:]
        part.doc_string = ""


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own internals; nothing of it concerns whoever trains a model."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
