"""Filling and normalising: the strategies' rules, in torch and in the exported graph."""

import logging
from typing import get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from models.windows import WindowRules
from trainer.filling import backward_fill, forward_fill, interpolate
from trainer.graphs.serving_graph import OPSET, ServingGraph, to_onnx
from trainer.preprocess import MissingStrategy, NormalisationKind, Preprocess, SequencePreprocessor

STRATEGIES = get_args(MissingStrategy)

windows_with_gaps = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9),
    elements=st.one_of(st.floats(-50, 50, width=32), st.just(float("nan"))),
)


def naive_forward_fill(windows: np.ndarray) -> np.ndarray:
    filled = windows.copy()
    for row in range(1, windows.shape[1]):
        missing = np.isnan(filled[:, row])
        filled[:, row][missing] = filled[:, row - 1][missing]
    return filled


class TestForwardFill:
    @settings(deadline=None)
    @given(windows_with_gaps)
    def test_is_what_a_row_by_row_fill_gives(self, windows: np.ndarray) -> None:
        np.testing.assert_array_equal(forward_fill(torch.from_numpy(windows)).numpy(), naive_forward_fill(windows))

    @pytest.mark.parametrize("length", [1, 2, 3, 60, 119, 120, 128, 129])
    def test_carries_one_value_over_the_whole_window(self, length: int) -> None:
        windows = np.full((1, length, 1), np.nan, np.float32)
        windows[0, 0] = 7.0
        assert (forward_fill(torch.from_numpy(windows)) == 7.0).all()

    @settings(deadline=None)
    @given(windows_with_gaps, st.data())
    def test_preprocessing_never_looks_ahead(self, windows: np.ndarray, data: st.DataObject) -> None:
        sensors = windows.shape[2]
        preprocess = Preprocess(np.zeros(sensors), np.ones(sensors), np.full(sensors, 3.0), clip=8.0)
        row = data.draw(st.integers(0, windows.shape[1] - 1))
        changed = windows.copy()
        changed[:, row + 1 :] = 99.0
        before, after = (preprocess(torch.from_numpy(each)).numpy() for each in (windows, changed))
        np.testing.assert_array_equal(before[:, : row + 1], after[:, : row + 1])


def numpy_interpolate(windows: np.ndarray) -> np.ndarray:
    filled = windows.astype(np.float64)
    for window in filled:
        for column in window.T:
            there = np.flatnonzero(~np.isnan(column))
            if there.size:
                column[:] = np.interp(np.arange(column.size), there, column[there])
    return filled


