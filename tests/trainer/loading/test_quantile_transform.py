"""Readings as ranks among the training readings: against numpy's interpolation, at ties, in the tails."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.windows import Float32Array
from trainer.preprocess import SequencePreprocessor
from trainer.quantile_transform import LEAST_WIDTH, PIECES, TAIL, QuantileTransform, quantiles_of

SCALE = 10.0
whole_numbers = st.integers(-30, 30)
any_trainings = hnp.arrays(np.float32, st.tuples(st.integers(1, 80), st.just(2)), elements=whole_numbers)
any_windows = hnp.arrays(np.float32, (4, 9, 2), elements=st.floats(-300, 300, width=32))


def fitted(rows: Float32Array) -> QuantileTransform:
    return QuantileTransform(quantiles_of(rows, np.zeros(rows.shape[1])), np.full(rows.shape[1], SCALE, np.float32))


def normalised(transform: QuantileTransform, values: Float32Array) -> Float32Array:
    found: Float32Array = transform(torch.from_numpy(values.astype(np.float32))[None])[0].numpy()
    return found


@settings(deadline=None)
@given(
    st.lists(whole_numbers, min_size=1, max_size=80),
    hnp.arrays(np.float32, 20, elements=st.floats(-300, 300, width=32)),
)
def test_between_the_quantiles_it_is_the_rank_and_beyond_them_a_distance(
    readings: list[int], values: Float32Array
) -> None:
    rows = np.array(readings, np.float32)
    found = normalised(fitted(rows[:, None]), values[:, None])[:, 0]
    quantiles = np.quantile(rows, np.linspace(TAIL, 1 - TAIL, PIECES + 1), method="inverted_cdf")
    points = np.unique(quantiles)
    ranks = [np.linspace(0, 1, PIECES + 1)[quantiles == point].mean() for point in points]
    expected = (np.interp(values, points, ranks) - 0.5) * np.sqrt(12)
    expected += (values - np.clip(values, points[0], points[-1])) / SCALE
    np.testing.assert_allclose(found, expected, atol=1e-3)


@settings(deadline=None)
@given(any_trainings, any_windows)
def test_it_never_falls_and_in_place_gives_the_very_same(rows: Float32Array, windows: Float32Array) -> None:
    transform = fitted(rows)
    assert (np.diff(normalised(transform, np.sort(windows.reshape(-1, 2), axis=0)), axis=0) >= -1e-5).all()
    expected = transform(torch.from_numpy(windows))
    assert torch.equal(transform.overwrite(torch.from_numpy(windows.copy())), expected)


def test_a_fault_at_one_of_two_levels_is_told_and_the_training_readings_come_out_even() -> None:
    rng = np.random.default_rng(3)
    two_levels = np.where(rng.random(5000) < 0.4, 32.0, 125.0) + rng.normal(0, 0.3, 5000)
    rows = np.stack([two_levels, rng.normal(0, 3, 5000)], axis=1).astype(np.float32)
    (done,) = SequencePreprocessor("quantile").fit([rows]).transform([rows])
    np.testing.assert_allclose(done.mean(0), 0.0, atol=0.02)
    np.testing.assert_allclose(done.std(0), 1.0, atol=0.03)
    # Half a unit at one of the levels: next to nothing of a spread of 45, much of the ranks there.
    fault = np.array([[32.5, 1.0], [32.0, 1.0]], np.float32)
    ranked, scored = (SequencePreprocessor(kind).fit([rows]).transform([fault])[0] for kind in ("quantile", "zscore"))
    assert ranked[0, 0] - ranked[1, 0] > 0.5
    assert scored[0, 0] - scored[1, 0] < 0.02


@pytest.mark.parametrize("stray", [10.0, 1e4, 1e30])
def test_faults_and_stray_readings_of_the_training_data_do_not_squeeze_the_tails(stray: float) -> None:
    rows = np.random.default_rng(6).normal(size=(40_000, 1)).astype(np.float32)
    rows[::300] = stray
    transform = SequencePreprocessor("quantile").fit([rows])
    (done,) = transform.transform([np.array([[0.0], [4.0], [6.0], [9.0]], np.float32)])
    assert done[0, 0] == pytest.approx(0.0, abs=0.05)
    np.testing.assert_allclose(np.diff(done[1:, 0]), [2.0, 3.0], rtol=0.1)  # strays count as readings, no more


@pytest.mark.parametrize("stray", [None, 1e6, 1e30])
def test_a_sensor_that_mostly_rests_keeps_its_ranks_whatever_strays(stray: float | None) -> None:
    rng = np.random.default_rng(4)
    rows = np.where(rng.random((20_000, 1)) < 0.8, 0.0, rng.uniform(1, 10, (20_000, 1))).astype(np.float32)
    if stray:
        rows[77] = stray
    (done,) = (
        SequencePreprocessor("quantile").fit([rows]).transform([np.array([[0.0], [2.0], [5.0], [9.5]], np.float32)])
    )
    np.testing.assert_allclose(done[:, 0], [-0.35, 1.12, 1.37, 1.71], atol=0.06)


def test_a_reading_that_most_rows_share_has_their_middle_rank() -> None:
    rows = np.array([[0.0]] * 20 + [[5.0]] * 160 + [[9.0]] * 20, np.float32)
    found = normalised(fitted(rows), np.array([[5.0], [0.0], [9.0], [7.0]], np.float32))[:, 0]
    assert found[0] == pytest.approx(0.0, abs=0.02)
    assert found[1] == pytest.approx(-found[2], abs=1e-6)
    assert found[2] == pytest.approx(0.45 * np.sqrt(12), abs=0.07)  # the middle of the upper tenth
    assert found[3] == pytest.approx(found[2] / 2, abs=0.03)


def test_readings_that_only_rounding_tells_apart_are_not_told_apart() -> None:
    above = np.nextafter(np.float32(125.0), np.float32(200.0))
    rows = np.array([[125.0], [above]] * 50, np.float32)
    found = normalised(fitted(rows), np.array([[125.0], [above], [125.0 + SCALE * LEAST_WIDTH]], np.float32))[:, 0]
    assert found[1] - found[0] < 0.01
    assert found[2] - found[0] > 0.5


def test_a_sensor_that_never_moved_or_never_spoke_is_muted_and_infinite_readings_are_clipped() -> None:
    rows = np.array([[5.0, np.nan, 1.0], [5.0, np.nan, 2.0]], np.float32)
    preprocessor = SequencePreprocessor("quantile", clip=4.0).fit([rows])
    (done,) = preprocessor.transform([np.array([[40.0, 150.0, np.inf], [-1e4, -7.0, -np.inf]], np.float32)])
    np.testing.assert_allclose(done, [[0.0, 0.0, 4.0], [0.0, 0.0, -4.0]], atol=1e-20)


def test_a_sensor_that_the_sample_has_not_got_stands_at_what_it_is_given() -> None:
    rows = np.array([[1.0, np.nan], [2.0, np.nan]], np.float32)
    np.testing.assert_array_equal(quantiles_of(rows, np.array([0.0, 7.0]))[1], np.full(PIECES + 1, 7.0))


def test_the_correlation_is_that_of_the_ranks() -> None:
    rows = np.random.default_rng(8).normal(size=(3000, 1)).astype(np.float32)
    both = np.concatenate([rows, np.exp(3 * rows)], axis=1)
    ranks, values = (SequencePreprocessor(kind).fit([both]).correlation[0, 1] for kind in ("quantile", "zscore"))
    assert ranks > 0.9
    assert values < 0.5
