"""The four thermocouples of the broad face: T = T_water + R·q_local behind a first-order lag."""

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.heat import MouldHeat
from trainer.line.level import MouldLevel
from trainer.line.patterns import LOWER_LEFT, Pattern
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander


def read(
    config: LineConfig,
    grid: Grid,
    heat: MouldHeat,
    level: MouldLevel,
    phase: Signal,
    patterns: list[Pattern],
    streams: Streams,
) -> Signal:
    """Temperatures of the thermocouples before noise.

    Args:
        config: the figures.
        grid: the internal time axis.
        heat: flux of the mould.
        level: mould level, which moves the upper row.
        phase: float64 [steps], phase of the mould oscillation in radians.
        patterns: stickers and film fractures of the sequence.
        streams: random generators.

    Returns:
        float64 [4, steps] in °C: upper left, upper right, lower left, lower right.
    """
    own, rng, tc = streams.of_strand("thermocouples"), streams.of_sequence("thermocouples"), config.thermocouples
    water_c = draw(own, tc.water_c)
    resistance = draw(own, tc.resistance_m2k_w)
    level_k_mm = draw(own, tc.level_k_mm)
    readings = np.empty((4, grid.steps))
    for index in range(4):
        upper = index < LOWER_LEFT
        local = heat.flux_mw_m2 * 1e6 * (tc.upper_flux if upper else tc.lower_flux)
        share = 1 + tc.resistance_spread * own.uniform(-1, 1)
        tau_s = draw(own, tc.lag_s)
        ripple_k = draw(own, tc.ripple_upper_k if upper else tc.ripple_lower_k)
        level_k = level_k_mm * own.uniform(0.85, 1.15) if upper else 0.0
        shell = lag(resistance * share * local + level_k * level.level_mm, tau_s, grid.step_s)
        ripple = ripple_k * np.sin(phase + own.uniform(0, 2 * np.pi))
        drift = wander(rng, grid.steps, tc.drift_k, tc.drift_tau_s, grid.step_s)
        readings[index] = water_c + shell + ripple + drift
        for pattern in patterns:
            readings[index] += pattern.kernel.reading_k(grid.time_s, index)
    return readings
