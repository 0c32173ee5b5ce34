"""From a trained model to a bundle that is proven to compute the same.

    bundle = export_run(run, Path("runs/my-bundle"), name="my-bundle")

The graph is `Preprocess`, the model and a sigmoid: raw windows in, probabilities out. Every export is run through
`models.runtime.Predictor`, the worker's own way, and compared with torch on 1, 3 and 64 windows, some with missing
values and outliers; then the alert thresholds are chosen on what *it* says of the validation sequences.
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
import numpy as np
from safetensors.torch import save

from models import bundle as bundles
from models.alerting import AlertPolicy
from models.bundle import Bundle, Golden
from models.errors import StrandwatchError
from models.manifest import INPUT_NAME, OUTPUT_NAME, SCHEMA_VERSION, Manifest
from models.manifest import Tensor as TensorInfo
from models.runtime import Predictor
from models.windows import Float32Array
from trainer.curves import curves_svg
from trainer.datasets.dataset import Dataset
from trainer.errors import ExportError
from trainer.evaluation.evaluate import trace_split
from trainer.evaluation.events import EventScores
from trainer.evaluation.thresholds import choose_policy, within_budget
from trainer.git import head_commit
from trainer.sequence_dataset import NEAR, POSITIVE, CastingSequenceDataset
from trainer.serving_graph import OPSET, ServingGraph, to_onnx
from trainer.train_sequence import TrainingRun

PARITY_ATOL = 1e-5
PARITY_BATCHES = (1, 3, 64)
GOLDEN_WINDOWS = 8


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
        predictor, parity = verify(Path(scratch) / name, draft, model, golden, graph, run)
        traces = trace_split(predictor, dataset, "validation")
    events = {trace.sequence_id: dataset.events(trace.sequence_id) for trace in traces}
    policies: dict[str, AlertPolicy] = {}
    scores: dict[str, EventScores] = {}
    for index, target in enumerate(run.validation.targets):
        policies[target], scores[target] = choose_policy(
            traces, events, target, index, run.config.alert_settings(target)
        )
    missed = [target for target, score in scores.items() if not score.caught]
    if must_catch and missed:
        raise ExportError(
            f"expected an event of the validation split caught, got none for {', '.join(missed)} at {folder}: train "
            "longer or on more data; nothing was written"
        )
    manifest = msgspec.structs.replace(draft, alert=policies, metrics=_metrics(run, scores))
    bundle = bundles.write(folder, manifest, model, golden, _other_files(run, parity))
    return Exported(bundle, scores, parity, _warnings(run, scores))


def verify(
    folder: Path, draft: Manifest, model: bytes, golden: Golden, graph: ServingGraph, run: TrainingRun
) -> tuple[Predictor, dict[int, float]]:
    """Write a bundle to a scratch folder, open it as the worker does and hold its answers against torch's.

    Returns:
        The predictor, for further use, and the largest difference at each batch size of `PARITY_BATCHES`.

    Raises:
        ExportError: the bundle cannot be opened, or an answer is more than 1e-5 off.
    """
    try:
        written = bundles.write(folder, draft, model, golden, {})
        predictor = Predictor(written, device="cpu", batch_sizes=PARITY_BATCHES, threads=run.config.threads)
    except StrandwatchError as error:
        raise ExportError(f"the exported graph cannot be served: {error}") from error
    rng = np.random.default_rng(run.config.seed)
    parity: dict[int, float] = {}
    for count in PARITY_BATCHES:
        windows = trying_windows(run.validation, count, rng)
        off = parity[count] = float(np.abs(predictor.predict(windows) - graph.expected(windows)).max())
        if not off <= PARITY_ATOL:
            raise ExportError(f"expected ONNX Runtime within {PARITY_ATOL:g} of torch, got {off:.3g} at batch {count}")
    return predictor, parity


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
        | {
            "no_event_caught": not score.caught,
            "budget_kept": within_budget(score, run.config.alert_settings(target)),
        }
        for target, score in scores.items()
    }
    window = {"roc_auc": round(best.roc_auc, 4), "pr_auc": round(best.pr_auc, 4)}
    return {"validation": {"window": window, "event": events}}


def _warnings(run: TrainingRun, scores: Mapping[str, EventScores]) -> list[str]:
    found = []
    for target, score in scores.items():
        settings = run.config.alert_settings(target)
        if not score.caught:
            found.append(
                f"no event caught: `{target}` raises no alert in time for any of {len(score.outcomes)} validation "
                "events; train longer or on more data before it is used"
            )
        if not within_budget(score, settings):
            found.append(
                f"budget not kept: `{target}` raises {score.false_per_strand_day:.2f} false alerts per strand-day on "
                f"validation at its best threshold, {settings.false_per_strand_day:.2f} are allowed"
            )
    return found


def _other_files(run: TrainingRun, parity: Mapping[int, float]) -> dict[str, bytes]:
    record = {
        **run.record(),
        "parity": {str(count): off for count, off in parity.items()},
        "versions": {"python": platform.python_version(), **_versions()},
        "windows": {
            "train": _counts(run.train),
            "validation": _counts(run.validation),
        },
    }
    return {
        "weights.safetensors": save({key: value.contiguous() for key, value in run.model.state_dict().items()}),
        "curves.svg": curves_svg(run.history).encode(),
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
