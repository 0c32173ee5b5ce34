"""One bundle's whole profile: what it is made of, and what training and answering with it cost.

    profile = profile_bundle(read("casting-cnn-lstm"), dataset=Dataset.open("data/line"))

torch, ONNX Runtime and ONNX Runtime in int8 take turns within one process, each on one thread, on the CPU and, where
there is one, on a CUDA GPU. The int8 graph is made only to be timed: whether it may be released, `trainer quantize`
decides.
"""

import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from models import bundle as bundles
from models.bundle import Bundle
from models.errors import BundleError, ContractError, UsageError, mismatch
from models.manifest import MODEL_FILE
from models.runtime import Predictor, why_no_cuda
from models.windows import Float32Array
from trainer.datasets.dataset import Dataset
from trainer.device import one_thread_each
from trainer.errors import ExportError
from trainer.experiments.runs import RunRow
from trainer.export import WEIGHTS_FILE, load_model, versions
from trainer.graphs.serving_graph import RawModel
from trainer.profiling.machine import this_machine
from trainer.profiling.memory import PeakMemory, Work, peak_memory
from trainer.profiling.operations import count_operations
from trainer.profiling.records import Bar, Profile
from trainer.profiling.timing import Runner, Timing, onnx_runner, time_runners, torch_runner
from trainer.profiling.training import training_cost, training_record
from trainer.quantize import to_int8
from trainer.quantized_bundle import sample_windows

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
INT8 = "onnxruntime int8"

SPECIFIED_MS = 100.0
"""What the specification allows a sequence."""

OURS_MS = 10.0
"""What we allow 99 of 100 answers at batch 1 on one CPU core, for a window of 240 x 20."""

_CALIBRATION = 512


def profile_bundle(
    bundle: Bundle,
    *,
    dataset: Dataset | None = None,
    rows: Sequence[RunRow] = (),
    batches: Sequence[int] = BATCHES,
    rounds: int = 7,
    seconds: float = 0.3,
    memory: bool = True,
    advance: Callable[[float], None] | None = None,
) -> Profile:
    """Measure a bundle.

    Args:
        bundle: as read.
        dataset: whose test windows are run and whose training windows calibrate int8; None for the golden windows.
        rows: trainings; those of the bundle's configuration on its data tell what training takes.
        batches: windows of a run, the sizes to time, 1 among them.
        rounds: of all runtimes.
        seconds: about how long each runs in a round at each size.
        memory: whether to measure peak memory too, in a process of its own for each kind of work.
        advance: told of every batch size timed.

    Raises:
        UsageError: the dataset lacks a sensor of the bundle, or batch 1 is not asked for.
    """
    if 1 not in batches:
        raise UsageError(mismatch("batch 1 among the sizes", ", ".join(map(str, batches)), "--batch"))
    manifest, machine = bundle.manifest, this_machine()
    left_out: dict[str, str] = {}
    windows = _windows(bundle, dataset, max(batches))
    model = _torch_model(bundle, left_out)
    with tempfile.TemporaryDirectory() as scratch, one_thread_each():
        int8 = _int8(bundle, dataset, Path(scratch) / manifest.name, left_out)
        peaks = _memory(bundle, model, int8, max(batches), left_out) if memory else {}
        timings, moved = _timings(bundle, model, int8, windows, batches, rounds, seconds, advance, left_out)
    if not memory:
        left_out["memory"] = "not asked for"
    served = next(entry for entry in timings if (entry.runtime, entry.device, entry.batch) == ("onnxruntime", "cpu", 1))
    length, sensors = manifest.window.length, len(manifest.sensors)
    return Profile(
        model=manifest.model,
        model_sha256=manifest.model_sha256,
        model_type=manifest.architecture.get("model_type"),
        window=(length, sensors),
        targets=tuple(manifest.targets),
        measured=datetime.now(UTC).date().isoformat(),
        machine=machine,
        load_after=this_machine().load,
        versions=versions(),
        parameters=manifest.architecture.get("parameters"),
        operations=None if model is None else count_operations(model.model, length, sensors),
        bytes=_sizes(bundle, int8),
        training=training_cost(bundle, rows),
        memory=peaks,
        windows="golden windows" if dataset is None else "windows of the dataset's test split",
        timings=tuple(timings),
        int8_moved=moved,
        bars=(
            Bar("a sequence (specification): p99 at batch 1", SPECIFIED_MS, served.latency_ms.p99),
            Bar(f"p99 at batch 1 on one CPU core, {length} x {sensors}", OURS_MS, served.latency_ms.p99),
        ),
        left_out=left_out,
    )