class TestInterpolation:
    @settings(deadline=None)
    @given(windows_with_gaps)
    def test_is_numpy_s_within_the_window(self, windows: np.ndarray) -> None:
        found = interpolate(torch.from_numpy(windows)).numpy()
        np.testing.assert_allclose(found, numpy_interpolate(windows), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("length", [1, 2, 3, 60, 119, 120, 128, 129])
    def test_reaches_over_the_whole_window_and_beyond_its_ends_takes_the_nearest(self, length: int) -> None:
        windows = np.full((3, length, 1), np.nan, np.float32)
        windows[0, 0] = windows[1, -1] = 7.0
        windows[2, [0, -1]] = [[0.0], [length - 1.0]]
        found = interpolate(torch.from_numpy(windows)).numpy()
        assert (found[:2] == 7.0).all()
        np.testing.assert_allclose(found[2, -1], length - 1)
        np.testing.assert_allclose(found[2, 1:, 0], np.arange(1, length), rtol=1e-6)

    @settings(deadline=None)
    @given(windows_with_gaps)
    def test_backward_fill_mirrors_forward_fill(self, windows: np.ndarray) -> None:
        turned = torch.from_numpy(windows).flip(1)
        np.testing.assert_array_equal(backward_fill(turned).flip(1), forward_fill(torch.from_numpy(windows)))

    def test_readings_of_any_size_leave_a_number(self) -> None:
        windows = np.array([[[-np.inf], [np.nan], [np.inf], [np.nan], [3e38], [np.nan], [-3e38]]], np.float32)
        preprocess = Preprocess(np.zeros(1), np.ones(1), np.full(1, 2.0), 8.0, "interpolate")
        assert preprocess(torch.from_numpy(windows))[0, :, 0].tolist() == [-8.0, -8.0, 8.0, 8.0, 8.0, 0.0, -8.0]


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


@pytest.mark.parametrize("kind", ["zscore", "quantile"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_exported_graph_does_as_torch_does_without_a_loop(
    strategy: MissingStrategy, kind: NormalisationKind
) -> None:
    rng = np.random.default_rng(4)
    windows = rng.normal(20, 5, (64, 37, 3)).astype(np.float32)
    windows[rng.random(windows.shape) < 0.8] = np.nan
    windows[0], windows[1, :, 1], windows[2, 20:] = np.nan, np.nan, np.nan
    fitted = SequencePreprocessor(kind, strategy, clip=4.0).fit(list(windows))
    graph = ServingGraph(fitted.module(), Flat()).eval()
    model = to_onnx(graph, WindowRules(37, 500, 1, 5000), 3)
    used = {node.op_type for node in onnx.load_from_string(model).graph.node}
    assert not used & {"Loop", "Scan", "If", "CumSum"}
    assert OPSET == 20
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"window": windows})
    np.testing.assert_allclose(found, graph.expected(windows), atol=1e-6)
    assert np.isfinite(found).all()


class TestPreprocessor:
    def test_numbers_ignore_missing_values(self) -> None:
        rows = np.array([[1.0, 10.0], [np.nan, 20.0], [3.0, np.nan], [8.0, 60.0]], np.float32)
        fitted = SequencePreprocessor().fit([rows[:2], rows[2:]])
        np.testing.assert_allclose(fitted.center, [4.0, 30.0])
        np.testing.assert_allclose(fitted.scale, [np.std([1, 3, 8]), np.std([10, 20, 60])], rtol=1e-6)
        np.testing.assert_allclose(fitted.fill, [3.0, 20.0])

    def test_robust_numbers_are_not_moved_by_one_outlier(self) -> None:
        rows = np.linspace(-1, 1, 101, dtype=np.float32)[:, None]
        spoilt = rows.copy()
        spoilt[-1] = 1e6
        clean, dirty = (SequencePreprocessor("robust").fit([each]) for each in (rows, spoilt))
        np.testing.assert_allclose(dirty.center, clean.center)
        np.testing.assert_allclose(dirty.scale, clean.scale, rtol=1e-6)

    def test_none_leaves_engineering_units(self) -> None:
        rows = np.array([[1.0], [5.0]], np.float32)
        np.testing.assert_array_equal(SequencePreprocessor("none", clip=1e9).fit([rows]).transform([rows])[0], rows)

    def test_constant_and_absent_sensors_are_muted_whatever_they_show_later_and_are_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = np.array([[5.0, np.nan, 1.0], [5.0, np.nan, 2.0]], np.float32)
        with caplog.at_level(logging.WARNING, "trainer"):
            fitted = SequencePreprocessor().fit([rows], ["stuck", "absent", "alive"])
        assert fitted.constant_sensors == (0, 1)
        later = np.array([[40.0, 150.0, 1.5], [-1e4, np.nan, 1.5]], np.float32)
        np.testing.assert_allclose(fitted.transform([later])[0][:, :2], 0.0, atol=1e-20)
        assert all(np.isfinite(fitted.normalisation().scale))
        assert [record.message.split()[0] for record in caplog.records] == ["stuck", "absent"]
        assert np.isfinite(fitted.transform([rows])[0]).all()

    def test_correlation_is_that_of_the_filled_sensors_and_a_muted_one_has_none(self) -> None:
        rng = np.random.default_rng(5)
        rows = rng.standard_normal((500, 3)).astype(np.float32) * [1.0, 40.0, 1.0] + [0.0, 900.0, 7.0]
        rows[:, 1] += 60 * rows[:, 0]
        rows[100:150, 0] = np.nan
        rows[:, 2] = 7.0
        fitted = SequencePreprocessor().fit([rows])
        filled = rows.copy()
        filled[100:150, 0] = fitted.fill[0]
        expected = np.corrcoef(filled[:, :2].T)
        assert abs(expected[0, 1]) > 0.5
        np.testing.assert_allclose(fitted.correlation[:2, :2], expected, atol=1e-6)
        np.testing.assert_array_equal(fitted.correlation[2], [0.0, 0.0, 1.0])

    def test_leading_gaps_get_the_training_median_and_outliers_are_clipped(self) -> None:
        fitted = SequencePreprocessor(clip=4.0).fit([np.array([[0.0], [1.0], [5.0]], np.float32)])
        done = fitted.transform([np.array([[np.nan], [1e30], [-np.inf]], np.float32)])[0]
        np.testing.assert_allclose(done[:, 0], [(1.0 - 2.0) / fitted.scale[0], 4.0, -4.0], rtol=1e-6)

    def test_manifest_numbers_read_back_as_the_same_floats(self) -> None:
        rows = np.random.default_rng(0).normal(100, 3, (50, 4)).astype(np.float32)
        fitted = SequencePreprocessor().fit([rows])
        np.testing.assert_array_equal(np.array(fitted.normalisation().center, np.float32), fitted.center)
        np.testing.assert_array_equal(np.array(fitted.missing().fill, np.float32), fitted.fill)

    @pytest.mark.parametrize(("normalization", "strategy"), [("bogus", "forward_fill"), ("zscore", "guess")])
    def test_unknown_kinds_are_refused(self, normalization: str, strategy: str) -> None:
        with pytest.raises(ValueError, match="expected"):
            SequencePreprocessor(normalization, strategy)

    @pytest.mark.parametrize(
        ("strategy", "expected"),
        [
            ("forward_fill", [[4.0, 1.0, 1.0, 6.0], [4.0, 4.0, 4.0, 4.0]]),
            ("mean", [[5.0, 1.0, 5.0, 6.0], [5.0, 5.0, 5.0, 5.0]]),
            ("zero", [[0.0, 1.0, 0.0, 6.0], [0.0, 0.0, 0.0, 0.0]]),
            ("interpolate", [[1.0, 1.0, 3.5, 6.0], [4.0, 4.0, 4.0, 4.0]]),
        ],
    )
    def test_each_strategy_fills_as_it_says(self, strategy: MissingStrategy, expected: list[list[float]]) -> None:
        training = np.array([[1.0], [4.0], [np.nan], [10.0]], np.float32)
        fitted = SequencePreprocessor("none", strategy, clip=100.0).fit([training])
        window = np.array([[np.nan], [1.0], [np.nan], [6.0]], np.float32)
        empty = np.full((4, 1), np.nan, np.float32)
        np.testing.assert_array_equal([each[:, 0] for each in fitted.transform([window, empty])], expected)

    def test_minmax_maps_the_training_range_to_0_to_1(self) -> None:
        rows = np.array([[-3.0], [1.0], [5.0], [np.nan]], np.float32)
        fitted = SequencePreprocessor("minmax").fit([rows[:2], rows[2:]])
        np.testing.assert_allclose(fitted.transform([rows[:3]])[0][:, 0], [0.0, 0.5, 1.0])
        np.testing.assert_allclose(fitted.transform([np.array([[9.0]], np.float32)])[0], [[1.5]])

    @pytest.mark.parametrize("kind", get_args(NormalisationKind))
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_a_manifest_makes_the_same_module(self, kind: NormalisationKind, strategy: MissingStrategy) -> None:
        rng = np.random.default_rng(1)
        rows = rng.normal(100, 3, (50, 4)).astype(np.float32)
        rows[rng.random(rows.shape) < 0.3] = np.nan
        fitted = SequencePreprocessor(kind, strategy, clip=1e3).fit([rows])
        again = Preprocess.from_manifest(fitted.normalisation(), fitted.missing())
        windows = torch.from_numpy(rows[None])
        assert torch.equal(again(windows), fitted.module()(windows))

    def test_infinite_readings_have_no_part_in_the_numbers(self) -> None:
        rows = np.array([[1.0], [np.inf], [3.0], [-np.inf]], np.float32)
        for kind in get_args(NormalisationKind):
            spoilt, clean = (SequencePreprocessor(kind).fit([each]) for each in (rows, rows[::2]))
            assert (spoilt.center, spoilt.scale) == (clean.center, clean.scale)
            np.testing.assert_equal(spoilt.quantiles, clean.quantiles)

    @settings(deadline=None)
    @given(windows_with_gaps, st.sampled_from(STRATEGIES), st.booleans())
    def test_in_place_gives_the_very_same_numbers(
        self, windows: np.ndarray, strategy: MissingStrategy, ranked: bool
    ) -> None:
        sensors = np.arange(1, windows.shape[2] + 1, dtype=np.float32)
        quantiles = sensors[:, None] * np.array([-3, -3, 0, 1, 8], np.float32) if ranked else None
        preprocess = Preprocess(sensors, 3 * sensors, 5 * sensors, 2.0, strategy, quantiles)
        expected = preprocess(torch.from_numpy(windows))
        assert torch.equal(preprocess.overwrite(torch.from_numpy(windows.copy())), expected)

    def test_nothing_to_fit_to_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"rows and sensors \[n, s\], got shape \(3,\)"):
            SequencePreprocessor().fit(np.zeros((2, 3), np.float32))
        with pytest.raises(ValueError, match="at least one sequence"):
            SequencePreprocessor().fit([])
