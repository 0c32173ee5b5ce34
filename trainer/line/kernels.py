"""The trace that a tear, a film or a depression leaves in the thermocouples.

ΔT_i = A_i·[exp(−u²/2) − β·exp(−(u−u₁)²/(2σ₂²))] with u = (t − arrival_i)/w, added to the *reading* of thermocouple
i: the widths are those of measured traces. The trace's area is A·w·√(2π)·(1 − β·σ₂). With σ₂ = 1/β it is zero, and
then no shift in time changes the trace's mean or slope over a window that holds all of it: that is how a sticker and
the film patch matched to it agree in every statistic of every channel and differ in the lag alone.

A window that ends in the middle of the pattern cuts the rows at different places, so last values and slopes of several
channels *together* do tell something of the lag. No single channel does: over such windows of 60 s no statistic of
one thermocouple alone separates the twins by more than a little (`tests/trainer/line/test_twins.py`).
"""

from dataclasses import dataclass, replace

import numpy as np

from trainer.line.signals import Grid, Signal

_REACH = 6.0  # widths after which exp(-u²/2) is below 2e-8: nothing an instrument could show


@dataclass(frozen=True, slots=True)
class Kernel:
    """One trace in all thermocouples of the array.

    Attributes:
        amplitude_k: rise of each (negative: a dip); 0 where it is not touched.
        arrival_s: when the rise peaks at each, seconds from the first scan.
        beta: the fall after the rise as a share of it.
        width_s: w.
        dip_at: u₁, widths.
        dip_width: σ₂, widths.
    """

    amplitude_k: tuple[float, ...]
    arrival_s: tuple[float, ...]
    beta: float
    width_s: float
    dip_at: float
    dip_width: float

    def reading_k(self, time_s: Signal, thermocouple: int) -> Signal:
        """Change of one thermocouple's reading in K, at any times."""
        u = (time_s - self.arrival_s[thermocouple]) / self.width_s
        rise = np.exp(-(u**2) / 2)
        if self.beta:
            rise -= self.beta * np.exp(-((u - self.dip_at) ** 2) / (2 * self.dip_width**2))
        return self.amplitude_k[thermocouple] * rise

    def add_to(self, reading_c: Signal, thermocouple: int, grid: Grid) -> None:
        """Add the trace to a whole sequence's reading, where there is anything to add."""
        arrival, tail = self.arrival_s[thermocouple], self.dip_at + _REACH * self.dip_width if self.beta else _REACH
        first, after = grid.index(arrival - _REACH * self.width_s), grid.index(arrival + tail * self.width_s)
        reading_c[first:after] += self.reading_k(grid.time_s[first:after], thermocouple)

    @property
    def touched(self) -> list[int]:
        """The thermocouples that show anything."""
        return [index for index, amplitude in enumerate(self.amplitude_k) if amplitude]

    def first_s(self, thermocouples: list[int], at: float) -> float:
        """When the earliest of some thermocouples has come to u = `at`."""
        return min(self.arrival_s[index] for index in thermocouples) + at * self.width_s

    def gone_s(self, spread: float) -> float:
        """When the fall is `spread` of its own widths past its deepest point, everywhere."""
        tail = self.dip_at + spread * self.dip_width if self.beta else spread
        return max(self.arrival_s[index] for index in self.touched) + tail * self.width_s

    def shifted(self, seconds: float) -> "Kernel":
        """The same trace, later."""
        return replace(self, arrival_s=tuple(arrival + seconds for arrival in self.arrival_s))
