"""How sure a difference is: the test split's casting sequences drawn anew, many times.

A bootstrap over whole *sequences*: windows of one sequence are nearly the same and no evidence of their own. Every
scorer is judged on the same draws, so that what is hard for both cancels in their difference. A training's luck is
drawn too: in each replicate each contestant's seeds are drawn anew, with replacement, and averaged. Intervals are the
percentiles 2.5 and 97.5.

What cannot be told: a replicate without positives (or negatives) of a target has no AUC and is left out; where more
than half of them are, or with fewer than `FEWEST_SEQUENCES` sequences, there is no interval.

An AUC of a replicate is made from histograms by sequence: `RANKS` bins over a scorer's own ranks, exact where it says
no more different numbers than that, otherwise off by less than 1 / RANKS.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.windows import Int64Array
from trainer.evaluation.comparison.calibration import BoolArray, Float64Array

RANKS = 4096
FEWEST_SEQUENCES = 5
_AT_ONCE = 128
"""Replicates whose histograms are in memory at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """R replicates of S sequences.

    Attributes:
        counts: float64 [R, S], how often each sequence was drawn; each row sums to S.
        seed: of the draws; those of a contestant's seeds follow from it.
    """

    counts: Float64Array
    seed: int

    @classmethod
    def make(cls, sequences: int, replicates: int, seed: int) -> "Draws":
        """Draw; the same numbers draw the same."""
        rng = np.random.default_rng([seed, 0])
        even = np.full(sequences, 1 / sequences) if sequences else np.empty(0)
        drawn = rng.multinomial(sequences, even, size=replicates) if sequences else np.empty((replicates, 0))
        return cls(drawn.astype(np.float64), seed)

    @property
    def enough(self) -> bool:
        """Whether there are sequences enough for an interval."""
        return int(self.counts.shape[1]) >= FEWEST_SEQUENCES

    def sums(self, group: Int64Array, *values: npt.ArrayLike) -> list[Float64Array]:
        """The sum of each of the values [n] over the windows drawn, [R] each."""
        size = self.counts.shape[1]
        by_sequence = [np.bincount(group, np.asarray(value, np.float64), minlength=size) for value in values]
        return [self.counts @ sums for sums in by_sequence]

    def seeds(self, contestant: int, seeds: int) -> Float64Array:
        """The share of each of a contestant's seeds in each replicate, [R, seeds]."""
        rng = np.random.default_rng([self.seed, 1, contestant])
        drawn = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(self.counts))
        shares: Float64Array = drawn / seeds
        return shares


def resampled_auc(
    said: Float64Array, truth: BoolArray, group: Int64Array, draws: Draws, ranks: int = RANKS
) -> tuple[Float64Array, Float64Array]:
    """ROC-AUC and PR-AUC (average precision) of each replicate, [R] each, NaN where a class is missing.

    Args:
        said: [m] probabilities.
        truth: [m].
        group: [m] each window's sequence.
        draws: of the sequences.
        ranks: bins at most.
    """
    which, bins = _ranked(said, truth, ranks)
    size = draws.counts.shape[1]
    by_class = [
        np.bincount(group[chosen] * bins + which[chosen], minlength=size * bins).reshape(size, bins).astype(np.float64)
        for chosen in (truth, ~truth)
    ]
    roc, pr = [np.empty(0)], [np.empty(0)]
    for first in range(0, len(draws.counts), _AT_ONCE):
        counts = draws.counts[first : first + _AT_ONCE]
        found = _auc_of(counts @ by_class[0], counts @ by_class[1])
        roc.append(found[0])
        pr.append(found[1])
    return np.concatenate(roc), np.concatenate(pr)


def _ranked(said: Float64Array, truth: BoolArray, ranks: int) -> tuple[Int64Array, int]:
    """Each window's bin, the lowest probabilities in the first, and how many bins there are."""
    edges = np.unique(said)
    if len(edges) > ranks:
        # Half of the bins share out the positives evenly and half the negatives: few of a class share a bin, and only
        # a positive and a negative in one bin cost anything.
        shares = np.linspace(0, 1, ranks // 2, endpoint=False)
        parts = [np.quantile(said[one], shares, method="inverted_cdf") for one in (truth, ~truth) if one.any()]
        edges = np.unique(np.concatenate(parts))
    return np.searchsorted(edges[1:], said, side="right"), max(1, len(edges))


def _auc_of(positive: Float64Array, negative: Float64Array) -> tuple[Float64Array, Float64Array]:
    """ROC-AUC and average precision of histograms [R, bins] over ascending probabilities."""
    positive, negative = positive[:, ::-1], negative[:, ::-1]  # from the highest down
    caught, false = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    positives, negatives = caught[:, -1], false[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        roc = np.sum(negative * (caught - positive / 2), axis=1) / (positives * negatives)
        alarmed = caught + false
        precision = np.divide(caught, alarmed, out=np.zeros_like(caught), where=alarmed > 0)
        pr = np.sum(positive * precision, axis=1) / positives
    missing = (positives == 0) | (negatives == 0)
    return np.where(missing, np.nan, roc), np.where(missing, np.nan, pr)


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A number and what the replicates make of it.

    Attributes:
        value: on the split as it is; None where a class is missing.
        replicates: float64 [R], NaN where undefined; empty where there are no intervals.
    """

    value: float | None
    replicates: Float64Array

    def __sub__(self, other: "Estimate") -> "Estimate":
        """The difference, replicate by replicate."""
        value = None if self.value is None or other.value is None else self.value - other.value
        if len(self.replicates) != len(other.replicates):
            return Estimate(value, np.empty(0))
        return Estimate(value, self.replicates - other.replicates)

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval; None where it cannot be told."""
        defined = self.replicates[~np.isnan(self.replicates)]
        if self.value is None or not defined.size or 2 * defined.size < self.replicates.size:
            return None
        low, high = np.percentile(defined, (2.5, 97.5))
        return float(low), float(high)


def mean_estimate(parts: list[Estimate], shares: Float64Array | None = None) -> Estimate:
    """The mean of estimates, of those that have a value; None without any.

    Args:
        parts: over seeds, or over targets.
        shares: [R, parts] of each part in each replicate; None: all alike.
    """
    parts_of = [(number, part) for number, part in enumerate(parts) if part.value is not None]
    values = [part.value for _, part in parts_of if part.value is not None]
    if not values:
        return Estimate(None, np.empty(0))
    value = float(np.mean(values))
    if any(not part.replicates.size for _, part in parts_of):
        return Estimate(value, np.empty(0))
    stacked = np.stack([part.replicates for _, part in parts_of], axis=1)
    if shares is None:
        return Estimate(value, stacked.mean(axis=1))
    chosen = shares[:, [number for number, _ in parts_of]]
    return Estimate(value, (stacked * chosen).sum(axis=1))
