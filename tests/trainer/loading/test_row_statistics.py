"""Statistics in bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainer.loading.row_statistics import RunningStatistics

columns = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 60), st.just(2)),
    elements=st.one_of(st.floats(-1e4, 1e4, width=32), st.just(float("nan"))),
)


def of_parts(rows: np.ndarray, cuts: list[int], sampled_rows: int) -> RunningStatistics:
    running = RunningStatistics(rows.shape[1], sampled_rows)
    for part in np.split(rows, sorted(cuts)):
        running.add(part)
    return running


@settings(deadline=None)
@given(columns, st.lists(st.integers(0, 60), max_size=4))
def test_moments_and_extremes_are_those_of_all_rows_however_they_are_cut(rows: np.ndarray, cuts: list[int]) -> None:
    found = of_parts(rows, cuts, 8).result()
    for column, values in enumerate(rows.T.astype(np.float64)):
        known = values[~np.isnan(values)]
        assert found.absent[column] == (known.size == 0)
        if known.size:
            expected = known.mean(), known.std(), known.min(), known.max()
            have = (part[column] for part in (found.mean, found.deviation, found.low, found.high))
            assert list(have) == pytest.approx(expected, rel=1e-6, abs=1e-3)


@settings(deadline=None)
@given(st.integers(1, 400), st.lists(st.integers(0, 400), max_size=6))
def test_the_sample_is_every_so_many_th_row_and_never_longer_than_allowed(count: int, cuts: list[int]) -> None:
    running = of_parts(np.arange(count, dtype=np.float32)[:, None], cuts, 16)
    sample = running._sample[:, 0]
    step = 1
    while -(-count // step) > 16:
        step *= 2
    np.testing.assert_array_equal(sample, np.arange(0, count, step))


def test_quartiles_of_a_sample_are_near_those_of_all() -> None:
    rows = np.random.default_rng(0).normal(5, 2, (100_000, 1)).astype(np.float32)
    found = of_parts(rows, [30_000, 31_000], 20_000).result()
    np.testing.assert_allclose(found.quartiles[:, 0], np.percentile(rows, [25, 50, 75]), atol=0.05)


def test_a_sensor_that_spoke_only_between_the_sampled_rows_has_its_mean_for_quartiles() -> None:
    rows = np.full((64, 1), np.nan, np.float32)
    rows[[33, 35]] = [[2.0], [4.0]]
    np.testing.assert_array_equal(of_parts(rows, [], 16).result().quartiles[:, 0], [3.0, 3.0, 3.0])
