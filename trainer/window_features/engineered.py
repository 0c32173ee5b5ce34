"""What an expert would try beyond statistics of single sensors.

- Differences between thermocouples above and beside each other, summarised as a sensor is: inversion, and where.
- Times of the extrema, of the steepest rise and fall over four seconds, and how far they are apart in two sensors.
- Root mean square in five bands of frequency, an octave each but the lowest, with a Hann window.
- Correlation at lags (`lags.py`), down the mould and from the stopper to the level.
- catch22 of four channels: the mean of the highest and of the lowest row of thermocouples, the level, the stopper.
  Where a dataset has none of these, of every sensor. It works a series at a time, 0.4 ms for 240 rows, and so takes
  most of the time of all features together.

Times are in seconds before the window's end. Missing values: a difference is missing where either of the two is;
extrema are those of the values that are there; all else sees the window filled (`Chunk.filled_nct`). Of what is missing
throughout, everything is NaN; of a constant, what cannot be said of it.
"""

import numpy as np
import pycatch22

from models.windows import Int64Array
from trainer.window_features.blocks import Block, Chunk, Float64Array, flat, moves, named
from trainer.window_features.lags import changed, lag_blocks
from trainer.window_features.roles import Roles
from trainer.window_features.summary import STATISTICS, at, summarise

_STEEP_S = 4.0
_BANDS = 5
_TIMES = ["max_before_end_s", "min_before_end_s", "min_after_max_s"]
_STEEPS = ["rise_4s", "fall_4s", "rise_before_end_s", "fall_before_end_s"]
_LAGS = ["max_lag_s", "min_lag_s", "rise_lag_s", "fall_lag_s"]


def engineered_blocks(names: list[str], roles: Roles, period_s: float) -> list[Block]:
    """What `engineered` adds to `summary`.

    Args:
        names: of the sensors, in the order of a window's columns.
        roles: of the sensors.
        period_s: time between two rows, seconds.
    """
    differences = (*roles.below, *roles.beside)
    return [
        *_difference_blocks(names, differences, period_s),
        _time_block(names, roles.causes, period_s),
        _band_block(names, period_s),
        *lag_blocks(names, roles.causes, period_s),
        _catch22_block(names, roles),
    ]


def _difference_blocks(names: list[str], pairs: tuple[tuple[int, int], ...], period_s: float) -> list[Block]:
    if not pairs:
        return []
    first, second = (list(places) for places in zip(*pairs, strict=True))

    def compute(chunk: Chunk) -> Float64Array:
        return flat(summarise(chunk.raw_nct[:, first] - chunk.raw_nct[:, second], period_s))

    return [Block(named([f"{names[a]}_minus_{names[b]}" for a, b in pairs], STATISTICS), compute)]


def _time_block(names: list[str], pairs: tuple[tuple[int, int], ...], period_s: float) -> Block:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]

    def compute(chunk: Chunk) -> Float64Array:
        high, low = (_extremum_before_end_s(chunk.raw_nct, sign, period_s) for sign in (1, -1))
        rise, fall, rise_s, fall_s = _steepest(chunk.filled_nct, period_s)
        # Seconds before the end count backwards: what comes later has fewer of them.
        lags = [times[:, first] - times[:, second] for times in (high, low, rise_s, fall_s)]
        of_sensors = np.stack([high, low, high - low, rise, fall, rise_s, fall_s], axis=2)
        return np.concatenate([flat(of_sensors), flat(np.stack(lags, axis=2))], axis=1)

    of_pairs = named([f"{names[a]}_to_{names[b]}" for a, b in pairs], _LAGS)
    return Block([*named(names, [*_TIMES, *_STEEPS]), *of_pairs], compute)


def _extremum_before_end_s(values_nct: Float64Array, sign: int, period_s: float) -> Float64Array:
    """When each channel [n, c] was highest (sign 1) or lowest (-1), the first time if it was so several times."""
    rows = values_nct.shape[2]
    known = ~np.isnan(values_nct)
    row = np.where(known, sign * values_nct, -np.inf).argmax(axis=2)
    return np.where(known.any(axis=2), (rows - 1 - row) * period_s, np.nan)


def _steepest(filled_nct: Float64Array, period_s: float) -> tuple[Float64Array, ...]:
    """The largest rise and fall over four seconds, and when each ended; all [n, c]."""
    steps = changed(filled_nct, _STEEP_S, period_s)
    found = []
    for sign in (1, -1):
        row: Int64Array = (sign * steps).argmax(axis=2)
        steepest = at(steps, row)
        before_end_s = np.where(np.isnan(steepest), np.nan, (steps.shape[2] - 1 - row) * period_s)
        found.append((steepest, before_end_s))
    (rise, rise_s), (fall, fall_s) = found
    return rise, fall, rise_s, fall_s


def _band_block(names: list[str], period_s: float) -> Block:
    nyquist_hz = 0.5 / period_s
    edges_hz = [0.0, *(nyquist_hz / 2 ** (_BANDS - 1 - band) for band in range(_BANDS))]

    def compute(chunk: Chunk) -> Float64Array:
        values = chunk.filled_nct
        rows = values.shape[2]
        taper = np.hanning(rows + 2)[1:-1]
        spectrum = np.fft.rfft((values - values.mean(axis=2, keepdims=True)) * taper, axis=2)
        power = np.square(np.abs(spectrum)) * 2 / (rows * np.square(taper).sum())
        frequency_hz = np.fft.rfftfreq(rows, period_s)
        # Each frequency is in one band; the constant part, which is the mean that was taken away, is in none.
        band = np.searchsorted(edges_hz[1:-1], frequency_hz, side="left")
        sums = [power[:, :, 1:][:, :, band[1:] == number].sum(axis=2) for number in range(_BANDS)]
        return flat(np.sqrt(np.stack(sums, axis=2)))

    labels = [f"rms_{edges_hz[band]:.3g}_to_{edges_hz[band + 1]:.3g}_hz" for band in range(_BANDS)]
    return Block(named(names, labels), compute)


def _catch22_block(names: list[str], roles: Roles) -> Block:
    ends = [row for row in (*roles.rows[:1], *roles.rows[-1:]) if len(roles.rows) > 1]
    ends += [(place,) for place in (roles.level, roles.stopper) if place is not None]
    groups = ends or [(place,) for place in range(len(names))]
    channels = [_group_name([names[place] for place in group]) for group in groups]
    kinds = pycatch22.catch22_all([0.0, 1.0, 0.0])["names"]

    def compute(chunk: Chunk) -> Float64Array:
        filled = chunk.filled_nct
        values = np.stack([filled[:, list(group)].mean(axis=1) for group in groups], axis=1)
        out = np.full((*values.shape[:2], len(kinds)), np.nan)
        for window, channel in np.argwhere(moves(values)):
            out[window, channel] = pycatch22.catch22_all(values[window, channel], mask_nans=False)["values"]
        return flat(out)

    return Block(named(channels, [f"catch22_{kind}" for kind in kinds]), compute)


def _group_name(names: list[str]) -> str:
    """Of a sensor its name, of several `mean_of_<first>_to_<last>`."""
    return names[0] if len(names) == 1 else f"mean_of_{names[0]}_to_{names[-1]}"
