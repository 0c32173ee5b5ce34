"""Scores by window: chosen on validation, told on test, None where a class is missing."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

from trainer.evaluation.comparison.calibration import BINS, Float64Array, Platt, reliability
from trainer.evaluation.comparison.judged import TargetWindows
from trainer.evaluation.comparison.kinds import Duel, duel_auc
from trainer.evaluation.comparison.models import compare_models
from trainer.evaluation.comparison.resampling import Draws, Estimate
from trainer.evaluation.comparison.scores import FALSE_SHARE, SCORES, score_windows

DRAWS = Draws.make(10, 200, 0)


def told(seed: int, size: int = 5000, prevalence: float = 0.2) -> tuple[TargetWindows, Float64Array]:
    """Windows whose probability is right: each is positive as often as it is said to be."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(np.log(prevalence / (1 - prevalence)), 1.5, size)
    said = 1 / (1 + np.exp(-logits))
    truth = rng.random(size) < said
    return TargetWindows("leak", np.arange(size), truth, rng.integers(0, 10, size)), said


def overconfident(said: Float64Array) -> Float64Array:
    logit = np.log(said / (1 - said))
    return 1 / (1 + np.exp(-(2 * logit + 1.5)))


class TestCalibration:
    def test_platt_finds_the_curve_that_undoes_the_distortion(self) -> None:
        windows, said = told(1, 20_000)
        found = Platt.fit(overconfident(said), windows.truth)
        assert found is not None
        assert found.slope == pytest.approx(0.5, abs=0.03)
        assert found.shift == pytest.approx(-0.75, abs=0.05)
        assert np.abs(found.apply(overconfident(said)) - said).max() < 0.02

    def test_without_both_classes_there_is_none(self) -> None:
        assert Platt.fit(np.array([0.1, 0.2]), np.array([False, False])) is None
        assert Platt.fit(np.array([0.1, 0.2]), np.array([True, True])) is None

    def test_certain_probabilities_stay_finite(self) -> None:
        found = Platt(1.0, 0.0).apply(np.array([0.0, 1.0]))
        assert np.isfinite(found).all()

    def test_reliability_counts_every_window_once(self) -> None:
        windows, said = told(2)
        rows = reliability(np.append(said, [0.0, 1.0]), np.append(windows.truth, [False, True]))
        assert sum(row["windows"] for row in rows) == said.size + 2
        assert {row["bin"] for row in rows} <= set(range(BINS))


class TestScores:
    def test_thresholds_and_calibration_come_from_validation(self) -> None:
        (validation, before), (test, said) = told(3), told(4)
        scores = score_windows(validation, overconfident(before), test, overconfident(said), DRAWS)
        found = {name: estimate.value for name, estimate in scores.estimates.items()}
        assert set(found) == set(SCORES)
        assert found["roc_auc"] == pytest.approx(roc_auc_score(test.truth, said))
        assert scores.threshold_f1 in overconfident(before)
        alarmed = overconfident(said) >= (scores.threshold_f1 or 0)
        assert found["f1"] == pytest.approx(f1_score(test.truth, alarmed))
        assert found["brier"] == pytest.approx(brier_score_loss(test.truth, overconfident(said)))
        assert (found["ece"] or 0) > 0.1
        assert (found["ece_calibrated"] or 1) < 0.03
        assert (found["brier"] or 0) > (found["brier_calibrated"] or 1)
        for name, estimate in scores.estimates.items():
            low, high = estimate.interval or (1, 0)
            assert low <= high, name
            if name != "ece_calibrated":  # a sum of distances: resampled it lies above itself
                assert low < (estimate.value or 0) < high, name

    def test_the_budget_is_kept_on_validation(self) -> None:
        validation, before = told(5)
        scores = score_windows(validation, before, validation, before, DRAWS)
        assert 0 < (scores.estimates["false_share"].value or 0) <= FALSE_SHARE
        coarse = np.round(before, 1)  # many say the same: all of them alarm or none
        same = score_windows(validation, coarse, validation, coarse, DRAWS)
        assert (same.estimates["false_share"].value or 0) <= FALSE_SHARE

    def test_a_missing_class_leaves_out_what_needs_it(self) -> None:
        (validation, before), (test, said) = told(6), told(7)
        nothing = TargetWindows("leak", test.kept, np.zeros_like(test.truth), test.group)
        found = score_windows(validation, before, nothing, said, DRAWS).estimates
        told_of = {name for name, estimate in found.items() if estimate.value is not None}
        assert told_of == {"brier", "brier_calibrated", "ece", "ece_calibrated"}
        silent = TargetWindows("leak", validation.kept, np.zeros_like(validation.truth), validation.group)
        scores = score_windows(silent, before, test, said, DRAWS)
        told_of = {name for name, estimate in scores.estimates.items() if estimate.value is not None}
        assert told_of == {"roc_auc", "pr_auc", "recall_at_budget", "false_share", "brier", "ece"}

    def test_few_sequences_give_no_interval(self) -> None:
        (validation, before), (test, said) = told(8), told(9)
        few = TargetWindows("leak", test.kept, test.truth, test.group % 4)
        found = score_windows(validation, before, few, said, Draws.make(4, 100, 0)).estimates
        assert found["roc_auc"].value is not None
        assert all(estimate.interval is None for estimate in found.values())


class TestDuels:
    def test_auc_is_scikit_learn_s_with_ties(self) -> None:
        rng = np.random.default_rng(0)
        said, sides = rng.integers(0, 20, 300) / 20, rng.integers(0, 3, 300)
        duel = Duel(sides == 0, sides == 1, events=1)
        kept = sides < 2
        assert duel_auc(duel, said) == pytest.approx(roc_auc_score(sides[kept] == 0, said[kept]))


class TestCompareModels:
    def test_plain_numbers_as_the_specification_says(self) -> None:
        found = compare_models({"roc_auc": 0.8, "pr_auc": 0.5}, {"roc_auc": 0.9, "pr_auc": 0.4})
        assert found["roc_auc"]["baseline"] == 0.8
        assert found["roc_auc"]["sequence"] == 0.9
        assert found["roc_auc"]["improvement"] == pytest.approx(0.1)
        assert found["pr_auc"]["improvement"] == pytest.approx(-0.1)
        assert found["roc_auc"]["interval"] is None
        assert found["roc_auc"]["engineered"] is None

    def test_replicates_make_intervals_and_what_is_missing_is_none(self) -> None:
        replicates = np.linspace(0.0, 0.2, 101)
        found = compare_models(
            {"roc_auc": Estimate(0.8, np.full(101, 0.8)), "f1": None},
            {"roc_auc": Estimate(0.9, 0.8 + replicates), "f1": 0.5},
            {"roc_auc": Estimate(0.95, np.full(101, 0.95))},
        )
        assert found["roc_auc"]["interval"] == pytest.approx([0.005, 0.195])
        assert found["roc_auc"]["engineered"] == 0.95
        assert found["roc_auc"]["over_engineered"] == pytest.approx(-0.05)
        assert found["roc_auc"]["over_engineered_interval"] == pytest.approx([-0.145, 0.045])
        assert found["f1"] == {
            "baseline": None,
            "sequence": 0.5,
            "improvement": None,
            "interval": None,
            "engineered": None,
            "over_engineered": None,
            "over_engineered_interval": None,
        }
