"""`compare_models`: what a sequence model is worth above a baseline, score by score, and how sure that is."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainer.evaluation.comparison.resampling import Estimate

Results = Mapping[str, Estimate | float | None]
"""Scores by name: a number, or a number with its replicates; None where it cannot be told."""

DIGITS = 5


def compare_models(
    baseline_results: Results, sequence_results: Results, engineered_results: Results | None = None
) -> dict[str, dict[str, Any]]:
    """Compare baseline and sequence model, score by score.

    Args:
        baseline_results: of the baseline that the sequence model is held against.
        sequence_results: of the sequence model; its scores are the ones compared.
        engineered_results: of a second, stronger baseline; None if there is none.

    Returns:
        By score: `baseline`, `sequence`, `improvement` (sequence - baseline), its 95 % `interval` [low, high] (None
        for results without replicates), and `engineered`, `over_engineered` (sequence - engineered),
        `over_engineered_interval`. Everything may be None.
    """
    return {
        score: _compared(
            _estimate(baseline_results, score), _estimate(sequence_results, score), _estimate(engineered_results, score)
        )
        for score in sequence_results
    }


def _compared(baseline: Estimate, sequence: Estimate, engineered: Estimate) -> dict[str, Any]:
    above, above_engineered = sequence - baseline, sequence - engineered
    return {
        "baseline": rounded(baseline.value),
        "sequence": rounded(sequence.value),
        "improvement": rounded(above.value),
        "interval": rounded_interval(above),
        "engineered": rounded(engineered.value),
        "over_engineered": rounded(above_engineered.value),
        "over_engineered_interval": rounded_interval(above_engineered),
    }


def _estimate(results: Results | None, score: str) -> Estimate:
    found = None if results is None else results.get(score)
    return found if isinstance(found, Estimate) else Estimate(found, np.empty(0))


def rounded(value: float | None) -> float | None:
    """For JSON."""
    return None if value is None else round(float(value), DIGITS)


def rounded_interval(estimate: Estimate) -> list[float] | None:
    """For JSON: [low, high]."""
    interval = estimate.interval
    return None if interval is None else [round(bound, DIGITS) for bound in interval]
