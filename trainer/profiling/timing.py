"""How long answers take: several runtimes in turn, batch by batch."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from models.runtime import CUDA, Predictor
from models.windows import Float32Array
from trainer.graphs.serving_graph import RawModel
from trainer.speed import in_turn

LEAST_RUNS = 3
MOST_RUNS = 2000


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Milliseconds of a run: of all runs of all rounds together."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure a round: their median, the lowest and the highest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Timing:
    """One runtime at one batch size.

    Attributes:
        runtime: `torch`, `onnxruntime` or `onnxruntime int8`.
        device: `cpu` or `cuda`.
        batch: windows of a run.
        rounds: how many, each runtime in each.
        runs: of all rounds together.
        latency_ms: by the clock on the wall: what whoever waits for an answer waits.
        processor_ms: processor time of the calling thread, which other processes do not lengthen; None on a GPU.
        round_p50_ms: of the rounds' median latencies.
        windows_per_second: by the clock on the wall.
    """

    runtime: str
    device: str
    batch: int
    rounds: int
    runs: int
    latency_ms: Quantiles
    processor_ms: Quantiles | None
    round_p50_ms: Spread
    windows_per_second: Spread


@dataclass(frozen=True, slots=True)
class Runner:
    """A runtime with a model in it, on one thread.

    Attributes:
        runtime: its name.
        device: `cpu` or `cuda`.
        prepared: from a batch [b, time, sensor] to a function that answers it once and returns when it is done.
    """

    runtime: str
    device: str
    prepared: Callable[[Float32Array], Callable[[], object]]


def onnx_runner(name: str, predictor: Predictor) -> Runner:
    """A graph on ONNX Runtime; the predictor must have one thread and every batch size among its own."""
    device = "cuda" if predictor.provider == CUDA else "cpu"

    def prepared(batch: Float32Array) -> Callable[[], object]:
        return lambda: predictor.run(batch)

    return Runner(name, device, prepared)


def torch_runner(model: RawModel, device: str) -> Runner:
    """The network in torch, preprocessing and sigmoid included; answers come back to the host."""
    model = model.to(device)

    def prepared(batch: Float32Array) -> Callable[[], object]:
        windows = torch.from_numpy(batch)
        # There and back is part of it, as with ONNX Runtime; fetching the answer waits for the GPU.
        return lambda: model.predict_proba(windows.to(device)).cpu()

    return Runner("torch", device, prepared)


def time_runners(
    runners: Sequence[Runner],
    windows: Float32Array,
    batches: Sequence[int],
    *,
    rounds: int,
    seconds: float,
    advance: Callable[[float], None] | None = None,
) -> list[Timing]:
    """Time all runners at every batch size: each is warmed, then all take turns, round by round.

    Args:
        runners: at least one; torch's must find its number of threads set to one.
        windows: [n, time, sensor] to run, n at least the largest batch.
        batches: sizes.
        rounds: how many.
        seconds: about how long each runs in a round; at least `LEAST_RUNS` runs.
        advance: told of every batch size done.
    """
    found: list[Timing] = []
    for size in batches:
        batch = np.ascontiguousarray(windows[:size])
        answers = [runner.prepared(batch) for runner in runners]
        runs = [_runs_within(answer, seconds) for answer in answers]
        taken = in_turn([_Stopwatch(answer) for answer in answers], runs, rounds)
        found += [_timing(runner, size, own) for runner, own in zip(runners, taken, strict=True)]
        if advance:
            advance(1)
    return found


def _runs_within(answer: Callable[[], object], seconds: float) -> int:
    """Warm it, and see how many runs fit."""
    answer()
    began_s = time.perf_counter()
    for _ in range(LEAST_RUNS):
        answer()
    one_s = (time.perf_counter() - began_s) / LEAST_RUNS
    return int(min(max(seconds / one_s, LEAST_RUNS), MOST_RUNS))


@dataclass(frozen=True, slots=True)
class _Stopwatch:
    """One run: seconds on the wall, and of this thread's processor time."""

    answer: Callable[[], object]

    def __call__(self) -> tuple[float, float]:
        wall_s, processor_s = time.perf_counter(), time.thread_time()
        self.answer()
        return time.perf_counter() - wall_s, time.thread_time() - processor_s


def _timing(runner: Runner, size: int, rounds: Sequence[Sequence[tuple[float, float]]]) -> Timing:
    walls = [[wall for wall, _ in one] for one in rounds]
    return Timing(
        runtime=runner.runtime,
        device=runner.device,
        batch=size,
        rounds=len(rounds),
        runs=sum(len(one) for one in rounds),
        latency_ms=quantiles([1e3 * wall for one in walls for wall in one]),
        processor_ms=None
        if runner.device == "cuda"
        else quantiles([1e3 * processor for one in rounds for _, processor in one]),
        round_p50_ms=_spread([1e3 * statistics.median(one) for one in walls]),
        windows_per_second=_spread([size * len(one) / sum(one) for one in walls]),
    )


def quantiles(milliseconds: Sequence[float]) -> Quantiles:
    """Of any number of runs, at least one."""
    p50, p95, p99 = (float(value) for value in np.quantile(milliseconds, (0.5, 0.95, 0.99)))
    return Quantiles(round(p50, 4), round(p95, 4), round(p99, 4))


def _spread(values: Sequence[float]) -> Spread:
    return Spread(*(round(value, 4) for value in (statistics.median(values), min(values), max(values))))


def fastest(timings: Sequence[Timing]) -> Mapping[tuple[str, str], Timing]:
    """By runtime and device, the batch size with the most windows a second."""
    best: dict[tuple[str, str], Timing] = {}
    for timing in timings:
        key = timing.runtime, timing.device
        if key not in best or timing.windows_per_second.median > best[key].windows_per_second.median:
            best[key] = timing
    return best
