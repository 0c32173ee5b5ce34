"""Heats in the tundish: ladle changes, weight, temperature, grade."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from trainer.line.config import Grade, LineConfig, Tundish
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander


@dataclass(frozen=True, slots=True, eq=False)
class Steel:
    """What the tundish gives to the strand.

    Attributes:
        grade: steel grade of the whole sequence.
        weight_t: float64 [steps].
        temperature_c: float64 [steps].
        superheat_k: float64 [steps], temperature above the grade's liquidus.
        changes_s: seconds after the first scan at which a new ladle opens, rising.
    """

    grade: Grade
    weight_t: Signal
    temperature_c: Signal
    superheat_k: Signal
    changes_s: tuple[float, ...]


def pour(config: LineConfig, grid: Grid, streams: Streams) -> Steel:
    """Weight and temperature over one sequence that begins somewhere within a heat."""
    rng, tundish = streams.of_sequence("tundish"), config.tundish
    grades = sorted(tundish.liquidus_c)
    grade = grades[int(rng.integers(len(grades)))]
    opens = _openings(tundish, float(grid.time_s[-1]), rng)
    weight, temperature = (np.array(corners) for corners in _corners(tundish, opens, rng))
    base_c = draw(rng, tundish.temperature_c)
    weight_t = lag(np.interp(grid.time_s, weight[:, 0], weight[:, 1]), 5.0, grid.step_s)
    weight_t = weight_t + wander(rng, grid.steps, tundish.weight_wander_t, 120.0, grid.step_s)
    temperature_c = base_c + lag(np.interp(grid.time_s, temperature[:, 0], temperature[:, 1]), 60.0, grid.step_s)
    temperature_c = temperature_c + wander(rng, grid.steps, tundish.temperature_wander_k, 300.0, grid.step_s)
    changes = tuple(open_s for open_s in opens if open_s > 0)
    return Steel(grade, weight_t, temperature_c, temperature_c - tundish.liquidus_c[grade], changes)


def _openings(tundish: Tundish, end_s: float, rng: np.random.Generator) -> list[float]:
    """Seconds at which ladles open: one before the sequence, then one after each heat, until past the end."""
    first_s = 60 * draw(rng, tundish.heat_min)
    opens = [-first_s * rng.uniform(0.1, 1.0)]
    opens.append(opens[0] + first_s)
    while opens[-1] <= end_s:
        opens.append(opens[-1] + 60 * draw(rng, tundish.heat_min))
    return opens


def _corners(
    tundish: Tundish, opens: list[float], rng: np.random.Generator
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Corner points (seconds, value) of the weight and of the temperature's deviation, heat by heat."""
    full_t = draw(rng, tundish.weight_t)
    weight, temperature = [(opens[0], full_t)], [(opens[0], tundish.fresh_ladle_rise_k)]
    for before_s, open_s in pairwise(opens):
        change_s = 60 * draw(rng, tundish.change_min)
        refill_s = 60 * draw(rng, tundish.refill_min)
        low_t = full_t * (1 - draw(rng, tundish.change_fall_share))
        weight += [(open_s - change_s, full_t), (open_s, low_t), (open_s + refill_s, full_t)]
        middle_s = max(open_s - change_s, before_s + refill_s + 60)
        temperature += [
            (middle_s, 0.0),
            (open_s + 60, -draw(rng, tundish.change_fall_k)),
            (open_s + 60 + refill_s, tundish.fresh_ladle_rise_k),
        ]
    return weight, temperature
