"""What a poll took and gave, noted as it goes and told to the metrics at once.

    tally = Tally(metrics)
    begun = time.perf_counter()
    ...
    tally.spent("decode", begun)
    tally.tell(windows.outcomes)

Told value by value they took 22 µs of a window (EXPERIMENTS.md, 2026-11-27).
"""

import time
from collections import Counter

from models.messages import PredictionQuality
from models.windows import Outcome
from worker.metrics import Metrics

STAGES = ("decode", "windows", "batch", "inference", "alerts", "encode")


class Tally:
    """Of one pipeline.

    Attributes:
        seconds: that each stage has taken in this poll.
        qualities: how many predictions of each were made.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.qualities: Counter[PredictionQuality] = Counter()
        self._runs: list[tuple[int, float]] = []
        self._counted = dict.fromkeys(Outcome, 0)

    def spent(self, stage: str, since: float) -> float:
        """A stage took the time from a moment, by `time.perf_counter`, to now; returns now."""
        now = time.perf_counter()
        self.seconds[stage] += now - since
        return now

    def ran(self, windows: int, seconds: float) -> None:
        """The model has answered a batch."""
        self._runs.append((windows, seconds))
        self.seconds["inference"] += seconds

    @property
    def answered(self) -> int:
        """Windows that the model saw in this poll."""
        return sum(windows for windows, _ in self._runs)

    def tell(self, outcomes: dict[Outcome, int]) -> None:
        """The poll is done; `outcomes` of all scans since the start."""
        for stage, seconds in self.seconds.items():
            if seconds:
                self._metrics.stage.labels(stage).observe(seconds)
                self.seconds[stage] = 0.0
        for outcome, count in outcomes.items():
            self._metrics.samples.labels(outcome.value).inc(count - self._counted[outcome])
        self._counted = dict(outcomes)
        for quality, count in self.qualities.items():
            self._metrics.predictions.labels(quality).inc(count)
        self.qualities.clear()
        if self._runs:
            windows, took_s = zip(*self._runs, strict=True)
            self._metrics.batch_windows.observe(windows)
            self._metrics.inference.observe(took_s)
            self._runs.clear()
