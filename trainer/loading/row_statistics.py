"""Statistics of training rows in bounded memory, one sequence after another.

Count, mean, standard deviation and extremes are exact, from every row. Median and quartiles come from an evenly
spread sample: every row until `SAMPLED_ROWS` are held; then every second of those held is let go, and from there on
only every second row is taken, then every fourth, and so on. So between half of `SAMPLED_ROWS` and all of them are
held however much there is, and the same rows in the same order always give the same numbers.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.windows import BoolArray, Float32Array, Int64Array

Float64Array = npt.NDArray[np.float64]

SAMPLED_ROWS = 65_536
"""Rows that quantiles are taken from at most: 5 MB of 20 sensors."""

_BLOCK = 65_536
"""Rows turned to float64 at once."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was found, one number a sensor in engineering units; all 0 for a sensor without a value.

    Attributes:
        mean: of all values.
        deviation: standard deviation of all values.
        low: the lowest value.
        high: the highest value.
        quartiles: [3, s], of the sample.
        absent: whether the sensor had no value at all.
        sample: float32 [n, s] of the rows, evenly spread, NaN = missing; shared, not to be written to.
    """

    mean: Float64Array
    deviation: Float64Array
    low: Float64Array
    high: Float64Array
    quartiles: Float64Array
    absent: BoolArray
    sample: Float32Array

    @property
    def median(self) -> Float64Array:
        """The middle quartile."""
        middle: Float64Array = self.quartiles[1]
        return middle


class RunningStatistics:
    """Takes rows in, a sequence at a time; NaN and infinite values are missing.

    Args:
        sensors: columns.
        sampled_rows: rows that quantiles are taken from at most.
    """

    def __init__(self, sensors: int, sampled_rows: int = SAMPLED_ROWS) -> None:
        self._count: Int64Array = np.zeros(sensors, np.int64)
        self._mean = np.zeros(sensors)
        self._squares = np.zeros(sensors)
        self._low = np.full(sensors, np.inf)
        self._high = np.full(sensors, -np.inf)
        self._sample: Float32Array = np.empty((0, sensors), np.float32)
        self._sampled_rows = sampled_rows
        self._step = 1
        self._seen = 0

    def add(self, rows: Float32Array) -> None:
        """Take in rows [n, s]."""
        for first in range(0, len(rows), _BLOCK):
            self._add(rows[first : first + _BLOCK])

    def _add(self, rows: Float32Array) -> None:
        usable = np.isfinite(rows)
        values = np.where(usable, rows, 0.0).astype(np.float64)
        count = usable.sum(axis=0)
        mean = values.sum(axis=0) / np.maximum(count, 1)
        squares = np.where(usable, (values - mean) ** 2, 0.0).sum(axis=0)
        # Chan, Golub, LeVeque: two parts' sums of squares about their own means make that about the common one.
        total, apart = self._count + count, mean - self._mean
        share = count / np.maximum(total, 1)
        self._squares += squares + apart**2 * self._count * share
        self._mean += apart * share
        self._count = total
        self._low = np.minimum(self._low, np.where(usable, rows, np.inf).min(axis=0))
        self._high = np.maximum(self._high, np.where(usable, rows, -np.inf).max(axis=0))
        self._take(np.where(usable, rows, np.float32(np.nan)))

    def _take(self, rows: Float32Array) -> None:
        taken = rows[-self._seen % self._step :: self._step]
        self._seen += len(rows)
        self._sample = np.concatenate([self._sample, taken])
        while len(self._sample) > self._sampled_rows:
            self._sample = self._sample[::2].copy()
            self._step *= 2

    def result(self) -> Statistics:
        """The statistics of all that was taken in."""
        absent = self._count == 0
        sample = [column[~np.isnan(column)] for column in self._sample.T]
        # A sensor that spoke only between the sampled rows: its mean is the best there is.
        quartiles = [
            np.percentile(column, [25, 50, 75]) if column.size else np.full(3, mean)
            for column, mean in zip(sample, self._mean, strict=True)
        ]
        return Statistics(
            mean=self._mean.copy(),
            deviation=np.sqrt(self._squares / np.maximum(self._count, 1)),
            low=np.where(absent, 0.0, self._low),
            high=np.where(absent, 0.0, self._high),
            quartiles=np.stack(quartiles, axis=1).astype(np.float64),
            absent=absent,
            sample=self._sample,
        )
