"""Mould oscillation and the friction between strand and mould."""

from dataclasses import dataclass

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.patterns import Pattern, friction_rise
from trainer.line.signals import Grid, Signal, Streams, draw, wander
from trainer.line.speed import Casting


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


def oscillate(
    config: LineConfig, grid: Grid, casting: Casting, patterns: list[Pattern], streams: Streams
) -> MouldMotion:
    """Oscillation and friction over one sequence."""
    own, rng, figures = streams.of_strand("friction"), streams.of_sequence("friction"), config.oscillation
    frequency = draw(own, figures.frequency_hz) + figures.per_speed_hz * (casting.speed_m_min - 1.2)
    phase = 2 * np.pi * np.cumsum(frequency) * grid.step_s
    friction = draw(own, figures.friction_kn) * casting.speed_m_min / 1.2
    friction = friction + wander(
        rng, grid.steps, figures.friction_wander_kn, figures.friction_wander_tau_s, grid.step_s
    )
    return MouldMotion(frequency, phase, friction + friction_rise(patterns, grid))
