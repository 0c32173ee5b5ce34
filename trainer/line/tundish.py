"""Heats in the tundish: ladle changes, weight, temperature, grade."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.figures.base import Grade
from trainer.line.figures.plant import Tundish
from trainer.line.happenings import Happening, total
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander


@dataclass(frozen=True, slots=True, eq=False)
class Steel:
    """What the tundish gives to the strand.

    Attributes:
        weight_t: float64 [steps].
        temperature_c: float64 [steps].
        superheat_k: float64 [steps], temperature above the grade's liquidus.
        changes_s: seconds after the first scan at which a new ladle opens, rising.
    """

    weight_t: Signal
    temperature_c: Signal
    superheat_k: Signal
    changes_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Melt:
    """What is cast in one sequence: the grade, and its usual temperature in the tundish in °C."""

    grade: Grade
    base_c: float
    superheat_k: float


def melt(config: LineConfig, streams: Streams) -> Melt:
    """Draw what one sequence casts."""
    rng, tundish = streams.of_sequence("melt"), config.tundish
    grades = sorted(tundish.liquidus_c)
    grade = grades[int(rng.integers(len(grades)))]
    base_c = draw(rng, tundish.temperature_c)
    return Melt(grade, base_c, base_c - tundish.liquidus_c[grade])


def pour(config: LineConfig, grid: Grid, what: Melt, happenings: Sequence[Happening], streams: Streams) -> Steel:
    """Weight and temperature over one sequence that begins somewhere within a heat."""
    rng, tundish = streams.of_sequence("tundish"), config.tundish
    opens = _openings(tundish, float(grid.time_s[-1]), rng)
    weight, temperature = (np.array(corners) for corners in _corners(tundish, opens, rng))
    weight_t = lag(np.interp(grid.time_s, weight[:, 0], weight[:, 1]), 5.0, grid.step_s)
    weight_t = weight_t + wander(rng, grid.steps, tundish.weight_wander_t, 120.0, grid.step_s)
    temperature_c = what.base_c + total(happenings, "temperature_k", grid)
    temperature_c += lag(np.interp(grid.time_s, temperature[:, 0], temperature[:, 1]), 60.0, grid.step_s)
    temperature_c += wander(rng, grid.steps, tundish.temperature_wander_k, 300.0, grid.step_s)
    changes = tuple(open_s for open_s in opens if open_s > 0)
    return Steel(weight_t, temperature_c, temperature_c - tundish.liquidus_c[what.grade], changes)


def ladle_changes(config: LineConfig, steel: Steel) -> list[Happening]:
    """Every change of the ladle as a look-alike: the tundish empties, and the stopper opens as if it clogged."""
    tundish = config.tundish
    before_s, after_s = 60 * tundish.change_min[1], 60 * tundish.refill_min[1]
    return [
        Happening(
            type="ladle_change",
            target=None,
            onset_s=change_s - before_s,
            detectable_s=change_s - before_s,
            end_s=change_s + after_s,
            ignore_until_s=change_s + after_s,
            sensors=("tundish_weight_t", "tundish_temp_c", "stopper_position_pct"),
            look_alike_of="clogging_release",
        )
        for change_s in steel.changes_s
    ]


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
