"""The simulated line against the facts of the domain, with the noise switched off where one effect is measured."""

import numpy as np
import pytest
from support.quiet_line import FLUXES, TCS, change, column, quiet, run

from models.features import CASTING_SENSORS
from trainer.line.config import LineConfig
from trainer.line.friction import negative_strip_s
from trainer.line.heat import water_delta_k
from trainer.line.schedule import Scheduled
from trainer.line.simulator import simulate_sequence

# Mean of normal operation, from the domain's table.
NORMAL = {
    "mould_level_mm": (-3, 3),
    "casting_speed_m_min": (0.8, 1.6),
    "tundish_temp_c": (1545, 1555),
    "tundish_weight_t": (35, 45),
    "stopper_position_pct": (35, 60),
    "sen_argon_flow_nl_min": (3, 8),
    "sen_argon_back_pressure_kpa": (20, 80),
    "mould_heat_flux_broad_loose_mw_m2": (1.2, 2.0),
    "mould_heat_flux_broad_fixed_mw_m2": (1.2, 2.0),
    "mould_water_flow_l_min": (3600, 4200),
    "mould_water_delta_t_k": (5, 9),
    "mould_tc_upper_left_c": (120, 190),
    "mould_tc_upper_right_c": (120, 190),
    "mould_tc_lower_left_c": (95, 145),
    "mould_tc_lower_right_c": (95, 145),
    "mould_friction_kn": (2, 8),
    "oscillation_frequency_hz": (2.0, 3.3),
    "sec_cool_zone2_flow_l_min": (200, 400),
    "sec_cool_zone5_flow_l_min": (100, 250),
    "strand_surface_temp_c": (880, 980),
}

# Standard deviation of the noise, from the domain's table; 1 % of the normal range for the zone flows.
NOISE = {
    "mould_level_mm": (0.6, 1.2),
    "casting_speed_m_min": (0.003, 0.003),
    "tundish_temp_c": (1, 1),
    "tundish_weight_t": (0.2, 0.2),
    "stopper_position_pct": (0.4, 0.4),
    "sen_argon_flow_nl_min": (0.1, 0.1),
    "sen_argon_back_pressure_kpa": (1, 1),
    "mould_heat_flux_broad_loose_mw_m2": (0.02, 0.02),
    "mould_heat_flux_broad_fixed_mw_m2": (0.02, 0.02),
    "mould_water_flow_l_min": (15, 15),
    "mould_water_delta_t_k": (0.05, 0.05),
    "mould_tc_upper_left_c": (1.0, 2.5),
    "mould_tc_upper_right_c": (1.0, 2.5),
    "mould_tc_lower_left_c": (0.7, 1.5),
    "mould_tc_lower_right_c": (0.7, 1.5),
    "mould_friction_kn": (0.5, 0.5),
    "oscillation_frequency_hz": (0.005, 0.005),
    "sec_cool_zone2_flow_l_min": (2, 4),
    "sec_cool_zone5_flow_l_min": (1, 2.5),
    "strand_surface_temp_c": (8, 8),
}


def test_mould_runs_ahead_of_the_strand_for_0_144_s_in_a_stroke():
    assert negative_strip_s(1.2, 2.5, 6.0) == pytest.approx(0.144, abs=0.0005)
    assert negative_strip_s(1.2, 2.0, 6.0) > negative_strip_s(1.2, 2.5, 6.0)
    assert negative_strip_s(3.0, 1.0, 4.0) == 0.0


def test_water_warms_by_six_kelvin_at_the_reference_flux():
    flux, flow = np.array([1.4]), np.array([3600.0])
    assert water_delta_k(flux, LineConfig().heat.water_area_m2, flow)[0] == pytest.approx(6.0, abs=0.05)


def test_every_sensor_keeps_to_its_normal_range():
    made = [simulate_sequence(LineConfig(), strand=s, index=s, duration_s=3600, seed=8) for s in range(6)]
    for index, sensor in enumerate(CASTING_SENSORS):
        values = np.concatenate([one.sequence.values[:, index] for one in made])
        assert np.nanmin(values) >= sensor.low, sensor.name
        assert np.nanmax(values) <= sensor.high, sensor.name
        low, high = NORMAL[sensor.name]
        inside = np.nanmean((values >= low) & (values <= high))
        assert inside > 0.8, (sensor.name, inside)


