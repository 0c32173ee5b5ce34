"""Statistics of each channel by itself: what is left of a window when the order of its rows is hardly told.

Missing values: every statistic is of the values that are there. `first` and `last` are the first and the last of them,
`slope_per_s` is least squares through them at the times of their rows, and a difference counts where both of two
neighbouring rows are there. With no value everything is NaN; with one, `slope_per_s` and `diff_range` are.
"""

import numpy as np

from trainer.window_features.blocks import Block, Float64Array, flat, named

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

STATISTICS = [
    "mean",
    "std",
    "min",
    "max",
    "first",
    "last",
    "slope_per_s",
    *(f"q{round(100 * quantile):02}" for quantile in _QUANTILES),
    "diff_range",
]
"""In the order of `summarise`'s last axis."""


def summary_block(names: list[str], period_s: float) -> Block:
    """The statistics of every sensor."""
    return Block(named(names, STATISTICS), lambda chunk: flat(summarise(chunk.raw_nct, period_s)))


def summarise(values_nct: Float64Array, period_s: float) -> Float64Array:
    """Statistics of channels.

    Args:
        values_nct: in engineering units, NaN = missing.
        period_s: time between two rows, seconds.

    Returns:
        [n, c, statistic] in the order of `STATISTICS`; the slope in units per second, the others in units.
    """
    rows = values_nct.shape[2]
    there = ~np.isnan(values_nct)
    counts = there.sum(axis=2)
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, and meant
        mean = np.where(there, values_nct, 0.0).sum(axis=2) / counts
        centred = np.where(there, values_nct - mean[:, :, None], 0.0)
        deviation = np.sqrt(np.square(centred).sum(axis=2) / counts)
        time_s = (np.arange(rows) - (rows - 1) / 2) * period_s
        mean_time_s = np.where(there, time_s, 0.0).sum(axis=2) / counts
        from_mean_s = np.where(there, time_s - mean_time_s[:, :, None], 0.0)
        slope = (centred * from_mean_s).sum(axis=2) / np.square(from_mean_s).sum(axis=2)
    ordered = np.sort(values_nct, axis=2)  # NaN come last
    final = np.maximum(counts - 1, 0)
    first = there.argmax(axis=2)
    last = rows - 1 - there[:, :, ::-1].argmax(axis=2)
    steps = np.diff(values_nct, axis=2)
    steps_range = np.fmax.reduce(steps, axis=2, initial=np.nan) - np.fmin.reduce(steps, axis=2, initial=np.nan)
    columns = [
        mean,
        deviation,
        ordered[:, :, 0],
        at(ordered, final),
        at(values_nct, first),
        at(values_nct, last),
        slope,
        *(_quantile(ordered, final, quantile) for quantile in _QUANTILES),
        steps_range,
    ]
    return np.stack(columns, axis=2)


def at(values_nct: Float64Array, row_nc: np.ndarray) -> Float64Array:
    """Each channel's value [n, c] in a row of its own."""
    return np.asarray(np.take_along_axis(values_nct, row_nc[:, :, None], axis=2)[:, :, 0], np.float64)


def _quantile(ordered_nct: Float64Array, final_nc: np.ndarray, quantile: float) -> Float64Array:
    """Linear between the two nearest of the ordered values, the last of which is in row `final_nc`."""
    place = quantile * final_nc
    below = np.floor(place).astype(np.int64)
    low, high = at(ordered_nct, below), at(ordered_nct, np.minimum(below + 1, final_nc))
    return low + (high - low) * (place - below)
