"""What the families of features share: a chunk of windows, and a block of named features.

Shape suffixes: n windows, c channels (sensors, or what is derived from them), t rows in time, f features.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from models.windows import BoolArray, Float32Array
from trainer.filling import interpolate

Float64Array = npt.NDArray[np.float64]


class Chunk:
    """Some windows, each channel's rows side by side.

    Args:
        windows: [n, t, c], NaN = missing.
    """

    def __init__(self, windows: Float32Array) -> None:
        # One copy that lies in the order of the work: sorting and summing along t read it row after row.
        self.raw_nct: Float64Array = np.ascontiguousarray(windows.transpose(0, 2, 1), np.float64)

    @cached_property
    def filled_nct(self) -> Float64Array:
        """Without gaps: on the straight line between a gap's two ends, level before the first and after the last value.

        A channel that is missing throughout stays NaN.
        """
        filled = self.raw_nct.copy()
        gaps = np.isnan(filled).any(axis=2)
        if gaps.any():
            filled[gaps] = interpolate(torch.from_numpy(filled[gaps])[:, :, None])[:, :, 0].numpy()
        return filled


@dataclass(frozen=True, slots=True)
class Block:
    """Features that are computed together.

    Attributes:
        names: of the features.
        compute: a chunk's features [n, f], in the order of the names.
    """

    names: list[str]
    compute: Callable[[Chunk], Float64Array]


def named(channels: list[str], what: list[str]) -> list[str]:
    """`<channel>.<what>`, channel by channel."""
    return [f"{channel}.{each}" for channel in channels for each in what]


def flat(features: Float64Array) -> Float64Array:
    """[n, c, f] as [n, c · f], in the order of `named`."""
    return features.reshape(len(features), -1)


def moves(values_nct: Float64Array) -> BoolArray:
    """Whether each channel [n, c] is there and not constant, beyond what rounding makes of a constant."""
    span = values_nct.max(axis=2) - values_nct.min(axis=2)
    return np.asarray(span > 1e-12 * np.abs(values_nct).max(axis=2))
