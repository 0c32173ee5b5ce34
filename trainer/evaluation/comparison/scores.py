"""One scorer's windows of one target: what it is worth on test, with everything chosen on validation.

- `roc_auc`, `pr_auc`: of the ranking; PR-AUC is average precision.
- `f1`: at the threshold with the largest F1 on validation.
- `recall_at_budget`: the share of positive windows that reach the lowest threshold that at most `FALSE_SHARE` of
  validation's negative windows reach; `false_share`: of test's negative windows, those that reach it.
- `brier`, `ece`: mean squared error of the probability, and calibration error over `BINS` bins of equal width.
- `brier_calibrated`, `ece_calibrated`: the same after Platt's calibration on validation.

Without both classes on test only Brier and calibration error are told; without both on validation, nothing that is
chosen there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from trainer.evaluation.comparison.calibration import (
    BINS,
    BoolArray,
    Float64Array,
    Platt,
    bin_of,
    calibration_error,
)
from trainer.evaluation.comparison.judged import TargetWindows
from trainer.evaluation.comparison.resampling import Draws, Estimate, resampled_auc

FALSE_SHARE = 0.01
SCORES = (
    "roc_auc",
    "pr_auc",
    "f1",
    "recall_at_budget",
    "false_share",
    "brier",
    "brier_calibrated",
    "ece",
    "ece_calibrated",
)


@dataclass(frozen=True, slots=True, eq=False)
class WindowScores:
    """Scores of one scorer and target.

    Attributes:
        estimates: by score.
        threshold_f1: chosen on validation; None without both classes there.
        threshold_budget: chosen on validation; None without negatives there.
        platt: fitted on validation; None without both classes there.
    """

    estimates: Mapping[str, Estimate]
    threshold_f1: float | None
    threshold_budget: float | None
    platt: Platt | None


def validation_roc_auc(windows: TargetWindows, said: Float64Array) -> float | None:
    """ROC-AUC of probabilities [m]; None without both classes."""
    return float(roc_auc_score(windows.truth, said)) if windows.has_both else None


def score_windows(
    validation: TargetWindows, said_before: Float64Array, test: TargetWindows, said: Float64Array, draws: Draws
) -> WindowScores:
    """Score one scorer's probabilities of one target.

    Args:
        validation: where thresholds and calibration are chosen.
        said_before: its probabilities of them.
        test: where it is judged.
        said: its probabilities of them.
        draws: of the test split's sequences.
    """
    platt = Platt.fit(said_before, validation.truth)
    threshold_f1 = _best_f1(said_before, validation.truth) if validation.has_both else None
    threshold_budget = _at_budget(said_before[~validation.truth])
    found = {name: Estimate(None, np.empty(0)) for name in SCORES}
    if test.has_both:
        roc, pr = resampled_auc(said, test.truth, test.group, draws)
        found["roc_auc"] = _estimate(float(roc_auc_score(test.truth, said)), roc, draws)
        found["pr_auc"] = _estimate(float(average_precision_score(test.truth, said)), pr, draws)
        if threshold_f1 is not None:
            found["f1"] = _f1(said >= threshold_f1, test, draws)
        if threshold_budget is not None:
            alarmed = said >= threshold_budget
            found["recall_at_budget"] = _share(alarmed, test.truth, test, draws)
            found["false_share"] = _share(alarmed, ~test.truth, test, draws)
    if test.truth.size:
        calibrated = {"": said} | ({} if platt is None else {"_calibrated": platt.apply(said)})
        for ending, probabilities in calibrated.items():
            found[f"brier{ending}"] = _brier(probabilities, test, draws)
            found[f"ece{ending}"] = _ece(probabilities, test, draws)
    return WindowScores(found, threshold_f1, threshold_budget, platt)


def _best_f1(said: Float64Array, truth: BoolArray) -> float:
    precision, recall, thresholds = precision_recall_curve(truth, said)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)[:-1]
    return float(thresholds[int(np.argmax(f1))])


def _at_budget(negatives: Float64Array) -> float | None:
    """The lowest threshold that at most `FALSE_SHARE` of the negatives reach."""
    if not negatives.size:
        return None
    allowed = int(FALSE_SHARE * negatives.size)
    # Just above the first that would be one too many: it, and all that say the same, stay silent.
    return float(np.nextafter(np.sort(negatives)[-allowed - 1], np.inf))


def _estimate(value: float, replicates: Float64Array, draws: Draws) -> Estimate:
    return Estimate(value, replicates if draws.enough else np.empty(0))


def _f1(alarmed: BoolArray, windows: TargetWindows, draws: Draws) -> Estimate:
    hits = alarmed & windows.truth
    caught, said, true = draws.sums(windows.group, hits, alarmed, windows.truth)
    value = 2 * np.count_nonzero(hits) / (np.count_nonzero(alarmed) + np.count_nonzero(windows.truth))
    return _estimate(float(value), np.where(true > 0, _ratio(2 * caught, said + true), np.nan), draws)


def _share(alarmed: BoolArray, among: BoolArray, windows: TargetWindows, draws: Draws) -> Estimate:
    part, whole = draws.sums(windows.group, alarmed & among, among)
    return _estimate(float(np.mean(alarmed[among])), _ratio(part, whole), draws)


def _brier(said: Float64Array, windows: TargetWindows, draws: Draws) -> Estimate:
    squares = (said - windows.truth) ** 2
    total, count = draws.sums(windows.group, squares, np.ones_like(squares))
    return _estimate(float(squares.mean()), _ratio(total, count), draws)


def _ece(said: Float64Array, windows: TargetWindows, draws: Draws) -> Estimate:
    """The calibration error, and that of each replicate."""
    which, excess = bin_of(said), said - windows.truth
    off, count = np.zeros(len(draws.counts)), draws.sums(windows.group, np.ones_like(said))[0]
    for number in range(BINS):
        inside = np.where(which == number, excess, 0.0)
        off += np.abs(draws.sums(windows.group, inside)[0])
    return _estimate(calibration_error(said, windows.truth), _ratio(off, count), draws)


def _ratio(part: Float64Array, whole: Float64Array) -> Float64Array:
    ratio: Float64Array = np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0)
    return ratio
