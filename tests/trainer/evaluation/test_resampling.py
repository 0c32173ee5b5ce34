"""Resampled AUCs are those of the windows drawn; intervals are told where they can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from trainer.evaluation.comparison.calibration import BoolArray, Float64Array
from trainer.evaluation.comparison.resampling import Draws, Estimate, mean_estimate, resampled_auc


def drawn(counts: list[int], group: np.ndarray, *columns: np.ndarray) -> list[np.ndarray]:
    """The windows of sequences that were drawn so often, each as often."""
    times = np.array(counts)[group]
    return [np.repeat(column, times) for column in columns]


@st.composite
def windows(draw: st.DrawFn) -> tuple[Float64Array, BoolArray, np.ndarray, list[int]]:
    size = draw(st.integers(2, 40))
    said = draw(st.lists(st.sampled_from(np.linspace(0, 1, 9).tolist()), min_size=size, max_size=size))
    truth = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    group = draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    counts = draw(st.lists(st.integers(0, 3), min_size=4, max_size=4))
    return np.array(said), np.array(truth), np.array(group), counts


class TestResampledAuc:
    @given(windows())
    @settings(deadline=None, max_examples=100)
    def test_is_scikit_learn_s_of_the_windows_drawn(
        self, case: tuple[Float64Array, BoolArray, np.ndarray, list[int]]
    ) -> None:
        said, truth, group, counts = case
        roc, pr = resampled_auc(said, truth, group, Draws(np.array([counts], np.float64), 0))
        said, truth = drawn(counts, group, said, truth)
        if truth.any() and not truth.all():
            assert roc[0] == pytest.approx(roc_auc_score(truth, said), abs=1e-12)
            assert pr[0] == pytest.approx(average_precision_score(truth, said), abs=1e-12)
        else:
            assert np.isnan(roc[0])
            assert np.isnan(pr[0])

    @given(st.integers(0, 10**6), st.sampled_from([0.5, 0.02]))
    @settings(deadline=None, max_examples=15)
    def test_is_near_it_with_fewer_bins_than_numbers(self, seed: int, prevalence: float) -> None:
        rng = np.random.default_rng(seed)
        truth = rng.random(4000) < prevalence
        said = 1 / (1 + np.exp(-rng.normal(2.0 * truth, 1)))
        group = rng.integers(0, 8, 4000)
        draws = Draws.make(8, 3, seed)
        ranks = 256
        roc, pr = resampled_auc(said, truth, group, draws, ranks)
        for number, counts in enumerate(draws.counts.astype(int).tolist()):
            said_then, truth_then = drawn(counts, group, said, truth)
            assert roc[number] == pytest.approx(roc_auc_score(truth_then, said_then), abs=1 / ranks)
            assert pr[number] == pytest.approx(average_precision_score(truth_then, said_then), abs=0.02)


class TestDraws:
    def test_the_same_numbers_draw_the_same_and_others_differ(self) -> None:
        one, same, other = (Draws.make(6, 50, seed) for seed in (1, 1, 2))
        assert np.array_equal(one.counts, same.counts)
        assert not np.array_equal(one.counts, other.counts)
        assert (one.counts.sum(axis=1) == 6).all()
        assert np.allclose(one.seeds(0, 5).sum(axis=1), 1)
        assert np.array_equal(one.seeds(0, 5), same.seeds(0, 5))
        assert not np.array_equal(one.seeds(0, 5), one.seeds(1, 5))

    def test_sums_count_a_sequence_as_often_as_it_was_drawn(self) -> None:
        draws = Draws(np.array([[2.0, 0.0], [0.0, 1.0]]), 0)
        (sums,) = draws.sums(np.array([0, 0, 1]), [1.0, 2.0, 10.0])
        assert sums.tolist() == [6.0, 10.0]


class TestEstimates:
    def test_the_interval_holds_the_middle_95_per_cent_and_leaves_undefined_replicates_out(self) -> None:
        replicates = np.linspace(0, 1, 1001)
        assert Estimate(0.5, replicates).interval == pytest.approx((0.025, 0.975))
        some = np.concatenate([replicates, np.full(1001, np.nan)])
        assert Estimate(0.5, some).interval == pytest.approx((0.025, 0.975))
        assert Estimate(0.5, np.append(some, np.nan)).interval is None
        assert Estimate(0.5, np.empty(0)).interval is None
        assert Estimate(None, replicates).interval is None

    def test_what_is_hard_for_both_cancels_in_the_difference(self) -> None:
        luck = np.random.default_rng(0).normal(0, 1, 500)
        above = Estimate(0.8, luck + 0.8) - Estimate(0.7, luck + 0.7)
        assert above.value == pytest.approx(0.1)
        assert above.interval == pytest.approx((0.1, 0.1))

    def test_the_mean_is_over_what_has_a_value_and_by_the_shares_drawn(self) -> None:
        parts = [Estimate(1.0, np.array([1.0, 1.0])), Estimate(None, np.empty(0)), Estimate(3.0, np.array([3.0, 3.0]))]
        assert mean_estimate(parts).value == 2.0
        shares = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        assert mean_estimate(parts, shares).replicates.tolist() == [1.0, 3.0]
        assert mean_estimate([parts[1]]).value is None
