"""Casting speed: a base speed per sequence, the ramps at its ends, and what happens to it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.happenings import Happening, total
from trainer.line.signals import Grid, Signal, Streams, draw, lag

_DRIVE_LAG_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Casting:
    """How the strand moves.

    Attributes:
        speed_m_min: float64 [steps].
        position_m: float64 [steps], metres cast since the first scan (negative in the lead).
    """

    speed_m_min: Signal
    position_m: Signal


def base_speed_m_min(config: LineConfig, streams: Streams) -> float:
    """The speed at which a sequence casts while nothing happens."""
    return draw(streams.of_sequence("speed"), config.speed.base_m_min)


def cast(
    config: LineConfig, grid: Grid, base_m_min: float, happenings: Sequence[Happening], *, whole: bool, streams: Streams
) -> Casting:
    """The speed over one sequence; a whole one is started slowly and brought to its end slowly."""
    speed = base_m_min + total(happenings, "speed_m_min", grid)
    if whole:
        speed = np.minimum(speed, _ends(config, grid, float(speed[-1]), streams))
    speed = lag(speed, _DRIVE_LAG_S, grid.step_s)
    position = np.cumsum(speed) * (grid.step_s / 60)
    return Casting(speed, position - np.interp(0.0, grid.time_s, position))


def _ends(config: LineConfig, grid: Grid, last_m_min: float, streams: Streams) -> Signal:
    """What the ramps allow, far above any speed between them."""
    rng, figures = streams.of_sequence("ends"), config.speed
    slow, ramp_s = draw(rng, figures.start_m_min), 60 * draw(rng, figures.start_ramp_min)
    slow_end, end_ramp_s = draw(rng, figures.end_m_min), 60 * draw(rng, figures.end_ramp_min)
    up = slow + (figures.base_m_min[1] - slow) * np.maximum(grid.time_s, 0.0) / ramp_s
    left_s = grid.time_s[-1] - grid.time_s
    down = slow_end + max(last_m_min - slow_end, 0.05) * left_s / end_ramp_s
    return np.asarray(np.minimum(up, down))
