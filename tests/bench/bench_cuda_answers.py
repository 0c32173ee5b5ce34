"""Answering on a CUDA device: batches of each size in float32 and fp16, beside the bare network in torch, in float32.

The graph copies windows there and answers back, fills and normalises; the bare network finds its windows prepared. Also
which share of a graph's nodes the device computes: ONNX Runtime gives the CPU, in silence, what it has no kernel for.
Without a device there is nothing to measure, and the page says so.
"""

import gc
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime as ort
import torch
from results import REPETITIONS, Absent, Row, row
from torch import Tensor

from models import bundle as bundles
from models.bundle import Bundle
from models.manifest import INPUT_NAME, OUTPUT_NAME
from models.runtime import CPU, CUDA, CUDA_OPTIONS, Predictor, why_no_cuda
from models.windows import Float32Array
from trainer.export import load_model
from trainer.graphs.serving_graph import RawModel
from trainer.profiling.timing import Runner, Timing, onnx_runner, time_runners
from trainer.quantize import to_fp16

BUNDLES = ("casting-cnn-lstm", "casting-lstm", "casting-attention-lstm")
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
TURN_S = 0.3
BARE = "bare network"


def rows() -> Iterator[Row | Absent]:
    """Measure; nothing without a device."""
    missing = why_no_cuda()
    if missing is None and not torch.cuda.is_available():
        missing = "torch finds no CUDA device"
    if missing is not None:
        yield Absent(f"answering on CUDA (batches of each size, fp16, against the bare network): {missing}")
        return
    gc.collect()
    torch.cuda.empty_cache()  # what torch holds back ONNX Runtime cannot have
    for name in BUNDLES:
        yield from answers(bundles.read(name), "cuda", torch.cuda.get_device_name(), BATCHES, TURN_S)


def answers(
    bundle: Bundle, device: Literal["cpu", "cuda"], on: str, batches: tuple[int, ...], seconds: float
) -> Iterator[Row]:
    """A bundle's rows on one device.

    Args:
        bundle: float32, with its weights.
        device: `cuda` or `cpu`.
        on: the device's name, for people.
        batches: windows of a run.
        seconds: about how long each runtime runs in a repetition, at each size.
    """
    with tempfile.TemporaryDirectory() as scratch:
        half = bundles.write(Path(scratch) / "fp16", bundle.manifest, to_fp16(bundle.model), bundle.golden, {})
        predictors = {
            # What fp16 answers is not the golden probabilities; `trainer quantize` judges whether it is good enough.
            "float32": Predictor(bundle, device=device, batch_sizes=batches, bound=True),
            "fp16": Predictor(half, device=device, batch_sizes=batches, bound=True, replay=False),
        }
        for precision, one in (("float32", bundle), ("fp16", half)):
            count = nodes_by_provider(one.model, predictors[precision].provider, bundle.golden.windows)
            share = 100 * count[predictors[precision].provider] / count.total()
            name = f"{bundle.manifest.name}, {precision}, {on}: nodes computed there"
            yield row(name, [share], "%", f"all {count.total()}", 100.0, 1.0)
        runners = [onnx_runner(precision, predictor) for precision, predictor in predictors.items()]
        runners.append(bare_network(load_model(bundle), device))
        windows = np.resize(bundle.golden.windows, (max(batches), *bundle.golden.windows.shape[1:]))
        timings = time_runners(runners, windows, batches, rounds=REPETITIONS, seconds=seconds)
    bare = {one.batch: one.windows_per_second.median for one in timings if one.runtime == BARE}
    yield from (_row(bundle.manifest.name, on, one, bare[one.batch]) for one in timings if one.runtime != BARE)


def bare_network(model: RawModel, device: str) -> Runner:
    """The network in torch without preprocessing, on windows that are prepared and on the device already."""
    model = model.to(device)

    def prepared(batch: Float32Array) -> Callable[[], object]:
        with torch.inference_mode():
            windows = model.preprocess(torch.from_numpy(batch).to(device))

        def answer() -> Tensor:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # as ONNX Runtime does
                return model.model.predict_proba(windows).cpu()  # fetching the answer waits for the device

        return answer

    return Runner(BARE, device, prepared)


def nodes_by_provider(model: bytes, provider: str, windows: Float32Array) -> Counter[str]:
    """How many nodes of the graph, as ONNX Runtime rewrote it, each provider computes; copies are no nodes."""
    with tempfile.TemporaryDirectory() as scratch:
        options = ort.SessionOptions()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(scratch) / "run")
        wanted = [(CUDA, CUDA_OPTIONS), CPU] if provider == CUDA else [CPU]
        session = ort.InferenceSession(model, options, providers=wanted)
        session.run([OUTPUT_NAME], {INPUT_NAME: windows})
        events = json.loads(Path(session.end_profiling()).read_bytes())
    computed = {
        (event["name"], event["args"]["provider"])
        for event in events
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time") and "Memcpy" not in event["name"]
    }
    return Counter(one for _, one in computed)


def _row(bundle: str, on: str, timing: Timing, bare: float) -> Row:
    speed = timing.windows_per_second
    name = f"{bundle}, {timing.runtime}, batch {timing.batch}, {on}"
    against = f"{bare:,.0f} of the bare network in float32"
    return Row(name, speed.median, speed.low, speed.high, "windows/s", against, speed.median / bare, None, None)
