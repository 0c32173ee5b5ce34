"""The thermocouples of the broad face: T = T_water + R·q_local behind a first-order lag."""

from collections.abc import Sequence

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.happenings import Fault, Happening
from trainer.line.heat import MouldHeat
from trainer.line.level import MouldLevel
from trainer.line.mould_array import MouldArray
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander


def read(
    config: LineConfig, grid: Grid, heat: MouldHeat, level: MouldLevel, phase: Signal,
    happenings: Sequence[Happening], streams: Streams,
) -> Signal:  # fmt: skip
    """Temperatures of the thermocouples before noise.

    Args:
        config: the figures.
        grid: the internal time axis.
        heat: flux of the mould.
        level: mould level, which moves the upper row.
        phase: float64 [steps], phase of the mould oscillation in radians.
        happenings: what leaves traces, and faults of the instruments.
        streams: random generators.

    Returns:
        float64 [thermocouples, steps] in °C, in the order of the array.
    """
    own, rng, tc = streams.of_strand("thermocouples"), streams.of_sequence("thermocouples"), config.thermocouples
    array = MouldArray.of(config)
    water_c, resistance, level_k_mm = (draw(own, span) for span in (tc.water_c, tc.resistance_m2k_w, tc.level_k_mm))
    kernels = [kernel for happening in happenings for kernel in happening.kernels]
    faults = [happening.fault for happening in happenings if happening.fault is not None]
    readings = np.empty((array.count, grid.steps))
    for index in range(array.count):
        row = array.row(index)
        local = heat.flux_mw_m2 * 1e6 * (tc.upper_flux * (tc.lower_flux / tc.upper_flux) ** row)
        share = 1 + tc.resistance_spread * own.uniform(-1, 1)
        tau_s = draw(own, tc.lag_s)
        ripple_k = draw(own, tc.ripple_lower_k if row else tc.ripple_upper_k)
        level_k = 0.0 if row else level_k_mm * own.uniform(0.85, 1.15)
        shell = lag(resistance * share * local + level_k * level.level_mm, tau_s, grid.step_s)
        ripple = ripple_k * np.sin(phase + own.uniform(0, 2 * np.pi))
        drift = wander(rng, grid.steps, tc.drift_k, tc.drift_tau_s, grid.step_s)
        readings[index] = water_c + shell + ripple + drift
        for kernel in kernels:
            kernel.add_to(readings[index], index, grid)
    for fault in faults:
        _lie(readings[fault.thermocouple], fault, grid, water_c)
    return readings


def _lie(reading_c: Signal, fault: Fault, grid: Grid, water_c: float) -> None:
    """Put a fault of the instrument into one thermocouple's reading."""
    first, after = grid.index(fault.begins_s), grid.index(fault.ends_s)
    part = reading_c[first:after]
    if fault.stuck_c is not None:
        part[:] = fault.stuck_c
    if fault.drift_k:
        part += fault.drift_k * np.linspace(0, 1, len(part))
    for begins_s, ends_s in fault.losses_s:
        lost = reading_c[grid.index(begins_s) : grid.index(ends_s)]
        lost -= fault.loss_share * (lost - water_c)
