"""From a scorer's probability to how often it is right: Platt's two numbers, and how far off a probability is.

Platt's logistic curve, not isotonic regression: validation holds many windows and few events, and neighbouring
windows are nearly the same, so that isotonic steps would follow single events. Two numbers cannot, they leave the
ranking as it is (and with it both AUCs), and a graph can carry them as a scale and a shift of its logits.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

BINS = 15
"""Of equal width, from 0 to 1: those of the calibration error."""

_NEAREST = 1e-7
"""Probabilities are kept this far from 0 and 1, where a logit has no end."""


@dataclass(frozen=True, slots=True)
class Platt:
    """probability = sigmoid(slope · logit + shift)."""

    slope: float
    shift: float

    @classmethod
    def fit(cls, said: Float64Array, truth: BoolArray) -> "Platt | None":
        """The most likely curve for probabilities [n] and truth [n]; None without both classes."""
        if truth.all() or not truth.any():
            return None
        # No penalty: with two numbers and thousands of windows there is nothing to hold back.
        model = LogisticRegression(C=np.inf, max_iter=1000).fit(_logit(said)[:, None], truth)
        return cls(float(model.coef_[0, 0]), float(model.intercept_[0]))

    def apply(self, said: Float64Array) -> Float64Array:
        """Calibrated probabilities of probabilities."""
        calibrated: Float64Array = 1 / (1 + np.exp(-(self.slope * _logit(said) + self.shift)))
        return calibrated


def _logit(said: Float64Array) -> Float64Array:
    inside = np.clip(said, _NEAREST, 1 - _NEAREST)
    logit: Float64Array = np.log(inside) - np.log1p(-inside)
    return logit


def bin_of(said: Float64Array) -> npt.NDArray[np.int64]:
    """The bin of each probability, 0 to BINS - 1."""
    return np.minimum((said * BINS).astype(np.int64), BINS - 1)


def calibration_error(said: Float64Array, truth: BoolArray) -> float:
    """Mean distance, over the windows [n], between a bin's mean probability and its share of positives; n above 0."""
    excess = np.bincount(bin_of(said), weights=said - truth, minlength=BINS)
    return float(np.abs(excess).sum()) / said.size


def reliability(said: Float64Array, truth: BoolArray) -> list[dict[str, float | int]]:
    """For each bin with windows: how many, the mean probability, and the share of them that was positive."""
    which = bin_of(said)
    rows: list[dict[str, float | int]] = []
    for number in range(BINS):
        inside = which == number
        count = int(np.count_nonzero(inside))
        if count:
            mean, share = float(said[inside].mean()), float(truth[inside].mean())
            rows.append({"bin": number, "windows": count, "mean": round(mean, 4), "positive_share": round(share, 4)})
    return rows
