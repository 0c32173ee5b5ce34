"""From the line's 10 Hz to the plant's 2 Hz scan: anti-aliasing, noise, resolution, missing values.

The filter is causal: a scan never holds anything that came after it, and everything shows about half a
second late, as behind a real acquisition.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt, sosfilt_zi

from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.line.signals import Grid, Signal, Streams, draw, wander

# Decimals that the instruments of each sensor show (assumed); thermocouples, however many, show one.
DECIMALS: Mapping[str, int] = {
    "mould_level_mm": 2,
    "casting_speed_m_min": 3,
    "tundish_temp_c": 1,
    "tundish_weight_t": 2,
    "stopper_position_pct": 2,
    "sen_argon_flow_nl_min": 2,
    "sen_argon_back_pressure_kpa": 1,
    "mould_heat_flux_broad_loose_mw_m2": 3,
    "mould_heat_flux_broad_fixed_mw_m2": 3,
    "mould_water_flow_l_min": 0,
    "mould_water_delta_t_k": 2,
    "mould_friction_kn": 2,
    "oscillation_frequency_hz": 3,
    "sec_cool_zone2_flow_l_min": 1,
    "sec_cool_zone5_flow_l_min": 1,
    "strand_surface_temp_c": 0,
}

TC_DECIMALS = 1


def anti_alias(config: LineConfig, signals: Signal) -> Signal:
    """Low-pass signals [..., steps] at the internal rate, starting settled at their first values."""
    filters = butter(config.filter_order, config.cutoff_hz, fs=1000 / config.step_ms, output="sos")
    state = sosfilt_zi(filters)
    start = state.reshape(state.shape[0], *([1] * (signals.ndim - 1)), 2) * signals[np.newaxis, ..., :1]
    return np.asarray(sosfilt(filters, signals, zi=start)[0])


def scan(config: LineConfig, grid: Grid, truth: Mapping[str, Signal], streams: Streams) -> npt.NDArray[np.float32]:
    """What the plant records.

    Args:
        config: the figures.
        grid: the internal time axis.
        truth: sensor name → float64 [steps]; every sensor of the strand, in its order.
        streams: random generators.

    Returns:
        float32 [scans, sensors] in the order of `truth`, from time 0 on; NaN where missing.
    """
    rng = streams.of_sequence("instruments")
    stride = config.period_ms // config.step_ms
    first = round(grid.lead_s / grid.step_s)
    stacked = np.stack(list(truth.values()))
    values = anti_alias(config, stacked)[:, first::stride]
    noise = _noise_sigma(config, streams)
    for index, sensor in enumerate(MouldArray.of(config).sensors):
        sigma, tau_s = noise[sensor.name]
        values[index] += wander(rng, values.shape[1], sigma, tau_s, config.period_ms / 1000)
        shown = np.round(values[index], DECIMALS.get(sensor.name, TC_DECIMALS))
        values[index] = np.clip(shown, sensor.low, sensor.high)
    values[rng.random(values.shape) < config.instruments.missing_share] = np.nan
    return np.ascontiguousarray(values.T, dtype=np.float32)


def _noise_sigma(config: LineConfig, streams: Streams) -> dict[str, tuple[float, float]]:
    """Standard deviation and correlation time (0: white) of each sensor's noise, the strand's own."""
    own, tc, plant = streams.of_strand("instruments"), config.thermocouples, config.instruments
    zones, tau_s = config.cooling, config.instruments.noise_tau_s
    array = MouldArray.of(config)
    thermocouples = {
        name: (draw(own, tc.noise_lower_k if array.row(index) else tc.noise_upper_k), tau_s)
        for index, name in enumerate(array.names)
    }
    return thermocouples | {
        "mould_level_mm": (plant.level_mm, 0.0),
        "casting_speed_m_min": (plant.speed_m_min, 0.0),
        "tundish_temp_c": (plant.tundish_temp_k, 0.0),
        "tundish_weight_t": (plant.tundish_weight_t, 0.0),
        "stopper_position_pct": (plant.stopper_pct, 0.0),
        "sen_argon_flow_nl_min": (plant.argon_nl_min, 0.0),
        "sen_argon_back_pressure_kpa": (plant.back_pressure_kpa, 0.0),
        "mould_heat_flux_broad_loose_mw_m2": (plant.flux_mw_m2, 0.0),
        "mould_heat_flux_broad_fixed_mw_m2": (plant.flux_mw_m2, 0.0),
        "mould_water_flow_l_min": (plant.water_flow_l_min, 0.0),
        "mould_water_delta_t_k": (plant.water_delta_k, 0.0),
        "mould_friction_kn": (plant.friction_kn, tau_s),
        "oscillation_frequency_hz": (plant.frequency_hz, 0.0),
        "sec_cool_zone2_flow_l_min": (plant.zone_flow_share * sum(zones.zone2_l_min) / 2, 0.0),
        "sec_cool_zone5_flow_l_min": (plant.zone_flow_share * sum(zones.zone5_l_min) / 2, 0.0),
        "strand_surface_temp_c": (plant.surface_k, 0.0),
    }
