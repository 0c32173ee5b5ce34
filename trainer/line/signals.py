"""Random processes and filters that several rooms share; each works on a whole sequence at once."""

from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt
from scipy.signal import bilinear, lfilter

Signal = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """The internal time axis of one sequence.

    Attributes:
        step_s: distance of two steps, seconds.
        lead_s: seconds before the first scan, in which the filters settle; never published.
        time_s: float64 [steps], 0 at the first scan, from -lead_s on.
    """

    step_s: float
    lead_s: float
    time_s: Signal

    @property
    def steps(self) -> int:
        """Number of internal steps, the lead included."""
        return len(self.time_s)

    def index(self, time_s: float) -> int:
        """The step at or before a time, kept within the axis."""
        return min(max(int((time_s + self.lead_s) / self.step_s), 0), self.steps)


@dataclass(frozen=True, slots=True)
class Streams:
    """Random generators by room, so that replacing one room leaves the draws of the others as they were.

    Attributes:
        seed: the line's seed.
        domain: keeps lines of different purpose apart even at the same seed.
        strand: index of the strand.
        index: index of the casting sequence on its strand.
    """

    seed: int
    domain: int
    strand: int
    index: int

    def of_strand(self, room: str) -> np.random.Generator:
        """For what stays the same over all sequences of the strand."""
        return self._generator(self.domain, self.strand, crc32(room.encode()))

    def of_sequence(self, room: str) -> np.random.Generator:
        """For what belongs to this sequence alone."""
        return self._generator(self.domain, self.strand, crc32(room.encode()), 1 + self.index)

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


def draw(rng: np.random.Generator, span: tuple[float, float]) -> float:
    """One value, uniform within a range."""
    return float(rng.uniform(*span))


def lag(signal: Signal, tau_s: float, step_s: float) -> Signal:
    """First-order lag that starts settled at the first value."""
    if tau_s <= 0:
        return signal
    keep = np.exp(-step_s / tau_s)
    return np.asarray(lfilter([1 - keep], [1, -keep], signal, zi=[keep * signal[0]])[0])


def wander(rng: np.random.Generator, steps: int, sigma: float, tau_s: float, step_s: float) -> Signal:
    """Ornstein-Uhlenbeck process around zero, stationary from the first step."""
    keep = np.exp(-step_s / tau_s) if tau_s > 0 else 0.0
    noise = rng.standard_normal(steps + 1) * sigma
    driven = noise[1:] * np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1, -keep], driven, zi=[keep * noise[0]])[0])


def transfer(signal: Signal, numerator: tuple[float, ...], denominator: tuple[float, ...], step_s: float) -> Signal:
    """Apply a transfer function in s (highest power first), discretised by the bilinear rule, from rest."""
    b, a = bilinear(numerator, denominator, fs=1 / step_s)
    return np.asarray(lfilter(b, a, signal))


def resonance(period_s: float, decay_s: float, step_s: float) -> tuple[float, float, float]:
    """Denominator of an AR(2) process that rings with a period and dies away within a decay time."""
    radius = np.exp(-step_s / decay_s)
    return 1.0, float(-2 * radius * np.cos(2 * np.pi * step_s / period_s)), float(radius**2)
