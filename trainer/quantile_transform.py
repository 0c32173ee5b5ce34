"""A sensor's reading as its rank among the training readings: the normalisation `quantile`.

A sensor that lives at a few levels, as a pump's flow does, has a spread as wide as these lie apart, and what goes wrong
at one of them is a small part of it. Ranks give every level as much room as it has readings. Where a fault shows in how
a value moves, as on a caster, they do harm (EXPERIMENTS.md, 2026-11-29). They cost: `PIECES` numbers are worked out
for every reading, in the graph too.

Shape suffixes: b windows, t rows in time, s sensors, k straight pieces.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from models.windows import Float32Array
from trainer.loading.row_statistics import Float64Array

PIECES = 32
"""Straight pieces of a transform, each with as many training readings as any other."""

TAIL = 0.005
"""Share of the training readings below the lowest quantile, and above the highest: strays have no part in the ranks."""

LEAST_WIDTH = 1e-3
"""Of a piece, in scales: the transform must not tell readings apart that only rounding does."""

_SPREAD_OF_NORMAL = 2 * 2.5758
"""Between the outermost quantiles of a standard normal distribution."""

_UNIFORM = math.sqrt(12.0)
"""What gives ranks, spread evenly from 0 to 1, a standard deviation of 1."""


def quantiles_of(sample: Float32Array, otherwise: Float64Array) -> Float32Array:
    """The quantiles that a transform is made of.

    Args:
        sample: rows [n, s] of the training data, NaN = missing.
        otherwise: [s], what stands for a sensor without a reading in the sample.

    Returns:
        float32 [s, PIECES + 1] readings, evenly spaced in rank from `TAIL` to 1 - `TAIL`.
    """
    at = np.linspace(TAIL, 1 - TAIL, PIECES + 1)
    columns = [column[~np.isnan(column)] for column in sample.T]
    found = [
        np.quantile(column, at, method="inverted_cdf") if column.size else np.full_like(at, number)
        for column, number in zip(columns, otherwise, strict=True)
    ]
    return np.stack(found).astype(np.float32)


def tail_scale(quantiles: Float32Array, deviation: Float64Array) -> Float64Array:
    """The scale [s] beyond the quantiles: as a standard deviation, but of what lies between the outermost ones.

    Args:
        quantiles: [s, k + 1].
        deviation: [s], for a sensor that has next to all its readings at one value.
    """
    spread = (quantiles[:, -1].astype(np.float64) - quantiles[:, 0]) / _SPREAD_OF_NORMAL
    scale: Float64Array = np.where(spread > 0, spread, deviation)
    return scale


class QuantileTransform(nn.Module):
    """Ranks of readings, from -sqrt(3) to sqrt(3): where no readings are the same, of mean 0 and deviation 1.

    Straight between two quantiles. A reading that many training rows share has their middle rank. Beyond the lowest and
    the highest quantile it goes on as a distance in scales: of a sensor with two levels far apart, a small one.

    Args:
        quantiles: [s, k + 1] engineering units, not falling along k; see `quantiles_of`.
        scale: [s] engineering units, above 0.
    """

    start: Tensor
    width: Tensor
    rise: Tensor
    base: Tensor
    low: Tensor
    high: Tensor
    scale: Tensor

    def __init__(self, quantiles: Float32Array, scale: Float32Array) -> None:
        super().__init__()
        pieces = [_pieces(*of_sensor) for of_sensor in zip(quantiles, scale, strict=True)]
        for name in ("start", "width", "rise", "base"):
            self.register_buffer(name, torch.tensor(np.stack([piece[name] for piece in pieces]), dtype=torch.float32))
        for name, values in (("low", quantiles[:, 0]), ("high", quantiles[:, -1]), ("scale", scale)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Readings [b, t, s] without NaN to the same, normalised."""
        within_btsk = ((x[..., None] - self.start) / self.width).clamp(0.0, 1.0)
        return (within_btsk * self.rise).sum(-1) + self.base + self._beyond(x)

    @torch.no_grad()
    def overwrite(self, x: Tensor) -> Tensor:
        """The same numbers, in place and a sensor at a time: k numbers a reading need not be held for all at once."""
        beyond = self._beyond(x)
        for sensor in range(x.shape[2]):
            within_btk = (x[:, :, sensor, None] - self.start[sensor]).div_(self.width[sensor]).clamp_(0.0, 1.0)
            x[:, :, sensor] = within_btk.mul_(self.rise[sensor]).sum(-1)
        return x.add_(self.base).add_(beyond)

    def _beyond(self, x: Tensor) -> Tensor:
        return ((x - self.low).clamp(max=0.0) + (x - self.high).clamp(min=0.0)) / self.scale


def _pieces(quantiles: Float32Array, scale: float) -> dict[str, Float64Array]:
    """Where each straight piece of one sensor starts, its width and its rise, [k] each, and the lowest rank, [].

    Quantiles that are the same number make one point, at their middle rank; the pieces saved rise by 0.
    """
    values, which = np.unique(np.asarray(quantiles, np.float64), return_inverse=True)
    ranks = np.bincount(which, np.linspace(0.0, 1.0, len(quantiles))) / np.bincount(which)
    count, used = len(quantiles) - 1, len(values) - 1
    start, width, rise = np.full(count, values[-1]), np.ones(count), np.zeros(count)
    start[:used], rise[:used] = values[:-1], np.diff(ranks) * _UNIFORM
    width[:used] = np.maximum(np.diff(values), LEAST_WIDTH * float(scale))
    return {"start": start, "width": width, "rise": rise, "base": (ranks[0] - 0.5) * _UNIFORM}