def test_noise_of_every_sensor_is_the_domains():
    config = LineConfig()
    made = [simulate_sequence(config, strand=s, index=0, duration_s=1800, seed=8, schedule=()) for s in range(4)]
    correlated = np.exp(-config.period_ms / 1000 / config.instruments.noise_tau_s)
    for name, (low, high) in NOISE.items():
        # First differences leave the slow movements out; of correlated noise they show only a part.
        part = 1 - correlated if "_tc_" in name or name == "mould_friction_kn" else 1.0
        for one in made:
            values = column(one, name)
            # The level's is mostly turbulence, itself slower than a scan: its whole deviation counts.
            sigma = np.nanstd(values) if name == "mould_level_mm" else np.nanstd(np.diff(values)) / np.sqrt(2 * part)
            assert 0.85 * low <= sigma <= 1.15 * high, (name, one.sequence.strand_id, sigma)


def test_rows_answer_a_sticker_one_after_the_other_at_its_own_speed():
    config = quiet(sticker={"speed_ratio": (0.5, 0.5), "fast_share": 0.0, "one_column_share": 0.0})
    event = Scheduled("sticker", 300)
    speed = column(run(config), "casting_speed_m_min").mean()
    expected_s = config.geometry.row_spacing_m / (0.5 * speed / 60)
    for side in ("left", "right"):
        upper, lower = (change(config, event, f"mould_tc_{row}_{side}_c") for row in ("upper", "lower"))
        assert (np.argmax(lower) - np.argmax(upper)) / 2 == pytest.approx(expected_s, abs=1.0)
        assert np.argmin(upper) > np.argmax(upper)
        assert 0.55 < lower.max() / upper.max() < 0.95


def test_rows_invert_in_a_sticker_and_never_in_a_film_fracture():
    config = quiet(sticker={"one_column_share": 0.0, "beta": (0.6, 0.6)}, film_fracture={"amplitude_k": (45, 45)})
    sticker, fracture = (
        [change(config, event, f"mould_tc_{row}_left_c") for row in ("upper", "lower")]
        for event in (Scheduled("sticker", 300, difficulty="summary"), Scheduled("film_fracture", 300))
    )
    assert np.max(sticker[1] - sticker[0]) > 20
    assert np.max(np.abs(fracture[1])) < 0.051
    assert fracture[0].max() > 10
    assert fracture[0].min() < -3


def test_impact_is_when_the_tear_reaches_the_mould_exit():
    config = quiet(sticker={"speed_ratio": (0.6, 0.6), "fast_share": 0.0})
    made = run(config, [Scheduled("sticker", 300, healed=False)])
    event = next(event for event in made.events if event.type == "sticker")
    assert event.impact_ms is not None
    vertical_m_s = 0.6 * column(made, "casting_speed_m_min").mean() / 60
    whole_s = config.geometry.mould_exit_m / vertical_m_s
    # The first trace shows within a width or two of the tear's beginning at the meniscus.
    assert (event.impact_ms - event.onset_ms) / 1000 == pytest.approx(whole_s, abs=2.5 * config.sticker.width_s[1])
    assert event.onset_ms < event.detectable_ms < event.impact_ms == event.end_ms < event.ignore_until_ms


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_speed_step_moves_all_thermocouples_and_fluxes_the_same_way(seed):
    config = quiet()
    stepped, still = run(config, [Scheduled("speed_step", 300)], seed=seed), run(config, seed=seed)
    step = np.sign(column(stepped, "casting_speed_m_min")[-1] - column(still, "casting_speed_m_min")[-1])
    for name in (*TCS, *FLUXES):
        moved = (column(stepped, name) - column(still, name)) * step
        assert moved[760:].min() > 0, name
        # Nothing has moved at once, all has within a ramp of 30 s and a lag of 30 s.
        assert np.abs(moved[600:602]).max() < 0.2 * moved[760:].mean(), name
        assert moved[720] > 0.6 * moved[760:].mean(), name


