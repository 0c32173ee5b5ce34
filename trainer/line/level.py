"""Mould level and stopper in their closed loop, argon, and the slag that a surge takes down.

A·dL/dt = Q_in − A·V + bulging + turbulence, with Q_in ∝ C·h·√head: the stopper h in its nozzle of opening C, under
the head of the tundish and the nozzle. A PI controller acts on the *measured* level through a stopper with a lag.
The loop is not linear and its parameters change while it runs, so it goes step by step, many sequences at once
(`trainer.line.level_loop`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from trainer.datasets.records import Difficulty
from trainer.line.clogging import Clogging, Release
from trainer.line.config import LineConfig
from trainer.line.figures.plant import Level
from trainer.line.happenings import QUALITY, Happening, total
from trainer.line.level_loop import LoopInputs
from trainer.line.signals import Grid, Signal, Streams, draw, resonance, transfer, wander
from trainer.line.speed import Casting
from trainer.line.tundish import Steel

_MM_S_PER_M_MIN = 1000 / 60
_REFERENCE_M_MIN = 1.2
_SEEN_S = 12.0  # how long after a release the steepest surge is looked for


@dataclass(frozen=True, slots=True, eq=False)
class MouldLevel:
    """The level and what acts on it, each float64 [steps].

    Attributes:
        level_mm: deviation from the set point, the true one.
        measured_mm: the same as its sensor has it.
        stopper_pct: opening of the stopper rod.
        argon_nl_min: argon flow into the nozzle.
        back_pressure_kpa: its back pressure.
    """

    level_mm: Signal
    measured_mm: Signal
    stopper_pct: Signal
    argon_nl_min: Signal
    back_pressure_kpa: Signal


def loop_inputs(
    config: LineConfig, grid: Grid, casting: Casting, steel: Steel, nozzle: Clogging,
    happenings: Sequence[Happening], streams: Streams,
) -> LoopInputs:  # fmt: skip
    """What drives the level of one sequence."""
    level = config.level
    own, rng = streams.of_strand("level"), streams.of_sequence("level")
    omega = 1 / draw(own, level.loop_tau_s)
    gain = _REFERENCE_M_MIN * _MM_S_PER_M_MIN / draw(own, level.stopper_pct)
    turbulence_mm, bulging_mm, pitch_m = (
        draw(own, span) for span in (level.turbulence_mm, level.bulging_mm, level.roll_pitch_m)
    )
    proportional, integral = 2 * level.damping * omega / gain, omega**2 / gain
    roll = 2 * np.pi * casting.position_m / pitch_m + rng.uniform(0, 2 * np.pi)
    swing_mm = bulging_mm + total(happenings, "bulging_mm", grid)
    bulging = swing_mm * (2 * np.pi / 60 / pitch_m) * casting.speed_m_min * np.cos(roll)
    loop = (level.stopper_lag_s, 1.0, proportional * gain, integral * gain)
    turbulence = _turbulence(level, grid, loop, turbulence_mm, rng)
    return LoopInputs(
        inflow=gain * nozzle.opening * _head(config, steel.weight_t),
        push=turbulence + bulging + total(happenings, "level_push_mm_s", grid) - casting.speed_m_min * _MM_S_PER_M_MIN,
        sensor=total(happenings, "level_sensor_mm", grid),
        proportional=proportional * (1 + total(happenings, "loop_proportional", grid)),
        integral=integral * (1 + total(happenings, "loop_integral", grid)),
        stopper_lag_s=level.stopper_lag_s,
    )


def observe(
    config: LineConfig, grid: Grid, inputs: LoopInputs, answer: tuple[Signal, Signal], nozzle: Clogging,
    happenings: Sequence[Happening], streams: Streams,
) -> MouldLevel:  # fmt: skip
    """What there is to see of the level and the nozzle, given what the loop answered (level, stopper)."""
    level, rng = config.level, streams.of_sequence("argon")
    argon = draw(rng, level.argon_nl_min) + total(happenings, "argon_nl_min", grid)
    pressure = draw(rng, level.back_pressure_kpa)
    pressure += draw(rng, level.back_pressure_per_clogging_kpa) * (nozzle.opening[0] - nozzle.opening)
    level_mm, stopper_pct = answer
    return MouldLevel(
        level_mm=level_mm,
        measured_mm=level_mm + inputs.sensor,
        stopper_pct=stopper_pct,
        argon_nl_min=argon + wander(rng, grid.steps, level.argon_wander_nl_min, 120.0, grid.step_s),
        back_pressure_kpa=pressure + wander(rng, grid.steps, 1.5, 180.0, grid.step_s),
    )


def releases(
    config: LineConfig, grid: Grid, nozzle: Clogging, level: MouldLevel, casting: Casting, rng: np.random.Generator
) -> list[Happening]:
    """Every release as a defect; inspection finds slag with 1 − exp(−λ₀·exp(a·max(|dL/dt| − 1, 0)))."""
    figures = config.clogging_release
    found = []
    for one in nozzle.releases:
        first, after = grid.index(one.at_s), grid.index(one.at_s + _SEEN_S)
        steepest_mm_s = float(np.max(np.abs(np.gradient(level.level_mm[first:after], grid.step_s))))
        expected = figures.slag_base * np.exp(figures.slag_per_mm_s * max(steepest_mm_s - 1, 0.0))
        speed_m_s = float(np.interp(one.at_s, grid.time_s, casting.speed_m_min)) / 60
        leaves_s = one.at_s + max(config.geometry.mould_exit_m / speed_m_s, figures.detectable_s)
        found.append(
            Happening(
                type="clogging_release",
                target=QUALITY,
                onset_s=one.at_s,
                detectable_s=one.at_s + figures.detectable_s,
                end_s=leaves_s,
                ignore_until_s=leaves_s + figures.ignore_s,
                sensors=("stopper_position_pct", "mould_level_mm", "sen_argon_back_pressure_kpa"),
                impact_s=leaves_s,
                difficulty=_difficulty(config, one),
                recordable=bool(rng.random() < 1 - np.exp(-expected)),
            )
        )
    return found


def _difficulty(config: LineConfig, one: Release) -> Difficulty:
    figures = config.clogging_release
    if one.jump >= figures.summary_from:
        return "summary"
    return "partial" if one.jump >= figures.partial_from else "order"


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
