"""How fast two bundles are beside each other: in one process, in turn, so that whatever slows one slows the other."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.runtime import CUDA, Predictor
from models.windows import Float32Array

RunTime = Callable[[Predictor, Float32Array], float]
"""Seconds that one run of a batch takes."""

_REPETITIONS = 21
_WINDOWS_A_REPETITION = 64
"""Small batches run several times a repetition, so that every repetition is long enough to be measured."""


@dataclass(frozen=True, slots=True)
class Race:
    """Two bundles at one batch size.

    Attributes:
        batch: windows of a run.
        before_s: median seconds of a run of the first.
        after_s: median seconds of a run of the second.
    """

    batch: int
    before_s: float
    after_s: float

    @property
    def speed_up(self) -> float:
        """How many times as fast the second is."""
        return self.before_s / self.after_s


def run_time(predictor: Predictor, batch: Float32Array) -> float:
    """Seconds of one run: on the CPU this thread's processor time, which neighbours do not lengthen; else wall time.

    The predictor runs on one thread, the caller's.
    """
    clock = time.perf_counter if predictor.provider == CUDA else time.thread_time
    started = clock()
    predictor.run(batch)
    return clock() - started


def race(
    before: Predictor,
    after: Predictor,
    windows: Float32Array,
    batches: Sequence[int],
    seconds: RunTime = run_time,
) -> list[Race]:
    """Time two bundles in turn at every batch size.

    Args:
        before: one of them, with one thread and all of `batches` among its sizes.
        after: the other.
        windows: [n, time, sensor] to run, n at least the largest batch.
        batches: sizes.
        seconds: measures one run.
    """
    results = []
    for size in batches:
        batch = windows[:size]
        runs = max(1, _WINDOWS_A_REPETITION // size)
        for predictor in (before, after):
            seconds(predictor, batch)  # caches, clock rate
        taken: list[tuple[float, float]] = []
        for number in range(_REPETITIONS):
            order = (before, after) if number % 2 == 0 else (after, before)
            first, second = (sum(seconds(predictor, batch) for _ in range(runs)) / runs for predictor in order)
            taken.append((first, second) if number % 2 == 0 else (second, first))
        results.append(
            Race(
                size,
                statistics.median(one for one, _ in taken),
                statistics.median(other for _, other in taken),
            )
        )
    return results
