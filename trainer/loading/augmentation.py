"""Variations of the rare windows, those with a positive label, so that an epoch sees more of them than were recorded.

Each is off unless its setting says otherwise:

- *shift*: the window ends some scans earlier or later within its stretch without a gap, with the truth of *that* row.
- *symmetry*: sensors change places as the dataset declares, in engineering units, before anything is normalised.
- *time warp*: the rows are read at a speed that wanders smoothly; the first and last stay, order and range too.
- *scaling*: each sensor times its own factor, in normalised units.
- *jitter*: noise on each value, in normalised units.
- *mixup*: the weighted mean with another window of the dataset, and of their labels, which become soft.

What is drawn for a window is a pure function of (seed, epoch, index). Validation and serving never see any of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from msgspec import Meta

from models.errors import UsageError
from models.windows import BoolArray, Float32Array, Int64Array
from trainer.datasets.records import Symmetry

Amount = Annotated[float, Meta(ge=0, le=10)]

_STREAM = 2
"""Tells this module's draws from others of the same seed and epoch."""

_WARP_KNOTS = 5
"""Points between which the speed of a time warp goes in straight lines: two or three bends a window."""


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """How much windows with a positive label vary; all 0 and off: not at all.

    Attributes:
        share: probability that such a window is varied at all; then by all that is on.
        jitter: standard deviation of noise on each value, in normalised units.
        scaling: standard deviation of the logarithm of each sensor's factor.
        time_warp: standard deviation of the logarithm of the speed that rows are read at.
        shift: most scans that a window's end moves.
        mixup: both parameters of the Beta distribution that the weight is drawn from; the window's own is the larger.
        symmetry: each declared exchange of sensors is made with probability 1/2.
    """

    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    jitter: Amount = 0.0
    scaling: Amount = 0.0
    time_warp: Amount = 0.0
    shift: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    mixup: Amount = 0.0
    symmetry: bool = False

    @property
    def is_on(self) -> bool:
        """Whether any window would be varied."""
        return self.share > 0 and any(getattr(self, field.name) for field in fields(self) if field.name != "share")


MODERATE = AugmentationSettings(jitter=0.02, scaling=0.05, time_warp=0.1, shift=4, symmetry=True)
"""What `augment=True` means, with `symmetry` only where the dataset declares one: all but mixup, each so small that a
person would not tell the window from a recorded one."""


class Augmenter:
    """Draws and carries out the variations of one dataset's windows.

    Args:
        settings: how much.
        symmetries: as the dataset declares them.
        sensors: names of the columns.
        seed: of the drawing.
        clip: values are cut at plus and minus this, as the preprocessor does.

    Raises:
        UsageError: `symmetry` is asked for and none is declared, or one is no exchange of columns.
    """

    def __init__(
        self,
        settings: AugmentationSettings,
        *,
        symmetries: Sequence[Symmetry],
        sensors: Sequence[str],
        seed: int,
        clip: float,
    ) -> None:
        if settings.symmetry and not symmetries:
            raise UsageError(
                "expected a dataset that declares symmetries, got one that declares none at augmentation.symmetry: "
                "turn it off, or declare them when the dataset is made"
            )
        self.settings = settings
        self._permutations = [permutation(symmetry, sensors) for symmetry in symmetries]
        self._seed = seed
        self._clip = np.float32(clip)

    def drawn(self, epoch: int, indices: Int64Array, positive: BoolArray) -> dict[int, np.random.Generator]:
        """For each place [k] of a batch whose window varies in this epoch, the generator of all that is drawn for it.

        Args:
            epoch: of the training.
            indices: [k] of the windows.
            positive: [k] whether they have a positive label.
        """
        generators = {
            place: np.random.default_rng([_STREAM, self._seed, epoch, int(indices[place])])
            for place in np.flatnonzero(positive).tolist()
        }
        return {place: rng for place, rng in generators.items() if rng.random() < self.settings.share}

    def exchanged(self, window: Float32Array, rng: np.random.Generator) -> Float32Array:
        """A raw window [t, s] after the symmetries that are drawn for it."""
        if self.settings.symmetry:
            for columns in self._permutations:
                if rng.random() < 0.5:
                    window = window[:, columns]
        return window

    def varied(self, window: Float32Array, rng: np.random.Generator) -> Float32Array:
        """A normalised window [t, s] after time warp, scaling and jitter, within the clip."""
        for change, amount in (
            (time_warp, self.settings.time_warp),
            (scale, self.settings.scaling),
            (jitter, self.settings.jitter),
        ):
            if amount:
                window = change(window, amount, rng)
        return np.clip(window, -self._clip, self._clip)

    def own_weight(self, rng: np.random.Generator) -> float:
        """A window's own weight in its mixup, at least 1/2."""
        weight = float(rng.beta(self.settings.mixup, self.settings.mixup))
        return max(weight, 1 - weight)


