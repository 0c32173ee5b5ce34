"""The nozzle clogs, and deposits let go: dC/dt = −r·C, release hazard λ₀·exp(b·(1−C)), a jump at each release.

C is the nozzle's opening as a share of a clean one; it never falls below `clogged_to`, so that a nozzle that does not
let go does not close for good.
"""

from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.signals import Grid, Signal, Streams, draw

_FIRST = (0.85, 1.0)  # the opening at the first scan (assumed)


@dataclass(frozen=True, slots=True)
class Release:
    """One release: when, and by how much the opening really jumped; it ends at a clean nozzle's."""

    at_s: float
    jump: float


@dataclass(frozen=True, slots=True, eq=False)
class Clogging:
    """The nozzle over one sequence.

    Attributes:
        opening: float64 [steps], share of a clean nozzle's.
        releases: in the order of time.
    """

    opening: Signal
    releases: tuple[Release, ...]


def clog(config: LineConfig, grid: Grid, free: tuple[float, float], streams: Streams) -> Clogging:
    """The nozzle's opening over one sequence.

    Args:
        config: the figures.
        grid: the internal time axis.
        free: seconds between which it may let go.
        streams: random generators.
    """
    rng, figures, level = streams.of_sequence("clogging"), config.clogging_release, config.level
    per_s, floor = draw(rng, level.clogging_per_min) / 60, level.clogged_to
    opening = np.empty(grid.steps)
    releases: list[Release] = []
    first, value, at_s = 0, draw(rng, _FIRST), float(grid.time_s[0])
    while first < grid.steps:
        time_s = grid.time_s[first:]
        opening[first:] = np.maximum(value * np.exp(-per_s * (time_s - at_s)), floor)
        closed = 1 - opening[first:]
        hazard = figures.per_hour / 3600 * np.exp(figures.steepness * (closed - figures.usual_closed))
        hazard[(time_s < free[0]) | (time_s > free[1])] = 0.0
        gone = np.cumsum(hazard) * grid.step_s > rng.exponential()
        if not gone.any():
            break
        step = first + int(np.argmax(gone))
        value = min(float(opening[step]) + draw(rng, figures.jump), 1.0)
        releases.append(Release(float(grid.time_s[step]), value - float(opening[step])))
        at_s, first = float(grid.time_s[step]), step + 1
    return Clogging(opening, tuple(releases))
