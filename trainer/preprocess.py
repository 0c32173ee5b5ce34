"""Filling and normalising windows: fitted on training data, carried out inside the exported graph.

`SequencePreprocessor` learns the numbers, `Preprocess` is the torch module that applies them, in training and in
the graph alike, so that the worker feeds raw engineering units and cannot do it differently.

Shape suffixes: b windows, t rows in time, s sensors.
"""

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.manifest import Missing, Normalisation
from models.windows import Float32Array

NormalisationKind = Literal["zscore", "robust", "none"]

_SAMPLED_ROWS = 20_000
"""Rows of one sequence that the statistics are taken from, evenly spread: bounds memory, not accuracy."""

_IQR_OF_NORMAL = 1.349
"""Interquartile range of a standard normal distribution."""

logger = logging.getLogger(__name__)


class Preprocess(nn.Module):
    """Forward fill, normalise and clip windows in engineering units.

    A missing value (NaN) becomes the sensor's last value before it within the window; with none before it, the
    sensor's fill value. Then ``clip((x - center) / scale, ±clip)``. Nothing looks ahead in time, nor before the
    window's first row.

    Args:
        center: [s] engineering units.
        scale: [s] engineering units, above 0.
        fill: [s] engineering units.
        clip: in scales.
    """

    center: Tensor
    scale: Tensor
    fill: Tensor

    def __init__(self, center: Float32Array, scale: Float32Array, fill: Float32Array, clip: float) -> None:
        super().__init__()
        for name, values in (("center", center), ("scale", scale), ("fill", fill)):
            self.register_buffer(name, torch.tensor(np.asarray(values, np.float32)))
        self.clip = clip

    @classmethod
    def from_manifest(cls, normalisation: Normalisation, missing: Missing) -> Self:
        """What a bundle's manifest describes."""
        clip = math.inf if normalisation.clip is None else normalisation.clip
        center, scale, fill = (
            np.array(numbers, np.float32) for numbers in (normalisation.center, normalisation.scale, missing.fill)
        )
        return cls(center, scale, fill, clip)

    def forward(self, x: Tensor) -> Tensor:
        """Windows [b, t, s] with NaN to windows [b, t, s] without."""
        filled = forward_fill(x)
        filled = torch.where(torch.isnan(filled), self.fill, filled)
        return ((filled - self.center) / self.scale).clamp(-self.clip, self.clip)


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


class SequencePreprocessor:
    """The numbers of `Preprocess`, fitted to training sequences.

    Args:
        normalization: `zscore` (mean and standard deviation), `robust` (median and interquartile range / 1.349) or
            `none` (0 and 1).
        missing_strategy: `forward_fill`.
        clip: normalised values are cut at plus and minus this.

    Attributes:
        center: float32 [s].
        scale: float32 [s], above 0.
        fill: float32 [s], the median in engineering units, for a value with nothing before it.
        constant_sensors: indices of the sensors that never moved; their scale is 1.
    """

    def __init__(
        self, normalization: NormalisationKind = "zscore", missing_strategy: str = "forward_fill", *, clip: float = 8.0
    ) -> None:
        if normalization not in get_args(NormalisationKind):
            raise ValueError(f"expected a normalization of {get_args(NormalisationKind)}, got {normalization!r}")
        if missing_strategy != "forward_fill":
            raise ValueError(f"expected the missing_strategy 'forward_fill', got {missing_strategy!r}")
        self.normalization: NormalisationKind = normalization
        self.clip = clip
        self.center: Float32Array = np.empty(0, np.float32)
        self.scale: Float32Array = np.empty(0, np.float32)
        self.fill: Float32Array = np.empty(0, np.float32)
        self.constant_sensors: tuple[int, ...] = ()

    def fit(self, sequences: Iterable[Float32Array], sensor_names: Sequence[str] = ()) -> Self:
        """Learn center, scale and fill from training sequences only.

        Args:
            sequences: arrays [n, s] in engineering units, NaN = missing; read one at a time.
            sensor_names: for the log.
        """
        rows = np.concatenate([_sampled(sequence) for sequence in sequences]).astype(np.float64)
        empty = np.all(np.isnan(rows), axis=0, keepdims=False)
        rows[:, empty] = 0.0
        center, scale = self._statistics(rows)
        constant = empty | (np.nanmax(rows, axis=0) == np.nanmin(rows, axis=0)) | ~(scale > 0)
        self.center = center.astype(np.float32)
        self.scale = np.where(constant, 1.0, scale).astype(np.float32)
        self.fill = np.nanmedian(rows, axis=0).astype(np.float32)
        self.constant_sensors = tuple(np.flatnonzero(constant).tolist())
        for index in self.constant_sensors:
            name = sensor_names[index] if sensor_names else f"sensor {index}"
            logger.warning(
                "%s %s in the training data; its scale is 1", name, "is missing" if empty[index] else "never moves"
            )
        return self

    def _statistics(self, rows: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        if self.normalization == "none":
            return np.zeros(rows.shape[1]), np.ones(rows.shape[1])
        deviation = np.nanstd(rows, axis=0)
        if self.normalization == "zscore":
            return np.nanmean(rows, axis=0), deviation
        lower, middle, upper = np.nanpercentile(rows, [25, 50, 75], axis=0)
        spread = (upper - lower) / _IQR_OF_NORMAL
        # A sensor that rests most of the time has no interquartile range and still moves.
        return middle, np.where(spread > 0, spread, deviation)

    def transform(self, sequences: Iterable[Float32Array]) -> list[Float32Array]:
        """Sequences [n, s], each filled from its own first row on, normalised and clipped; float32."""
        module = self.module()
        return [module(torch.from_numpy(np.asarray(sequence, np.float32))[None])[0].numpy() for sequence in sequences]

    def module(self) -> Preprocess:
        """The torch module with these numbers."""
        if not self.center.size:
            raise ValueError("the preprocessor is not fitted: call fit first")
        return Preprocess(self.center, self.scale, self.fill, self.clip)

    def normalisation(self) -> Normalisation:
        """As the manifest says it."""
        return Normalisation(self.normalization, _numbers(self.center), _numbers(self.scale), self.clip)

    def missing(self) -> Missing:
        """As the manifest says it."""
        return Missing("forward_fill", _numbers(self.fill))


def _sampled(sequence: Float32Array) -> Float32Array:
    return sequence[:: max(1, -(-len(sequence) // _SAMPLED_ROWS))]


def _numbers(values: Float32Array) -> list[float]:
    # The shortest decimal that reads back as the same float32: the manifest is for people too.
    return [float(str(value)) for value in values]