def permutation(symmetry: Symmetry, sensors: Sequence[str]) -> Int64Array:
    """The columns a symmetry makes of a window: ``window[:, permutation]``.

    In a pair (from, to), `to` gets the values of `from`; `from` gets those of `to`, unless another pair says
    otherwise. So ((left, right),) is an exchange and ((a, b), (b, c), (c, a)) a shift along a row.

    Raises:
        UsageError: a sensor would be there twice, or not at all.
    """
    place = {name: column for column, name in enumerate(sensors)}
    source = {to: origin for origin, to in symmetry}
    source = {origin: to for origin, to in symmetry if origin not in source} | source
    columns = [place.get(source.get(name, name), -1) for name in sensors]
    unknown = {name for pair in symmetry for name in pair} - set(sensors)
    if unknown or sorted(columns) != list(range(len(sensors))):
        raise UsageError(f"expected sensors that change places, got {[list(pair) for pair in symmetry]} at symmetries")
    return np.array(columns, np.int64)


def jitter(window: Float32Array, amount: float, rng: np.random.Generator) -> Float32Array:
    """Normal noise of standard deviation `amount` on each value of [t, s]."""
    noise = rng.standard_normal(window.shape, np.float32)
    return np.asarray(window + np.float32(amount) * noise, np.float32)


def scale(window: Float32Array, amount: float, rng: np.random.Generator) -> Float32Array:
    """Each sensor of [t, s] times exp(`amount` · normal)."""
    factors = np.exp(amount * rng.standard_normal(window.shape[1])).astype(np.float32)
    return np.asarray(window * factors, np.float32)


def time_warp(window: Float32Array, amount: float, rng: np.random.Generator) -> Float32Array:
    """The rows of [t, s] read at a speed whose logarithm wanders with standard deviation `amount`.

    The first and the last row stay where they are: the label is the last row's.
    """
    rows = len(window)
    if rows < 2:
        return window
    knots = amount * rng.standard_normal(_WARP_KNOTS)
    speed = np.exp(np.interp(np.linspace(0, 1, rows), np.linspace(0, 1, _WARP_KNOTS), knots))
    passed = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)])
    position = passed * ((rows - 1) / passed[-1])
    below = np.minimum(position.astype(np.int64), rows - 2)
    share = np.clip(position - below, 0, 1).astype(np.float32)[:, None]
    return np.asarray(window[below] * (1 - share) + window[below + 1] * share, np.float32)


def mix(
    window: Float32Array, label: Float32Array, other: Float32Array, other_label: Float32Array, weight: float
) -> tuple[Float32Array, Float32Array]:
    """The weighted mean of two windows, last row on last row, and of their labels [target].

    A label unknown (NaN) in either is unknown. Of windows of different length the shorter's is what both have.

    Returns:
        The window [shorter t, s] and its label.
    """
    own, rows = np.float32(weight), min(len(window), len(other))
    mixed = own * window[-rows:] + (1 - own) * other[-rows:]
    return np.asarray(mixed, np.float32), np.asarray(own * label + (1 - own) * other_label, np.float32)