def test_stopper_closes_one_to_three_seconds_after_the_level_rises():
    made = run(quiet(level={"bulging_mm": (0.0, 0.0)}), duration_s=1800)
    level, stopper = column(made, "mould_level_mm"), column(made, "stopper_position_pct")
    stopper = stopper - np.convolve(stopper, np.ones(120) / 120, mode="same")
    lags = range(-10, 11)
    pairs = [(level[200:-200], np.roll(stopper, -lag)[200:-200]) for lag in lags]
    correlation = [np.corrcoef(a, b)[0, 1] for a, b in pairs]
    assert min(correlation) < -0.5
    assert 1 <= lags[int(np.argmin(correlation))] / 2 <= 3


def test_stopper_opens_while_the_tundish_empties():
    config = quiet(level={"clogging_per_min": (0.0, 0.0)})
    made = simulate_sequence(config, strand=0, index=0, duration_s=7200, seed=2, schedule=())
    weight, stopper = column(made, "tundish_weight_t"), column(made, "stopper_position_pct")
    minutes = np.convolve(stopper, np.ones(120) / 120, mode="same")
    assert np.corrcoef(weight[120:-120], minutes[120:-120])[0, 1] < -0.9
    light, heavy = stopper[weight < 32].mean(), stopper[weight > 39].mean()
    assert 1.03 < light / heavy < 1.15


def test_level_moves_the_upper_row_in_both_columns_and_not_the_lower():
    still = {"wander_share": 0.0}
    config = quiet(heat=still, level={"turbulence_mm": (0.9, 0.9)}, tundish={"temperature_wander_k": 0.0})
    made = run(config)
    level = np.convolve(column(made, "mould_level_mm"), np.ones(8) / 8, mode="full")[: made.sequence.rows]
    for name in TCS:
        slow = np.convolve(column(made, name), np.ones(60) / 60, mode="same")
        correlation = np.corrcoef(level[100:-100], (column(made, name) - slow)[100:-100])[0, 1]
        assert (correlation < -0.5) if "upper" in name else (abs(correlation) < 0.3), (name, correlation)


def test_oscillation_does_not_alias_to_a_ten_second_wave():
    config = quiet(
        oscillation={"frequency_hz": (2.1, 2.1), "per_speed_hz": 0.0},
        thermocouples={"ripple_upper_k": (4.0, 4.0)},
        level={"turbulence_mm": (0.0, 0.0), "bulging_mm": (0.0, 0.0)},
        heat={"wander_share": 0.0},
    )
    values = column(run(config), "mould_tc_upper_left_c")[600:1600]
    wave = np.exp(-2j * np.pi * 0.1 * np.arange(1000) / 2)
    unfiltered = 4.0 * np.sin(2 * np.pi * 2.1 * np.arange(1000) / 2)
    assert 2 * abs(np.mean(unfiltered * wave)) > 3.9
    assert 2 * abs(np.mean((values - values.mean()) * wave)) < 0.05


def test_zone_flow_shows_at_the_pyrometer_once_the_steel_has_come_there():
    config = quiet(cooling={"scale_per_hour": 0.0, "zone5_k_per_share": 0.0, "zone2_k_per_share": 1000.0})
    made = run(config, duration_s=3600)
    expected_s = config.geometry.zone2_to_pyrometer_m / column(made, "casting_speed_m_min").mean() * 60
    flow, surface = column(made, "sec_cool_zone2_flow_l_min"), column(made, "strand_surface_temp_c")
    lags = range(2, 1200, 2)
    correlation = [np.corrcoef(flow[:-lag], surface[lag:])[0, 1] for lag in lags]
    assert min(correlation) < -0.9
    assert lags[int(np.argmin(correlation))] / 2 == pytest.approx(expected_s, abs=5)


def test_a_scan_holds_nothing_from_its_future():
    config = quiet()
    for kind in ("sticker", "speed_step"):
        for name in TCS:
            before = change(config, Scheduled(kind, 300), name)[: 2 * 240]
            assert np.abs(before).max() < 0.051, (kind, name)
