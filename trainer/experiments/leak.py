"""The leak test: a network that is taught shuffled labels must know nothing of the true ones.

    test = leak_test("data/line", load_config("tiny"), shuffles=10)
    test.mean, test.highest, test.real

Windows of the training split exchange their labels among each other, those of validation too, so that no choice of an
epoch sees the truth; then a network is trained as ever and judged by the true labels of the test split. What it scores
there beyond chance, it did not learn from labels: windows of one split would be in another, or something that is
sampled, normalised or labelled would carry the truth.

All trainings weigh positives so that they count as much as negatives. A network begins by saying one half; where that
is far off, what it learns of labels that say nothing is to say less, most of all where much is going on in a window: it
then ranks events below quiet windows, leak or no leak.

One shuffled training is no coin toss of many windows: whatever a random network answers to, it answers alike in all the
windows of a casting sequence, so that a single score may lie far from 0.5. Their mean over shuffles must not.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from trainer.config import TrainingConfig
from trainer.experiments.runs import Scores
from trainer.experiments.series import score_split
from trainer.loading.loaders import open_split, training_sampler
from trainer.train_sequence import EpochReport, StepReport, train_on_dataset

CHANCE = 0.5
TOLERANCE = 0.03
"""What the mean of ten shuffles may lie off chance."""

LEARNT = 0.8
"""A network with less says too little for a shuffle to be near it."""

OnScored = Callable[[int | None, Scores], None]
"""Called with the number of a shuffle, None for the true labels, and its scores on test."""


@dataclass(frozen=True, slots=True)
class LeakTest:
    """What came of it.

    Attributes:
        real: scores on test of the network taught the true labels.
        shuffled: of those taught shuffled ones, one a shuffle.
    """

    real: Scores
    shuffled: tuple[Scores, ...]

    @property
    def mean(self) -> float:
        """Mean test ROC-AUC over the shuffles."""
        return fmean(self._scores)

    @property
    def error(self) -> float:
        """Standard error of that mean."""
        return stdev(self._scores) / sqrt(len(self.shuffled))

    @property
    def highest(self) -> float:
        """The best test ROC-AUC of a shuffle."""
        return max(self._scores)

    @property
    def suspected(self) -> bool:
        """Whether chance does not explain the scores.

        The mean is off it by more than both `TOLERANCE` and two standard errors, or a shuffle is nearer the real
        network than chance, where that one has learnt enough to tell.
        """
        off = abs(self.mean - CHANCE) > max(TOLERANCE, 2 * self.error)
        near = self.real.roc_auc >= LEARNT and self.highest > (CHANCE + self.real.roc_auc) / 2
        return off or near

    @property
    def _scores(self) -> list[float]:
        return [scores.roc_auc for scores in self.shuffled]


def leak_test(
    data: str | Path,
    config: TrainingConfig,
    shuffles: int = 10,
    *,
    on_scored: OnScored | None = None,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> LeakTest:
    """Train once with the true labels and several times with shuffled ones.

    Args:
        data: folder of a dataset.
        config: of all trainings, but for the weight of positives; the n-th shuffle trains with the seed
            `config.seed + n` and is shuffled by n.
        shuffles: two at least.
        on_scored: told of each training's scores.
        on_epoch: told of every epoch.
        on_step: told of every step.

    Raises:
        TrainingError, UsageError, ContractError: as for `train_on_dataset`.
        ValueError: fewer than two shuffles.
    """
    if shuffles < 2:
        raise ValueError(f"expected two shuffles at least, got {shuffles}")
    config = replace(config, class_weight=_even_weight(data, config))
    scored = []
    for shuffle in (None, *range(shuffles)):
        run = train_on_dataset(
            data,
            replace(config, seed=config.seed + (shuffle or 0)),
            on_epoch=on_epoch,
            on_step=on_step,
            shuffle_labels=shuffle,
        )
        scored.append(score_split(run, "test"))
        if on_scored:
            on_scored(shuffle, scored[-1])
    return LeakTest(scored[0], tuple(scored[1:]))


def _even_weight(data: str | Path, config: TrainingConfig) -> float:
    """The weight of a positive label that makes those of an epoch count as much as the negative ones."""
    windows = open_split(data, "train", config, None, shuffle_labels=0)
    drawn = np.fromiter(training_sampler(windows, config), np.int64) % len(windows)
    labels = windows.labels[drawn]
    return float((labels == 0).sum() / (labels == 1).sum())
