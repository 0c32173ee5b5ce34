"""Batches to probabilities."""

from collections.abc import Iterator

from models.runtime import Predictor
from worker.records import Batch, GivenUp, Scored


class Inference:
    """Runs the model on padded batches and gives every due scan its probabilities."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def run(self, batch: Batch) -> list[Scored | GivenUp]:
        """Score a batch; entries keep their order, warming scans get None."""
        answers: Iterator[list[float]] = iter(())
        if batch.count:
            answers = iter(self._predictor.run(batch.windows)[: batch.count].tolist())
        return [
            entry if isinstance(entry, GivenUp) else Scored(entry, tuple(next(answers)) if entry.is_full else None)
            for entry in batch.entries
        ]
