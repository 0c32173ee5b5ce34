"""A sensor's reading as its rank among the training readings: the normalisation `quantile`.

A sensor that lives at a few levels, as a pump's flow does, has a spread as wide as these lie apart, and what goes wrong
at one of them is a small part of it. Ranks give every level as much room as it has readings. Trees, which may cut
anywhere, find such a fault in any unit; a network only where it is not drowned.

Shape suffixes: b windows, t rows in time, s sensors, k straight pieces.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn

from models.windows import Float32Array
from trainer.loading.row_statistics import Float64Array

PIECES = 32
"""Straight pieces of a curve, each with as many training readings as any other."""

_UNIFORM = math.sqrt(12.0)
"""What gives ranks, spread evenly from 0 to 1, a standard deviation of 1."""


def quantiles_of(sample: Float32Array, absent: Float64Array) -> Float32Array:
    """The quantiles that a curve is made of.

    Args:
        sample: rows [n, s] of the training data, NaN = missing.
        absent: [s], what stands for a sensor without a reading in the sample.

    Returns:
        float32 [s, PIECES + 1], from each sensor's lowest reading to its highest.
    """
    at = np.linspace(0.0, 1.0, PIECES + 1)
    columns = [column[~np.isnan(column)] for column in sample.T]
    found = [
        np.quantile(column, at) if column.size else np.full_like(at, number)
        for column, number in zip(columns, absent, strict=True)
    ]
    return np.stack(found).astype(np.float32)


class QuantileCurve(nn.Module):
    """Ranks of readings, centred and with a standard deviation of 1 on training data.

    Straight between two quantiles. A reading that many training rows share has their middle rank. Beyond the lowest and
    the highest training reading the curve goes on as a z-score would, so that what was never seen stays told apart.

    Args:
        quantiles: [s, k + 1] engineering units, not falling along k; see `quantiles_of`.
        scale: [s] engineering units, above 0; of what lies beyond the outermost quantiles.
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
        pieces = [_pieces(row) for row in np.asarray(quantiles, np.float32)]
        start, width, rise = (np.stack([piece[part] for piece in pieces]) for part in range(3))
        base = np.array([piece[3] for piece in pieces])
        for name, values in (("start", start), ("width", width), ("rise", rise), ("base", base), ("scale", scale)):
            self.register_buffer(name, torch.tensor(np.asarray(values, np.float32)))
        self.register_buffer("low", torch.tensor(quantiles[:, 0]))
        self.register_buffer("high", torch.tensor(quantiles[:, -1]))

    def forward(self, x: Tensor) -> Tensor:
        """Readings [b, t, s] without NaN to the same, normalised."""
        return self._ranked(x, self.start, self.width, self.rise) + self.base + self._beyond(x)

    @torch.no_grad()
    def overwrite(self, x: Tensor) -> Tensor:
        """The same numbers, in place and a sensor at a time: k numbers a reading need not be held for all at once."""
        beyond = self._beyond(x)
        for sensor in range(x.shape[2]):
            column = slice(sensor, sensor + 1)
            x[:, :, column] = self._ranked(x[:, :, column], self.start[column], self.width[column], self.rise[column])
        return x.add_(self.base).add_(beyond)

    @staticmethod
    def _ranked(x_bts: Tensor, start_sk: Tensor, width_sk: Tensor, rise_sk: Tensor) -> Tensor:
        climbed_btsk = ((x_bts[..., None] - start_sk) / width_sk).clamp(0.0, 1.0)
        return (climbed_btsk * rise_sk).sum(-1)

    def _beyond(self, x: Tensor) -> Tensor:
        return ((x - self.low).clamp(max=0.0) + (x - self.high).clamp(min=0.0)) / self.scale


def _pieces(quantiles: Float32Array) -> tuple[Float64Array, Float64Array, Float64Array, float]:
    """Where each straight piece of one sensor's curve starts, its width and its rise [k], and where the curve begins.

    Quantiles that are the same number make one point of the curve, at their middle rank; the pieces saved rise by 0.
    """
    ranks = np.linspace(0.0, 1.0, len(quantiles))
    values, which = np.unique(quantiles, return_inverse=True)
    ranks = np.bincount(which, ranks) / np.bincount(which)
    count = len(quantiles) - 1
    start, width, rise = np.full(count, float(values[-1])), np.ones(count), np.zeros(count)
    used = len(values) - 1
    start[:used], width[:used], rise[:used] = values[:-1], np.diff(values), np.diff(ranks) * _UNIFORM
    return start, width, rise, float((ranks[0] - 0.5) * _UNIFORM)
