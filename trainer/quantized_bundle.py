"""A bundle in less precision, written only if it is as good as the one it was made from, and faster.

    made = quantize_bundle(read("casting-cnn-lstm"), Dataset.open("data/line"), Path("runs/int8"), name="int8")

The new graph is held to four things, on windows of the dataset's test split: it answers all golden windows; a window's
answer does not depend on its neighbours or on the size of the batch; no target loses more than 0.005 ROC-AUC; and it
is at no batch size slower and over all of them at least 5 % faster, with one thread. Golden probabilities are the new
graph's own: they prove that a provider computes what was judged here.
"""

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from models import bundle as bundles
from models import manifest as manifests
from models.bundle import Bundle, Golden
from models.errors import ProviderError, UsageError, mismatch
from models.manifest import LOOSEST_ATOL, Manifest
from models.runtime import BATCH_SIZES, Device, Predictor, why_no_cuda
from models.windows import Float32Array, gather_windows, plan_windows
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Split
from trainer.errors import QuantisationError
from trainer.evaluation.evaluate import Evaluation, evaluate_bundle
from trainer.evaluation.traces import Advance, sensor_columns
from trainer.export import RECORD_FILE
from trainer.git import head_commit
from trainer.quantize import to_fp16, to_int8
from trainer.speed import Race, RunTime, race, run_time

Kind = Literal["int8", "fp16"]

MAX_LOSS = 0.005
"""ROC-AUC that a target may lose."""

MIN_SPEED_UP = 1.05
"""Over all batch sizes, geometric mean; less is within the noise of a shared machine."""

RACE_BATCHES = (1, 8, 64)

_DEVICES: dict[Kind, Device] = {"int8": "cpu", "fp16": "cuda"}
_SAMPLE = 512
"""Windows to calibrate with, and to compare batches with."""

_LAST_BIT = 2.0**-23
_NUDGES = 16


@dataclass(frozen=True, slots=True)
class Quantised:
    """A written bundle and what it was found to be.

    Attributes:
        bundle: as read back.
        kind: of the precision.
        before: scores of the bundle it was made from, on the test split.
        after: its own.
        races: its speed beside the other's, by batch size.
        neighbours: by how much an answer moved with the batch at most, absolute.
        size: bytes of the graph before and after.
    """

    bundle: Bundle
    kind: Kind
    before: Evaluation
    after: Evaluation
    races: list[Race]
    neighbours: float
    size: tuple[int, int]


def quantize_bundle(
    source: Bundle,
    dataset: Dataset,
    folder: Path,
    *,
    name: str,
    kind: Kind = "int8",
    device: Device | None = None,
    batches: Sequence[int] = RACE_BATCHES,
    max_loss: float = MAX_LOSS,
    seconds: RunTime = run_time,
    advance: Advance | None = None,
) -> Quantised:
    """Quantise, judge, time, and write.

    Args:
        source: a float32 bundle.
        dataset: what it was trained on, or another with the same sensors; calibration takes its training split.
        folder: the new bundle's; replaced if it exists.
        name: the new bundle's.
        kind: `int8` for the CPU, `fp16` for the GPU.
        device: where to judge and time; None for where the kind belongs.
        batches: windows of a run, the sizes to time.
        max_loss: ROC-AUC that a target may lose.
        seconds: measures one run.
        advance: told of every sequence judged, twice those of the test split.

    Raises:
        UsageError: the bundle is quantised already, or nothing of it can be; the dataset does not fit it.
        ProviderError: the device is not there: what cannot be timed cannot be shown to be faster.
        QuantisationError: worse, not faster, or dependent on the batch; nothing was written.
    """
    manifest = source.manifest
    if "quantised" in manifest.training:
        raise UsageError(mismatch("a float32 bundle", f"{manifest.model}, quantised already", str(source.path)))
    device = device or _DEVICES[kind]
    missing = why_no_cuda() if device == "cuda" else None
    if missing:
        raise ProviderError(
            mismatch(f"a CUDA GPU to show that {kind} is faster on", missing, f"--kind {kind}")
            + ": quantise where the model is to be served; nothing was written"
        )
    sizes = tuple(sorted({*BATCH_SIZES, *batches}))
    before = Predictor(source, device=device, batch_sizes=sizes)
    windows = sample_windows(dataset, manifest, "test", max(_SAMPLE, sizes[-1]))
    model = (
        to_int8(source.model, sample_windows(dataset, manifest, "train", _SAMPLE))
        if kind == "int8"
        else to_fp16(source.model)
    )
    draft = _draft(source, name, kind)
    with tempfile.TemporaryDirectory() as scratch:
        golden, draft = _golden(Path(scratch), source, draft, model, device)
        written = bundles.write(Path(scratch) / name, draft, model, golden, {})
        after = Predictor(written, device=device, batch_sizes=sizes)
        neighbours = _neighbours(after, windows)
        races = race(before, after, windows, batches, seconds)
        scores = [evaluate_bundle(predictor, dataset, "test", advance) for predictor in (before, after)]
    _refuse_if_worse(kind, scores[0], scores[1], races, neighbours, max_loss)
    size = len(source.model), len(model)
    record = _record(source, kind, scores[0], scores[1], races, neighbours, size)
    training = {**manifest.training, "quantised": record}
    bundle = bundles.write(folder, msgspec.structs.replace(draft, training=training), model, golden, _kept(source))
    return Quantised(bundle, kind, scores[0], scores[1], races, neighbours, size)


