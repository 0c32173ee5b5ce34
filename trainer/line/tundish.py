"""Heats in the tundish: ladle changes, weight, temperature, grade."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.figures.base import Grade
from trainer.line.figures.plant import Tundish
from trainer.line.happenings import Happening, total
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander


@dataclass(frozen=True, slots=True)
class LadleChange:
    """One change of the ladle, seconds after the first scan: the old one empty, the new one open, the tundish full."""

    begins_s: float
    opens_s: float
    full_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Steel:
    """What the tundish gives to the strand.

    Attributes:
        weight_t: float64 [steps].
        temperature_c: float64 [steps].
        superheat_k: float64 [steps], temperature above the grade's liquidus.
        changes: every change of the ladle within the sequence, in the order of time.
    """

    weight_t: Signal
    temperature_c: Signal
    superheat_k: Signal
    changes: tuple[LadleChange, ...]


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
    corners_t, corners_k, changes = _corners(tundish, opens, rng)
    weight, temperature = np.array(corners_t), np.array(corners_k)
    weight_t = lag(np.interp(grid.time_s, weight[:, 0], weight[:, 1]), 5.0, grid.step_s)
    weight_t = weight_t + wander(rng, grid.steps, tundish.weight_wander_t, 120.0, grid.step_s)
    temperature_c = what.base_c + total(happenings, "temperature_k", grid)
    temperature_c += lag(np.interp(grid.time_s, temperature[:, 0], temperature[:, 1]), 60.0, grid.step_s)
    temperature_c += wander(rng, grid.steps, tundish.temperature_wander_k, 300.0, grid.step_s)
    changes = tuple(change for change in changes if 0 < change.opens_s <= grid.time_s[-1])
    return Steel(weight_t, temperature_c, temperature_c - tundish.liquidus_c[what.grade], changes)


def ladle_changes(steel: Steel) -> list[Happening]:
    """Every change of the ladle as a look-alike: the tundish empties, and the stopper opens as if it clogged."""
    return [
        Happening(
            type="ladle_change",
            target=None,
            onset_s=max(change.begins_s, 0.0),
            detectable_s=max(change.begins_s, 0.0),
            end_s=change.full_s,
            ignore_until_s=change.full_s,
            sensors=("tundish_weight_t", "tundish_temp_c", "stopper_position_pct"),
            look_alike_of="clogging_release",
        )
        for change in steel.changes
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
) -> tuple[list[tuple[float, float]], list[tuple[float, float]], tuple[LadleChange, ...]]:
    """Corners (seconds, value) of the weight and of the temperature's deviation, and the changes of the ladle."""
    full_t = draw(rng, tundish.weight_t)
    weight, temperature = [(opens[0], full_t)], [(opens[0], tundish.fresh_ladle_rise_k)]
    changes: list[LadleChange] = []
    full_since_s = opens[0]
    for open_s in opens[1:]:
        fall_t = full_t * draw(rng, tundish.change_fall_share)
        begins_s = open_s - 60 * fall_t / tundish.cast_t_min  # the strand goes on casting out of the tundish
        full_s = open_s + 60 * draw(rng, tundish.refill_min)
        changes.append(LadleChange(begins_s, open_s, full_s))
        weight += [(begins_s, full_t), (open_s, full_t - fall_t), (full_s, full_t)]
        temperature += [
            (max(begins_s, full_since_s + 60), 0.0),
            (open_s + 60, -draw(rng, tundish.change_fall_k)),
            (full_s + 60, tundish.fresh_ladle_rise_k),
        ]
        full_since_s = full_s
    return weight, temperature, tuple(changes)
