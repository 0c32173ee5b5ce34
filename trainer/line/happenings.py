"""What happens on a strand: its truth, and what it does to each room.

A happening never reaches into a room. It says what it adds to a named channel over time (`Profile`), to the
thermocouples (`Kernel`) or to an instrument (`Fault`); the rooms ask for the sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.datasets.records import Difficulty
from trainer.line.config import LineConfig
from trainer.line.figures.base import Grade
from trainer.line.kernels import Kernel
from trainer.line.mould_array import MouldArray
from trainer.line.signals import Grid, Signal

Channel = Literal[
    "speed_m_min", "temperature_k", "level_push_mm_s", "level_sensor_mm", "bulging_mm", "loop_proportional",
    "loop_integral", "argon_nl_min", "flux_share", "friction_kn", "frequency_hz", "zone2_share", "zone5_share",
]  # fmt: skip

STICKER, QUALITY = "sticker", "quality"
TARGETS = (STICKER, QUALITY)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is added to one channel: straight lines between corners (seconds, value), 0 before, the last value after."""

    channel: Channel
    corners: tuple[tuple[float, float], ...]

    def over(self, time_s: Signal) -> Signal:
        """The addition at some times."""
        times, values = zip(*self.corners, strict=True)
        return np.asarray(np.interp(time_s, times, values, left=0.0))


@dataclass(frozen=True, slots=True)
class Fault:
    """What one thermocouple's instrument does instead of measuring.

    Attributes:
        thermocouple: its index in the array.
        begins_s: from when.
        ends_s: until when.
        stuck_c: the value it shows throughout, or None.
        drift_k: how far it has drifted at the end.
        losses_s: spans in which its contact is lost.
        loss_share: how far its reading then falls towards the water's temperature.
    """

    thermocouple: int
    begins_s: float
    ends_s: float
    stuck_c: float | None = None
    drift_k: float = 0.0
    losses_s: tuple[tuple[float, float], ...] = ()
    loss_share: float = 0.0


@dataclass(frozen=True, slots=True)
class Happening:
    """One happening with its truth, in seconds from the first scan; see `trainer.datasets.records.Event`.

    Attributes:
        type: what it is.
        target: the target it is a positive of, None for a look-alike.
        onset_s: first trace in any sensor.
        detectable_s: from when it can be told from its look-alikes.
        end_s: the impact, or the end of the pattern.
        ignore_until_s: from when windows are used again.
        sensors: names of those it touches.
        impact_s: breakout, or the defect leaving where it is made; None where nothing comes of it.
        healed: a sticker that stops by itself.
        difficulty: how visible a defect is.
        look_alike_of: the type it imitates.
        pair: shared with the happening matched to it.
        recordable: whether inspection could find anything afterwards.
        position_s: when its place on the strand was at the meniscus; None: at the onset.
        profiles: what it adds to the channels.
        kernels: what it adds to the thermocouples.
        fault: what it does to an instrument.
    """

    type: str
    target: str | None
    onset_s: float
    detectable_s: float
    end_s: float
    ignore_until_s: float
    sensors: tuple[str, ...]
    impact_s: float | None = None
    healed: bool = False
    difficulty: Difficulty | None = None
    look_alike_of: str | None = None
    pair: str | None = None
    recordable: bool = True
    position_s: float | None = None
    profiles: tuple[Profile, ...] = ()
    kernels: tuple[Kernel, ...] = ()
    fault: Fault | None = None

    def settled(self, channel: Channel) -> float:
        """What it has changed a channel by for good."""
        return sum(profile.corners[-1][1] for profile in self.profiles if profile.channel == channel)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a happening is drawn for.

    Attributes:
        config: every figure.
        array: the thermocouples.
        grade: steel grade of the sequence.
        superheat_k: usual superheat of the sequence.
        imbalance: heat flux of the loose over that of the fixed face, less one, without sign.
        speed_m_min: casting speed at the time; a tear or a depression keeps its share of it.
    """

    config: LineConfig
    array: MouldArray
    grade: Grade
    superheat_k: float
    imbalance: float
    speed_m_min: float

    @property
    def speed_m_s(self) -> float:
        """Casting speed in m/s."""
        return self.speed_m_min / 60


def total(happenings: Iterable[Happening], channel: Channel, grid: Grid) -> Signal:
    """What all of them add to a channel, float64 [steps]."""
    added = np.zeros(grid.steps)
    for happening in happenings:
        for profile in happening.profiles:
            if profile.channel == channel:
                added += profile.over(grid.time_s)
    return added


def plateau(channel: Channel, begins_s: float, ends_s: float, height: float, ramp_s: float) -> Profile:
    """Up within `ramp_s`, held, and down again within `ramp_s` after the end."""
    corners = ((begins_s, 0.0), (begins_s + ramp_s, height), (max(ends_s, begins_s + ramp_s), height))
    return Profile(channel, (*corners, (corners[-1][0] + ramp_s, 0.0)))