def sample_windows(dataset: Dataset, manifest: Manifest, split: Split, count: int) -> Float32Array:
    """About `count` windows [n, time, sensor] of a split, at random and mixed, the same ones every time.

    Raises:
        UsageError: the dataset lacks a sensor of the bundle, or the split has no window.
    """
    columns = sensor_columns(manifest, dataset)
    infos = dataset.sequences(split)
    rng = np.random.default_rng(0)
    parts: list[Float32Array] = []
    for info in infos:
        sequence = dataset.load(info.sequence_id)
        plan = plan_windows(sequence.event_time_ms, sequence.strand_id, manifest.window)
        full = np.flatnonzero(plan.full)
        chosen = rng.choice(full, min(full.size, -(-count // len(infos))), replace=False)
        parts.append(gather_windows(sequence.values[:, columns], plan, chosen, manifest.window.length))
    found = np.concatenate(parts) if parts else np.empty((0, 0, 0), np.float32)
    if not len(found):
        raise UsageError(mismatch(f"windows of the split `{split}`", "none", str(dataset.path)))
    return np.ascontiguousarray(np.resize(rng.permutation(found), (max(count, len(found)), *found.shape[1:])))


def _draft(source: Bundle, name: str, kind: Kind) -> Manifest:
    return msgspec.structs.replace(
        source.manifest,
        name=name,
        version=f"{source.manifest.version}-{kind}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=head_commit(),
        metrics={},
    )


def _golden(scratch: Path, source: Bundle, draft: Manifest, model: bytes, device: Device) -> tuple[Golden, Manifest]:
    """The golden windows with the new graph's own probabilities, and how far another processor's may lie from them.

    In less precision a last bit can tip a value into the next step. How much that moves is found by nudging the golden
    windows by a last bit, several times; another processor's answer may lie twice as far away.
    """
    windows = source.golden.windows
    predictor = Predictor(
        bundles.write(scratch / "first", draft, model, source.golden, {}), device=device, replay=False
    )
    answer = predictor.predict(windows)
    rng = np.random.default_rng(0)
    moved = 0.0
    for _ in range(_NUDGES):
        nudged = windows * (1 + _LAST_BIT * rng.choice([-1, 1], windows.shape))
        moved = max(moved, float(np.abs(predictor.predict(nudged.astype(np.float32)) - answer).max()))
    wanted, usual = min(2 * moved, LOOSEST_ATOL), manifests.Golden()
    tolerance = manifests.Golden(max(usual.cpu_atol, wanted), max(usual.cuda_atol, wanted))
    return Golden(windows, answer), msgspec.structs.replace(draft, golden=tolerance)


def _neighbours(predictor: Predictor, windows: Float32Array) -> float:
    """By how much answers differ between the batch sizes, and with other neighbours in the largest of them."""
    largest = predictor.batch_sizes[-1]
    answers = predictor.predict(windows)
    moved = [np.abs(predictor.predict(windows[::-1]) - answers[::-1])]
    for size in predictor.batch_sizes:
        some = windows[: max(size, largest) // size * size]
        parts = [predictor.run(some[first : first + size]) for first in range(0, len(some), size)]
        moved.append(np.abs(np.concatenate(parts) - answers[: len(some)]))
    return max(float(part.max()) for part in moved)


def _refuse_if_worse(
    kind: Kind, before: Evaluation, after: Evaluation, races: Sequence[Race], neighbours: float, max_loss: float
) -> None:
    model, usual = before.manifest.model, manifests.Golden()
    problems = []
    # fp16 rounds to eleven bits, and how it rounds depends on the order of a sum.
    atol = usual.cpu_atol if kind == "int8" else usual.cuda_atol
    if not neighbours <= atol:
        problems.append(mismatch(f"answers within {atol:g} whatever the batch", f"{neighbours:.3g}", "the test split"))
    for target, scores in before.targets.items():
        was, now = scores.roc_auc, after.targets[target].roc_auc
        if was is None or now is None:
            raise UsageError(mismatch(f"windows of both classes of `{target}`", "one class", "the test split"))
        if was - now > max_loss:
            got = f"{now:.4f} after {was:.4f} ({was - now:.4f} less)"
            problems.append(mismatch(f"at most {max_loss:g} ROC-AUC less than {model}", got, f"`{target}`"))
    if min(entry.speed_up for entry in races) < 1 or overall(races) < MIN_SPEED_UP:
        each = ", ".join(f"{entry.speed_up:.2f} at batch {entry.batch}" for entry in races)
        wanted = f"{MIN_SPEED_UP:g} times the speed of {model} over all and at no batch size less than it"
        problems.append(mismatch(wanted, f"{overall(races):.2f} ({each})", after.provider))
    if problems:
        raise QuantisationError(f"{'; '.join(problems)}: keep the float32 bundle; nothing was written")


def overall(races: Sequence[Race]) -> float:
    """The geometric mean of the speed-ups."""
    return float(np.exp(np.mean([np.log(entry.speed_up) for entry in races])))


def _record(
    source: Bundle,
    kind: Kind,
    before: Evaluation,
    after: Evaluation,
    races: Sequence[Race],
    neighbours: float,
    size: tuple[int, int],
) -> dict[str, Any]:
    """For the manifest: what it was made from, and what was measured."""
    return {
        "kind": kind,
        "from": source.manifest.model,
        "from_sha256": source.manifest.model_sha256,
        "data_fingerprint": after.dataset.info.fingerprint,
        "split": "test",
        "roc_auc": {
            target: {"before": _rounded(before.targets[target].roc_auc), "after": _rounded(scores.roc_auc)}
            for target, scores in after.targets.items()
        },
        "events_caught": {
            target: {"before": before.targets[target].events.caught, "after": scores.events.caught}
            for target, scores in after.targets.items()
        },
        "speed": {
            str(entry.batch): {
                "before_ms": round(1e3 * entry.before_s, 4),
                "after_ms": round(1e3 * entry.after_s, 4),
                "speed_up": round(entry.speed_up, 3),
            }
            for entry in races
        },
        "neighbours": neighbours,
        "bytes": {"before": size[0], "after": size[1]},
        "provider": after.provider,
        "processor": platform.processor() or platform.machine(),
    }


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def _kept(source: Bundle) -> dict[str, bytes]:
    """The training record goes along, for training anew; not the weights: this graph no longer computes with them."""
    return {RECORD_FILE: bundles.read_file(source, RECORD_FILE)} if RECORD_FILE in source.manifest.files else {}
