"""The level's control loop, step by step for many sequences at once.

Only sums and products of single steps, so a sequence's values are the same to the bit whatever stands beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.signals import Signal


@dataclass(frozen=True, slots=True, eq=False)
class LoopInputs:
    """What drives the loop of one sequence, each float64 [steps].

    Attributes:
        inflow: rise of the level for one per cent of stopper, mm/s.
        push: what else moves the level, the strand's withdrawal included, mm/s.
        sensor: error of the level sensor, mm.
        proportional: of the controller, % per mm.
        integral: of the controller, % per mm and second.
        stopper_lag_s: of the stopper rod, seconds.
    """

    inflow: Signal
    push: Signal
    sensor: Signal
    proportional: Signal
    integral: Signal
    stopper_lag_s: float


def run_loops(inputs: Sequence[LoopInputs], step_s: float) -> list[tuple[Signal, Signal]]:
    """Level in mm and stopper in % of each sequence, which must all have the same number of steps.

    The loops start in balance: the level at its set point, the stopper where it feeds what the strand takes.
    """
    names = ("inflow", "push", "sensor", "proportional", "integral")
    # [steps, sequences], so that a step of all sequences lies side by side in memory.
    inflow, push, sensor, proportional, integral = (
        np.ascontiguousarray(np.stack([getattr(one, name) for one in inputs], axis=1)) for name in names
    )
    follows = step_s / np.array([one.stopper_lag_s for one in inputs])
    push *= step_s
    inflow *= step_s
    integral *= step_s
    count, steps = len(inputs), len(push)
    level, stopper = np.zeros(count), -push[0] / inflow[0]
    wanted = stopper.copy()
    levels, stoppers = np.empty((steps, count)), np.empty((steps, count))
    measured, moved = np.empty(count), np.empty(count)
    for step in range(steps):
        np.add(level, sensor[step], out=measured)
        np.multiply(integral[step], measured, out=moved)
        np.subtract(wanted, moved, out=wanted)
        np.multiply(proportional[step], measured, out=moved)
        np.subtract(wanted, moved, out=moved)
        np.subtract(moved, stopper, out=moved)
        np.multiply(moved, follows, out=moved)
        np.add(stopper, moved, out=stopper)
        np.multiply(inflow[step], stopper, out=moved)
        np.add(moved, push[step], out=moved)
        np.add(level, moved, out=level)
        levels[step] = level
        stoppers[step] = stopper
    return [(np.ascontiguousarray(levels[:, i]), np.ascontiguousarray(stoppers[:, i])) for i in range(count)]
