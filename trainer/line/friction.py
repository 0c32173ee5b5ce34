"""Mould oscillation and the friction between strand and mould."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.happenings import Happening, total
from trainer.line.signals import Grid, Signal, Streams, draw, lag, wander
from trainer.line.speed import Casting

_ANSWERS_S = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class MouldMotion:
    """How the mould moves, each float64 [steps].

    Attributes:
        frequency_hz: oscillation frequency, tied to the speed.
        phase: phase of the oscillation, radians.
        friction_kn: friction, with what stickers add.
    """

    frequency_hz: Signal
    phase: Signal
    friction_kn: Signal


def negative_strip_s(speed_m_min: float, frequency_hz: float, stroke_mm: float) -> float:
    """How long in each stroke the mould moves down faster than the strand: arccos(V/(π·f·S))/(π·f), seconds.

    0 where it never does.
    """
    share = speed_m_min / 60 / (np.pi * frequency_hz * stroke_mm / 1000)
    return float(np.arccos(share) / (np.pi * frequency_hz)) if share < 1 else 0.0


def oscillate(
    config: LineConfig, grid: Grid, casting: Casting, happenings: Sequence[Happening], streams: Streams
) -> MouldMotion:
    """Oscillation and friction over one sequence."""
    own, rng, figures = streams.of_strand("friction"), streams.of_sequence("friction"), config.oscillation
    frequency = draw(own, figures.frequency_hz) + figures.per_speed_hz * (casting.speed_m_min - 1.2)
    frequency = np.maximum(frequency + total(happenings, "frequency_hz", grid), figures.slowest_hz)
    phase = 2 * np.pi * np.cumsum(frequency) * grid.step_s
    friction = draw(own, figures.friction_kn) * casting.speed_m_min / 1.2
    friction = friction + wander(
        rng, grid.steps, figures.friction_wander_kn, figures.friction_wander_tau_s, grid.step_s
    )
    return MouldMotion(
        frequency, phase, friction + lag(total(happenings, "friction_kn", grid), _ANSWERS_S, grid.step_s)
    )
