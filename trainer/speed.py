"""How fast things are beside each other: in one process, in turn, so that whatever slows one slows the others."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

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


Measured = TypeVar("Measured")


def in_turn(measures: Sequence[Callable[[], Measured]], runs: Sequence[int], rounds: int) -> list[list[list[Measured]]]:
    """Measure several things in turn, round by round; each round begins with another of them.

    Args:
        measures: each measures one run of one thing.
        runs: of each in a round.
        rounds: how many.

    Returns:
        For each thing its rounds, for each round its runs.
    """
    taken: list[list[list[Measured]]] = [[] for _ in measures]
    for number in range(rounds):
        for place in range(len(measures)):
            which = (number + place) % len(measures)
            taken[which].append([measures[which]() for _ in range(runs[which])])
    return taken


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
        measures = [partial(seconds, predictor, batch) for predictor in (before, after)]
        first, second = (
            statistics.median(statistics.fmean(one) for one in taken)
            for taken in in_turn(measures, [runs, runs], _REPETITIONS)
        )
        results.append(Race(size, first, second))
    return results