def _windows(bundle: Bundle, dataset: Dataset | None, count: int) -> Float32Array:
    if dataset is not None:
        return sample_windows(dataset, bundle.manifest, "test", count)
    golden = bundle.golden.windows
    return np.resize(golden, (max(count, len(golden)), *golden.shape[1:]))


def _torch_model(bundle: Bundle, left_out: dict[str, str]) -> RawModel | None:
    try:
        return load_model(bundle)
    except ContractError as error:
        left_out["torch"] = str(error)
        return None


def _int8(bundle: Bundle, dataset: Dataset | None, folder: Path, left_out: dict[str, str]) -> Bundle | None:
    """The int8 graph in the bundle's place, for timing; its golden windows are the other's and not kept to."""
    if "quantised" in bundle.manifest.training:
        left_out[INT8] = "the bundle is quantised already: what is timed as onnxruntime is that"
        return None
    manifest = bundle.manifest
    chosen = bundle.golden.windows if dataset is None else sample_windows(dataset, manifest, "train", _CALIBRATION)
    try:
        return bundles.write(folder, manifest, to_int8(bundle.model, chosen), bundle.golden, {})
    except (UsageError, ExportError, BundleError) as error:
        left_out[INT8] = str(error)
        return None


def _memory(
    bundle: Bundle, model: RawModel | None, int8: Bundle | None, batch: int, left_out: dict[str, str]
) -> dict[str, PeakMemory]:
    asked: list[tuple[str, Work, Bundle, int]] = [("onnxruntime", "onnxruntime", bundle, batch)]
    if int8 is not None:
        asked.append((INT8, "onnxruntime", int8, batch))
    if model is not None:
        own = int(training_record(bundle).get("config", {}).get("batch_size", 0))
        asked.append(("torch", "torch", bundle, batch))
        asked += [("training step", "training step", bundle, own)] if own else []
    found = {name: peak_memory(work, of.path, size) for name, work, of, size in asked}
    if None in found.values():
        left_out["memory"] = "the system does not tell a process's peak"
    return {name: peak for name, peak in found.items() if peak is not None}


def _timings(
    bundle: Bundle,
    model: RawModel | None,
    int8: Bundle | None,
    windows: Float32Array,
    batches: Sequence[int],
    rounds: int,
    seconds: float,
    advance: Callable[[float], None] | None,
    left_out: dict[str, str],
) -> tuple[list[Timing], float | None]:
    """All timings, and by how much the int8 graph's answers lie from the other's."""
    sizes = tuple(sorted(set(batches)))
    plain, moved = Predictor(bundle, device="cpu", batch_sizes=sizes), None
    runners = [onnx_runner("onnxruntime", plain)]
    if int8 is not None:
        small = Predictor(int8, device="cpu", batch_sizes=sizes, replay=False)
        moved = float(np.abs(small.predict(windows) - plain.predict(windows)).max())
        runners.append(onnx_runner(INT8, small))
    if model is not None:
        runners.append(torch_runner(model, "cpu"))
    timings = time_runners(runners, windows, sizes, rounds=rounds, seconds=seconds, advance=advance)
    on_gpu: list[Runner] = []
    missing = why_no_cuda()
    if missing is None:
        on_gpu.append(onnx_runner("onnxruntime", Predictor(bundle, device="cuda", batch_sizes=sizes)))
    else:
        left_out["onnxruntime on cuda"] = missing
    if model is not None and torch.cuda.is_available():
        on_gpu.append(torch_runner(model, "cuda"))
    elif model is not None:
        left_out["torch on cuda"] = "torch finds no CUDA GPU"
    if on_gpu:
        timings += time_runners(on_gpu, windows, sizes, rounds=rounds, seconds=seconds)
    return timings, moved


def _sizes(bundle: Bundle, int8: Bundle | None) -> dict[str, int]:
    files = [path for path in bundle.path.iterdir() if path.is_file()]
    sizes = {"bundle": sum(path.stat().st_size for path in files), MODEL_FILE: len(bundle.model)}
    if (bundle.path / WEIGHTS_FILE).is_file():
        sizes[WEIGHTS_FILE] = (bundle.path / WEIGHTS_FILE).stat().st_size
    return sizes if int8 is None else {**sizes, "int8": len(int8.model)}
