"""Casting speed: a base speed per sequence, and the operator's steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.signals import Grid, Signal, Streams, draw, lag


@dataclass(frozen=True, slots=True)
class SpeedStep:
    """One change of speed: where it begins, how long its ramp lasts, how far it goes."""

    onset_s: float
    ramp_s: float
    step_m_min: float


@dataclass(frozen=True, slots=True, eq=False)
class Casting:
    """How the strand moves.

    Attributes:
        speed_m_min: float64 [steps].
        position_m: float64 [steps], metres cast since the first scan (negative in the lead).
        steps: the operator's changes.
    """

    speed_m_min: Signal
    position_m: Signal
    steps: tuple[SpeedStep, ...]


def cast(config: LineConfig, grid: Grid, schedule: Sequence[Scheduled], streams: Streams) -> Casting:
    """The speed over one sequence, with its steps kept inside the normal range."""
    rng = streams.of_sequence("speed")
    speed = np.full(grid.steps, draw(rng, config.speed.base_m_min))
    level, steps = float(speed[0]), []
    for event in schedule:
        if event.type != "speed_step":
            continue
        size = draw(rng, config.speed_step.step_m_min) * (1 if rng.random() < 0.5 else -1)
        if not config.speed.low_m_min <= level + size <= config.speed.high_m_min:
            size = -size
        ramp_s = draw(rng, config.speed_step.ramp_s)
        speed += size * np.clip((grid.time_s - event.onset_s) / ramp_s, 0, 1)
        steps.append(SpeedStep(event.onset_s, ramp_s, size))
        level += size
    speed = lag(speed, 1.0, grid.step_s)  # the drive's own answer
    position = np.cumsum(speed) * (grid.step_s / 60)
    return Casting(speed, position - np.interp(0.0, grid.time_s, position), tuple(steps))
