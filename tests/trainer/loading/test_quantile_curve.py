"""Readings as ranks among the training readings: against numpy's interpolation, at ties, beyond the ends."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.windows import Float32Array
from trainer.preprocess import SequencePreprocessor
from trainer.quantile_curve import PIECES, QuantileCurve, quantiles_of

readings = st.floats(-50, 50, width=32).map(lambda number: round(number, 1))  # many of them the same
trainings = hnp.arrays(np.float32, st.tuples(st.integers(1, 80), st.just(2)), elements=readings)


def curve_of(rows: Float32Array) -> QuantileCurve:
    return QuantileCurve(quantiles_of(rows, np.zeros(rows.shape[1])), np.full(rows.shape[1], 10.0, np.float32))


def normalised(curve: QuantileCurve, values: Float32Array) -> Float32Array:
    found: Float32Array = curve(torch.from_numpy(values.astype(np.float32))[None])[0].numpy()
    return found


@settings(deadline=None)
@given(trainings, hnp.arrays(np.float32, (20, 2), elements=st.floats(-80, 80, width=32)))
def test_within_the_training_readings_it_is_their_rank_and_beyond_a_z_score(
    rows: Float32Array, values: Float32Array
) -> None:
    found = normalised(curve_of(rows), values)
    for sensor in range(2):
        at = np.linspace(0, 1, PIECES + 1)
        quantiles = np.quantile(rows[:, sensor].astype(np.float64), at)
        points = np.unique(np.float32(quantiles))
        middle = [at[np.float32(quantiles) == point].mean() for point in points]
        rank = np.interp(values[:, sensor], points, middle)
        beyond = values[:, sensor] - np.clip(values[:, sensor], points[0], points[-1])
        np.testing.assert_allclose(found[:, sensor], (rank - 0.5) * np.sqrt(12) + beyond / 10, atol=2e-4)


@settings(deadline=None)
@given(trainings, hnp.arrays(np.float32, (4, 9, 2), elements=st.floats(-80, 80, width=32)))
def test_it_never_falls_and_in_place_gives_the_very_same(rows: Float32Array, windows: Float32Array) -> None:
    curve = curve_of(rows)
    rising = np.sort(windows.reshape(-1, 2), axis=0)
    assert (np.diff(normalised(curve, rising), axis=0) >= -1e-5).all()
    expected = curve(torch.from_numpy(windows))
    assert torch.equal(curve.overwrite(torch.from_numpy(windows.copy())), expected)


def test_training_readings_of_any_shape_come_out_level_and_of_deviation_1() -> None:
    rng = np.random.default_rng(3)
    two_levels = np.where(rng.random(5000) < 0.4, 32.0, 125.0) + rng.normal(0, 0.3, 5000)
    rows = np.stack([two_levels, np.exp(rng.normal(0, 3, 5000))], axis=1).astype(np.float32)
    (done,) = SequencePreprocessor("quantile").fit([rows]).transform([rows])
    np.testing.assert_allclose(done.mean(0), 0.0, atol=0.02)
    np.testing.assert_allclose(done.std(0), 1.0, atol=0.02)
    # Half a unit at one of the levels: next to nothing of a spread of 45, much of the ranks there.
    fault = np.float32([[32.5, 1.0], [32.0, 1.0]])
    ranked, scored = (SequencePreprocessor(kind).fit([rows]).transform([fault])[0] for kind in ("quantile", "zscore"))
    assert ranked[0, 0] - ranked[1, 0] > 0.5
    assert scored[0, 0] - scored[1, 0] < 0.02


def test_a_reading_that_most_rows_share_has_their_middle_rank() -> None:
    rows = np.float32([[0.0], *[[5.0]] * 98, [9.0]])
    found = normalised(curve_of(rows), np.float32([[5.0], [0.0], [9.0]]))
    np.testing.assert_allclose(found[:, 0], [0.0, -np.sqrt(3), np.sqrt(3)], atol=1e-6)


def test_a_sensor_that_never_moved_or_never_spoke_is_muted_and_infinite_readings_are_clipped() -> None:
    rows = np.float32([[5.0, np.nan, 1.0], [5.0, np.nan, 2.0]])
    fitted = SequencePreprocessor("quantile", clip=4.0).fit([rows])
    (done,) = fitted.transform([np.float32([[40.0, 150.0, np.inf], [-1e4, -7.0, -np.inf]])])
    np.testing.assert_allclose(done, [[0.0, 0.0, 4.0], [0.0, 0.0, -4.0]], atol=1e-20)


def test_the_correlation_is_that_of_the_ranks() -> None:
    rows = np.random.default_rng(8).normal(size=(3000, 1)).astype(np.float32)
    both = np.concatenate([rows, np.exp(3 * rows)], axis=1)
    ranks, values = (SequencePreprocessor(kind).fit([both]).correlation[0, 1] for kind in ("quantile", "zscore"))
    assert ranks == pytest.approx(1.0, abs=0.01)
    assert values < 0.5
