"""Mould level and stopper in their closed loop, clogging, argon.

Around the operating point A·dL/dt = Q_in − A·V reads dL/dt = k·(h − h_req) + d: the stopper h against what
speed, tundish weight and clogging require, and the flow's own disturbance d. A PI controller on L behind a
stopper with a lag makes it linear of third order, so a whole sequence is two filters instead of a loop in time.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from trainer.line.config import Level, LineConfig
from trainer.line.signals import Grid, Signal, Streams, draw, resonance, transfer, wander
from trainer.line.speed import Casting
from trainer.line.tundish import Steel


@dataclass(frozen=True, slots=True, eq=False)
class MouldLevel:
    """The level and what acts on it, each float64 [steps].

    Attributes:
        level_mm: deviation from the set point.
        stopper_pct: opening of the stopper rod.
        argon_nl_min: argon flow into the nozzle.
        back_pressure_kpa: its back pressure.
    """

    level_mm: Signal
    stopper_pct: Signal
    argon_nl_min: Signal
    back_pressure_kpa: Signal


def control(config: LineConfig, grid: Grid, casting: Casting, steel: Steel, streams: Streams) -> MouldLevel:
    """Level, stopper and argon over one sequence."""
    level = config.level
    own, rng = streams.of_strand("level"), streams.of_sequence("level")
    omega = 1 / draw(own, level.loop_tau_s)
    proportional, integral = 2 * level.damping * omega, omega**2
    loop = (level.stopper_lag_s, 1.0, proportional, integral)
    turbulence_mm, bulging_mm = draw(own, level.turbulence_mm), draw(own, level.bulging_mm)
    pitch_m, stopper_pct = draw(own, level.roll_pitch_m), draw(own, level.stopper_pct)
    opening = np.exp(-draw(rng, level.clogging_per_min) / 60 * np.maximum(grid.time_s, 0))
    required = stopper_pct * (casting.speed_m_min / 1.2) / _head(config, steel.weight_t) / opening
    roll = 2 * np.pi * casting.position_m / pitch_m + rng.uniform(0, 2 * np.pi)
    bulging = bulging_mm * 2 * np.pi * casting.speed_m_min / 60 / pitch_m * np.cos(roll)
    turbulence = _turbulence(level, grid, loop, turbulence_mm, rng)
    push = turbulence + bulging - level.gain_mm_s_pct * (required - required[0])
    drift_kpa = draw(rng, level.back_pressure_per_clogging_kpa) * (1 - opening)
    return MouldLevel(
        level_mm=transfer(push, (level.stopper_lag_s, 1.0, 0.0), loop, grid.step_s),
        stopper_pct=required[0] - transfer(push, (proportional, integral), loop, grid.step_s) / level.gain_mm_s_pct,
        argon_nl_min=draw(rng, level.argon_nl_min)
        + wander(rng, grid.steps, level.argon_wander_nl_min, 120.0, grid.step_s),
        back_pressure_kpa=draw(rng, level.back_pressure_kpa)
        + drift_kpa
        + wander(rng, grid.steps, 1.5, 180.0, grid.step_s),
    )


def _head(config: LineConfig, weight_t: Signal) -> Signal:
    """The flow's root of the ferrostatic head, 1 at 45 t."""
    tundish = config.tundish
    head_m = tundish.bath_m * weight_t / 45 + tundish.sen_m
    return np.sqrt(head_m / (tundish.bath_m + tundish.sen_m))


def _turbulence(level: Level, grid: Grid, loop: tuple[float, ...], sigma_mm: float, rng: np.random.Generator) -> Signal:
    """AR(2) disturbance in mm/s, sized so that the controlled level swings by `sigma_mm`."""
    ring = resonance(level.turbulence_period_s, level.turbulence_decay_s, grid.step_s)
    impulse = np.zeros(int(120 / grid.step_s))
    impulse[0] = 1.0
    answer = transfer(lfilter([1.0], ring, impulse), (level.stopper_lag_s, 1.0, 0.0), loop, grid.step_s)
    noise = rng.standard_normal(grid.steps) * (sigma_mm / np.sqrt(np.sum(answer**2)))
    return np.asarray(lfilter([1.0], ring, noise))
