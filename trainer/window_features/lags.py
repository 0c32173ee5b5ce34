"""What follows what, and after how long: cross-correlation of two channels at lags within half a minute.

Of channels a and b, the correlation at lag L is Σ a(t) · b(t + L) / (|a| · |b|), each less its mean in the window and 0
outside it: between -1 and 1, and a positive lag says that b comes later. It is told of the values, and of their changes
over two seconds, in which slow drifts that two sensors share do not drown a short event.

Missing values are filled first (`Chunk.filled_nct`); of a channel that is missing or constant, all is NaN.
"""

import numpy as np

from trainer.window_features.blocks import Block, Chunk, Float64Array, flat, moves, named

_REACH_S = 30.0
"""Longest lag: a slow sticker takes 24 s from row to row (120 mm at 0.3 m/min)."""

_CHANGE_S = 2.0

_WHAT = ["highest", "highest_lag_s", "lowest", "lowest_lag_s", "at_0_s"]


def lag_blocks(names: list[str], pairs: tuple[tuple[int, int], ...], period_s: float) -> list[Block]:
    """The blocks of the pairs (a, b) of which b is expected to follow a; none without pairs."""
    if not pairs:
        return []
    first, second = (list(places) for places in zip(*pairs, strict=True))
    channels = [f"{names[a]}_to_{names[b]}" for a, b in pairs]

    def values(chunk: Chunk) -> Float64Array:
        return correlation_features(chunk.filled_nct[:, first], chunk.filled_nct[:, second], period_s)

    def changes(chunk: Chunk) -> Float64Array:
        a, b = (changed(chunk.filled_nct[:, places], _CHANGE_S, period_s) for places in (first, second))
        return correlation_features(a, b, period_s)

    return [
        Block(named(channels, [f"correlation_{what}" for what in _WHAT]), values),
        Block(named(channels, [f"correlation_of_changes_{what}" for what in _WHAT]), changes),
    ]


def changed(values_nct: Float64Array, over_s: float, period_s: float) -> Float64Array:
    """Differences between rows `over_s` seconds apart, or as far as the window has rows; [n, c, fewer rows]."""
    rows = values_nct.shape[2]
    apart = min(max(round(over_s / period_s), 1), rows - 1)
    return values_nct[:, :, apart:] - values_nct[:, :, : rows - apart]


def correlation_features(a_nct: Float64Array, b_nct: Float64Array, period_s: float) -> Float64Array:
    """Features [n, c · 5] of pairs of channels, in the order of `_WHAT`."""
    reach = min(round(_REACH_S / period_s), a_nct.shape[2] // 2)
    by_lag = correlations(a_nct, b_nct, reach)
    both = (moves(a_nct) & moves(b_nct))[:, :, None]
    highest, lowest = by_lag.argmax(axis=2)[:, :, None], by_lag.argmin(axis=2)[:, :, None]
    parts = [
        np.take_along_axis(by_lag, highest, axis=2),
        (highest - reach) * period_s,
        np.take_along_axis(by_lag, lowest, axis=2),
        (lowest - reach) * period_s,
        by_lag[:, :, reach : reach + 1],
    ]
    return flat(np.where(both, np.concatenate(parts, axis=2), np.nan))


def correlations(a_nct: Float64Array, b_nct: Float64Array, reach: int) -> Float64Array:
    """Correlations [n, c, 2 · reach + 1] at lags -reach, …, reach rows; of a constant channel they mean nothing."""
    a, b = (values - values.mean(axis=2, keepdims=True) for values in (a_nct, b_nct))
    size = 1 << (a.shape[2] + reach).bit_length()  # zeros enough that the ends do not meet
    product = np.conj(np.fft.rfft(a, size, axis=2)) * np.fft.rfft(b, size, axis=2)
    around = np.fft.irfft(product, size, axis=2)
    by_lag = np.concatenate([around[:, :, size - reach :], around[:, :, : reach + 1]], axis=2)
    norm = np.sqrt(np.square(a).sum(axis=2) * np.square(b).sum(axis=2))[:, :, None]
    return np.asarray(np.divide(by_lag, norm, out=np.zeros_like(by_lag), where=norm > 0))
