"""Batches to probabilities, several batches side by side where there are processors for it."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from models.runtime import Predictor
from worker.records import Batch, GivenUp, Scored


class Answered(NamedTuple):
    """A batch's entries in their order, and how long the model took, seconds."""

    entries: Sequence[Scored | GivenUp]
    seconds: float


class Inference:
    """Runs the model on padded batches and gives every due scan its probabilities.

    Args:
        predictor: whose model it is.
        side_by_side: batches that run at once, each on one thread. ONNX Runtime holds no lock meanwhile, so the next
            windows are collected beside it.
    """

    def __init__(self, predictor: Predictor, side_by_side: int = 1) -> None:
        self._predictor = predictor
        self.side_by_side = side_by_side
        self._threads = ThreadPoolExecutor(side_by_side, "inference") if side_by_side > 1 else None

    def begin(self, batch: Batch) -> Callable[[], Answered]:
        """Run a batch, at once if there is a thread for it and else when its answer is asked for."""
        if self._threads is None or not batch.count:
            return partial(self.run, batch)
        return self._threads.submit(self.run, batch).result

    def close(self) -> None:
        """Begin no batch that has not begun."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def run(self, batch: Batch) -> Answered:
        """Score a batch here and now; warming scans get None."""
        answers: Iterator[list[float]] = iter(())
        began_s = time.perf_counter()
        if batch.count:
            answers = iter(self._predictor.run(batch.windows)[: batch.count].tolist())
        seconds = time.perf_counter() - began_s
        entries = [
            entry if isinstance(entry, GivenUp) else Scored(entry, tuple(next(answers)) if entry.is_full else None)
            for entry in batch.entries
        ]
        return Answered(entries, seconds)
