"""What moves the features and what does not, what becomes of missing values, and which sensors belong together."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.features import CASTING_SENSORS, Sensor
from models.windows import Float32Array
from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.window_features import FeatureKind, WindowFeatures
from trainer.window_features.blocks import Chunk
from trainer.window_features.roles import find_roles

PERIOD_MS = 500
KINDS: tuple[FeatureKind, ...] = ("summary", "engineered")
PLANT = (
    Sensor("stopper_position_pct", "%", 0.0, 100.0),
    Sensor("mould_level_mm", "mm", -60.0, 60.0),
    Sensor("mould_tc_upper_left_c", "°C", 0.0, 400.0),
    Sensor("mould_tc_lower_left_c", "°C", 0.0, 400.0),
)
UPPER, LOWER = 2, 3


def features_of(windows: Any, kind: FeatureKind = "engineered", sensors: tuple[Sensor, ...] = PLANT) -> dict[str, Any]:
    """By name, over the windows."""
    found = WindowFeatures(kind, sensors, (), PERIOD_MS)
    return dict(zip(found.names, found.compute(np.asarray(windows, np.float32)).T, strict=True))


def windows_of(seed: int, count: int = 5, rows: int = 40, missing: float = 0.1) -> Float32Array:
    """Random walks with gaps; the last window lacks one sensor altogether."""
    rng = np.random.default_rng(seed)
    windows = np.cumsum(rng.normal(size=(count, rows, len(PLANT))), axis=1).astype(np.float32)
    windows[rng.random(windows.shape) < missing] = np.nan
    windows[-1, :, LOWER] = np.nan
    return windows


def bump(at_row: float, rows: int = 120, width: float = 6.0) -> Float32Array:
    return np.exp(-np.square((np.arange(rows) - at_row) / width) / 2).astype(np.float32)


class TestStatistics:
    def test_they_are_what_numpy_says_of_the_values_that_are_there(self) -> None:
        windows = windows_of(1)
        found = features_of(windows, "summary")
        for column, sensor in enumerate(PLANT):
            for window in range(len(windows) - 1):
                values = windows[window, :, column].astype(np.float64)
                there = values[~np.isnan(values)]
                rows = np.flatnonzero(~np.isnan(values))
                wanted = {
                    "mean": there.mean(),
                    "std": there.std(),
                    "min": there.min(),
                    "max": there.max(),
                    "first": there[0],
                    "last": there[-1],
                    "slope_per_s": np.polyfit(rows * PERIOD_MS / 1000, there, 1)[0],
                    "q05": np.quantile(there, 0.05),
                    "q50": np.median(there),
                    "q75": np.quantile(there, 0.75),
                    "diff_range": np.nanmax(np.diff(values)) - np.nanmin(np.diff(values)),
                }
                said = {name: found[f"{sensor.name}.{name}"][window] for name in wanted}
                assert said == pytest.approx(wanted, rel=1e-4, abs=1e-4)

    def test_of_a_silent_sensor_nothing_is_told_and_of_one_value_only_what_one_value_tells(self) -> None:
        windows = np.full((1, 12, 4), np.nan, np.float32)
        windows[0, 5, 1] = 7.0
        found = features_of(windows, "summary")
        assert all(np.isnan(found[name][0]) for name in found if not name.startswith("mould_level"))
        level = {name.partition(".")[2]: float(values[0]) for name, values in found.items() if "level" in name}
        assert {name for name, value in level.items() if np.isnan(value)} == {"slope_per_s", "diff_range"}
        assert level["mean"] == level["q95"] == level["last"] == 7.0
        assert level["std"] == 0.0

    @given(seed=st.integers(0, 1000), shift=st.sampled_from([-64.0, 16.0]), scale=st.sampled_from([0.25, 2.0, 8.0]))
    @settings(max_examples=15, deadline=None)
    def test_places_move_with_the_values_and_spreads_only_with_their_scale(
        self, seed: int, shift: float, scale: float
    ) -> None:
        windows = windows_of(seed)
        before, after = features_of(windows, "summary"), features_of(windows * scale + shift, "summary")
        for name in before:
            moved = 0.0 if name.endswith((".std", ".slope_per_s", ".diff_range")) else shift
            np.testing.assert_allclose(after[name], before[name] * scale + moved, rtol=1e-3, atol=1e-3, err_msg=name)


class TestAnyFeatures:
    @pytest.mark.parametrize("kind", KINDS)
    def test_names_are_unique_and_engineered_begins_with_summary(self, kind: FeatureKind) -> None:
        names = WindowFeatures(kind, CASTING_SENSORS, MouldArray.of(LineConfig()).symmetries, PERIOD_MS).names
        summary = WindowFeatures("summary", CASTING_SENSORS, (), PERIOD_MS).names
        assert len(set(names)) == len(names)
        assert names[: len(summary)] == summary
        assert "mould_tc_upper_left_c.slope_per_s" in names

    @given(seed=st.integers(0, 1000), chunk=st.integers(1, 6))
    @settings(max_examples=10, deadline=None)
    def test_neither_chunks_nor_the_order_of_the_windows_change_a_bit(self, seed: int, chunk: int) -> None:
        windows = windows_of(seed, count=6)
        order = np.random.default_rng(seed).permutation(len(windows))
        whole = WindowFeatures("engineered", PLANT, (), PERIOD_MS).compute(windows)
        parts = WindowFeatures("engineered", PLANT, (), PERIOD_MS, chunk=chunk).compute(windows[order])
        np.testing.assert_array_equal(parts.view(np.uint32), whole[order].view(np.uint32))

    @given(seed=st.integers(0, 1000))
    @settings(max_examples=10, deadline=None)
    def test_a_sensor_says_the_same_whatever_is_beside_it(self, seed: int) -> None:
        windows = windows_of(seed)
        alone = features_of(windows[:, :, :1], sensors=PLANT[:1])
        together = features_of(windows)
        shared = [name for name in together if name in alone]
        assert len(shared) > 25
        for name in shared:
            np.testing.assert_array_equal(together[name], alone[name], err_msg=name)

    @pytest.mark.parametrize("rows", [1, 2, 3, 30])
    @pytest.mark.parametrize("value", [0.0, 1550.3, np.nan])
    def test_constant_and_empty_windows_of_any_length_warn_of_nothing_and_give_no_infinity(
        self, rows: int, value: float
    ) -> None:
        found = features_of(np.full((2, rows, 4), value, np.float32))
        assert not any(np.isinf(values).any() for values in found.values())
        correlated = [values for name, values in found.items() if ".correlation" in name or ".catch22" in name]
        assert correlated
        assert all(np.isnan(values).all() for values in correlated)

    def test_windows_of_other_sensors_are_refused(self) -> None:
        with pytest.raises(ValueError, match="expected windows"):
            features_of(np.zeros((1, 10, 3), np.float32))

    def test_no_windows_give_no_features(self) -> None:
        assert WindowFeatures("engineered", PLANT, (), PERIOD_MS).compute(np.empty((0, 9, 4), np.float32)).shape[0] == 0


class TestGaps:
    def test_are_filled_on_a_line_and_level_at_the_ends(self) -> None:
        window = np.array([np.nan, 2.0, np.nan, np.nan, 8.0, np.nan], np.float32)
        silent = np.full(6, np.nan, np.float32)
        filled = Chunk(np.stack([window, silent], axis=1)[None]).filled_nct[0]
        np.testing.assert_allclose(filled[0], [2.0, 2.0, 4.0, 6.0, 8.0, 8.0])
        assert np.isnan(filled[1]).all()


class TestOrder:
    @pytest.mark.parametrize("lag_rows", [-14, 0, 9, 40])
    def test_correlation_tells_how_long_the_lower_row_comes_after_the_upper(self, lag_rows: int) -> None:
        window = np.full((120, 4), 100.0, np.float32)
        window[:, UPPER] += 30 * bump(50)
        window[:, LOWER] += 20 * bump(50 + lag_rows)
        found = features_of(window[None])
        pair = "mould_tc_upper_left_c_to_mould_tc_lower_left_c"
        for name in ("correlation_highest_lag_s", "correlation_of_changes_highest_lag_s", "max_lag_s", "rise_lag_s"):
            assert found[f"{pair}.{name}"][0] == pytest.approx(lag_rows / 2), name
        assert found[f"{pair}.correlation_highest"][0] > 0.9

    @given(seed=st.integers(0, 1000), scale=st.sampled_from([0.5, 4.0]), shift=st.sampled_from([-32.0, 128.0]))
    @settings(max_examples=10, deadline=None)
    def test_correlation_knows_neither_zero_nor_unit_and_never_leaves_its_bounds(
        self, seed: int, scale: float, shift: float
    ) -> None:
        windows = windows_of(seed)
        before, after = features_of(windows), features_of(windows * np.float32(scale) + np.float32(shift))
        names = [name for name in before if name.endswith(("highest", "lowest", "at_0_s"))]
        assert names
        for name in names:
            np.testing.assert_allclose(after[name], before[name], atol=1e-3, err_msg=name)
            known = before[name][~np.isnan(before[name])]
            assert (np.abs(known) <= 1 + 1e-6).all()

    def test_times_tell_a_rise_and_fall_from_a_fall_and_rise(self) -> None:
        up_down = np.concatenate([bump(30)[:60], -bump(30)[:60]])
        windows = np.zeros((2, 120, 4), np.float32)
        windows[0, :, 1], windows[1, :, 1] = up_down, up_down[::-1]
        found = features_of(windows)
        assert found["mould_level_mm.min_after_max_s"] == pytest.approx([30.0, -30.0])
        summary = features_of(windows, "summary")
        for name in ("mean", "std", "min", "max", "q05", "q50", "diff_range"):
            assert summary[f"mould_level_mm.{name}"][0] == pytest.approx(summary[f"mould_level_mm.{name}"][1], abs=1e-6)

    def test_a_band_holds_the_root_mean_square_of_what_swings_in_it(self) -> None:
        windows = np.zeros((1, 240, 4), np.float32)
        windows[0, :, 1] = 5 + 3 * np.sin(2 * np.pi * 0.2 * np.arange(240) * 0.5)
        found = features_of(windows)
        bands = {name: float(values[0]) for name, values in found.items() if name.startswith("mould_level_mm.rms")}
        assert len(bands) == 5
        inside = bands.pop("mould_level_mm.rms_0.125_to_0.25_hz")
        assert inside == pytest.approx(3 / np.sqrt(2), rel=0.02)
        assert max(bands.values()) < 0.05

    def test_steepest_rise_and_fall_are_over_four_seconds(self) -> None:
        windows = np.zeros((1, 60, 4), np.float32)
        windows[0, 20:, 0] = 12.0
        windows[0, 40:, 0] = 7.0
        found = features_of(windows)
        said = [found[f"stopper_position_pct.{name}"][0] for name in ("rise_4s", "fall_4s", "rise_before_end_s")]
        assert said == pytest.approx([12.0, -5.0, 19.5])  # the rise is first over at row 20 of 0 to 59


class TestRoles:
    def test_rows_columns_stopper_and_level_of_the_reference_strand(self) -> None:
        roles = find_roles(CASTING_SENSORS, MouldArray.of(LineConfig()).symmetries)
        names = [sensor.name for sensor in CASTING_SENSORS]
        assert [[names[place] for place in row] for row in roles.rows] == [
            ["mould_tc_upper_left_c", "mould_tc_upper_right_c"],
            ["mould_tc_lower_left_c", "mould_tc_lower_right_c"],
        ]
        assert [(names[a], names[b]) for a, b in roles.causes] == [
            ("mould_tc_upper_left_c", "mould_tc_lower_left_c"),
            ("mould_tc_upper_right_c", "mould_tc_lower_right_c"),
            ("stopper_position_pct", "mould_level_mm"),
        ]
        assert len(roles.beside) == 2

    def test_a_larger_array_has_its_rows_by_name(self) -> None:
        array = MouldArray(rows_m=(0.1, 0.2, 0.3), columns_m=(0.2, 0.5, 0.8))
        roles = find_roles(array.sensors, array.symmetries)
        assert [len(row) for row in roles.rows] == [3, 3, 3]
        assert len(roles.below) == len(roles.beside) == 6

    def test_where_names_say_nothing_each_mirrored_pair_is_a_row(self) -> None:
        sensors = tuple(Sensor(f"t{number}_c", "°C", 0.0, 400.0) for number in (1, 2, 3, 4, 9))
        roles = find_roles(sensors, ((("t1_c", "t2_c"), ("t3_c", "t4_c")),))
        assert roles.below == ((0, 2), (1, 3))
        assert roles.beside == ((0, 1), (2, 3))

    def test_without_roles_every_sensor_has_catch22_and_nothing_else_fails(self) -> None:
        sensors = tuple(Sensor(name, "bar", 0.0, 9.0) for name in ("pressure_1_bar", "pressure_2_bar"))
        windows = windows_of(3)[:, :, :2]
        found = features_of(windows, sensors=sensors)
        assert {name.partition(".")[0] for name in found} == {"pressure_1_bar", "pressure_2_bar"}
        assert sum(".catch22_" in name for name in found) == 44
        assert np.isfinite(np.stack(list(found.values()))).mean() > 0.9
