"""What happens when: events placed at random within a sequence, never two at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.line.config import LineConfig

EventType = Literal["sticker", "film_fracture", "speed_step"]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One event to come.

    Attributes:
        type: what it will be.
        onset_s: seconds after the first scan at which its first trace shows.
        healed: force a sticker to heal or not; None draws it.
    """

    type: EventType
    onset_s: float
    healed: bool | None = None


def reserve_s(config: LineConfig, kind: EventType) -> float:
    """The longest time an event of a type can need, from its onset until windows are used again."""
    if kind == "speed_step":
        return config.speed_step.ramp_s[1] + config.speed_step.settle_s
    sticker, geometry = config.sticker, config.geometry
    slowest_m_s = sticker.speed_ratio[0] * config.speed.low_m_min / 60
    sideways_s = (geometry.width_m / 2 + geometry.column_m) / (sticker.sideways_m_min[0] / 60)
    dip_s = (sticker.dip_at[1] + 3 * sticker.dip_width[1] - sticker.onset_at) * sticker.width_s[1]
    if kind == "film_fracture":
        return sideways_s + dip_s
    lower_s = geometry.lower_row_m / slowest_m_s + sideways_s + dip_s
    return max(geometry.mould_exit_m / slowest_m_s, lower_s) + sticker.ignore_s


def plan_events(config: LineConfig, duration_s: float, rng: np.random.Generator) -> list[Scheduled]:
    """Draw the events of one sequence: Poisson counts at the configured rates, spread evenly over the time.

    What does not fit beside what was drawn before is left out, so very high rates are not reached.

    Args:
        config: rates, margins, spacing.
        duration_s: length of the sequence.
        rng: draws counts, order and places.

    Returns:
        Events in the order of time.
    """
    rates: dict[EventType, float] = {
        "sticker": config.sticker.per_hour,
        "film_fracture": config.film_fracture.per_hour,
        "speed_step": config.speed_step.per_hour,
    }
    drawn: list[EventType] = []
    for kind, rate in rates.items():
        drawn += [kind] * int(rng.poisson(rate * duration_s / 3600))
    drawn = [drawn[index] for index in rng.permutation(len(drawn))]
    free_s = duration_s - 2 * config.event_margin_s
    fitting: list[EventType] = []
    for kind in drawn:
        need_s = reserve_s(config, kind) + config.event_spacing_s
        if need_s <= free_s:
            fitting.append(kind)
            free_s -= need_s
    return _spread(config, fitting, free_s, rng)


def _spread(config: LineConfig, kinds: Sequence[EventType], free_s: float, rng: np.random.Generator) -> list[Scheduled]:
    # Uniform order statistics of the free time give every arrangement without overlap the same chance.
    cuts = np.sort(rng.uniform(0, max(free_s, 0.0), size=len(kinds)))
    placed, used_s = [], config.event_margin_s
    for kind, cut in zip(kinds, cuts, strict=True):
        placed.append(Scheduled(kind, float(cut) + used_s))
        used_s += reserve_s(config, kind) + config.event_spacing_s
    return placed
