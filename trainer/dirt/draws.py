"""How the kinds of dirt draw where they strike: episodes in time, and short runs of scans."""

import math
from collections.abc import Iterator
from zlib import crc32

import numpy as np
import numpy.typing as npt

from trainer.line.signals import Streams

Int64 = npt.NDArray[np.int64]

_DIRT_DOMAIN = crc32(b"dirt")
"""Keeps these random numbers apart from the line's at the same seed."""


def streams_of(strand_id: str, sequence_id: str, seed: int) -> Streams:
    """Random generators of one sequence's dirt, one room a kind; any dataset has these names."""
    return Streams(seed, _DIRT_DOMAIN, crc32(strand_id.encode()), crc32(sequence_id.encode()))


def episodes(
    rng: np.random.Generator, time_ms: Int64, per_hour: float, duration_s: tuple[float, float]
) -> Iterator[tuple[int, int]]:
    """Draw episodes that begin anywhere in a sequence, long ones as often as short ones of the same ratio.

    Args:
        rng: the kind's own generator.
        time_ms: int64 [n], rising.
        per_hour: how many begin in an hour, on average.
        duration_s: the shortest and the longest, seconds; above 0.

    Yields:
        First row and the row after the last, in the order of their beginning; those between two scans are left out.
    """
    hours = float(time_ms[-1] - time_ms[0]) / 3_600_000 if len(time_ms) else 0.0
    count = int(rng.poisson(per_hour * hours))
    begins = np.sort(rng.random(count)) * hours * 3_600_000
    lasts = np.exp(rng.uniform(math.log(duration_s[0]), math.log(duration_s[1]), count)) * 1000
    first = np.searchsorted(time_ms, time_ms[:1] + begins)
    stop = np.searchsorted(time_ms, time_ms[:1] + begins + lasts)
    for begin, end in zip(first.tolist(), stop.tolist(), strict=True):
        if begin < end:
            yield begin, end


def runs(
    rng: np.random.Generator, shape: tuple[int, int], share: float, length: tuple[float, float]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Draw short runs of rows in single columns that together make up about a share of all cells.

    Args:
        rng: the kind's own generator.
        shape: rows and columns of the matrix.
        share: share of the cells that lie in a run.
        length: the shortest and the longest run, rows.

    Returns:
        Row, column and number of the run of each cell; runs may overlap, and end with the matrix.
    """
    low, high = round(length[0]), round(length[1])
    first, column = np.nonzero(rng.random(shape) < share / ((low + high) / 2))
    long = rng.integers(low, high + 1, len(first))
    run = np.repeat(np.arange(len(first)), long)
    step = np.arange(len(run)) - np.repeat(np.cumsum(long) - long, long)
    row = first[run] + step
    inside = row < shape[0]
    return row[inside], column[run][inside], run[inside]
