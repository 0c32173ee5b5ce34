"""Filling and normalising windows: fitted on training data, carried out inside the exported graph.

`SequencePreprocessor` learns the numbers, `Preprocess` is the torch module that applies them, in training and in
the graph alike, so that the worker feeds raw engineering units and cannot do it differently.

What becomes of a missing value (NaN), by strategy:

- `forward_fill`: the sensor's last value before it within the window; with none before it, the training median.
  Never looks ahead.
- `mean`: the training mean.
- `zero`: 0 in engineering units.
- `interpolate`: on the straight line, in row number, between the sensor's nearest values before and after it within
  the window; before the first and after the last, the nearest; with none at all, the training median. Looks ahead
  within the window only, all of which has passed when the model is asked.

Then ``clip((x - center) / scale, ±clip)``, by normalisation:

- `zscore`: training mean and standard deviation.
- `robust`: training median and interquartile range / 1.349, the standard deviation where the range is 0.
- `minmax`: the lowest training value and the span to the highest, which become 0 and 1.
- `none`: 0 and 1.

or, of `quantile`, the value's rank among the training values instead, see `trainer.quantile_transform`.

A sensor that is constant or absent in training is muted by a scale so large that whatever it shows later becomes 0, and
the log says so: the network's weights for it were never trained, and must not be met by a value.

Shape suffixes: b windows, t rows in time, s sensors.
"""

import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor, nn

from models.manifest import Missing, Normalisation
from models.windows import Float32Array
from trainer.filling import forward_fill, interpolate, last_before
from trainer.loading.row_statistics import Float64Array, RunningStatistics, Statistics
from trainer.quantile_transform import QuantileTransform, quantiles_of, tail_scale

NormalisationKind = Literal["zscore", "robust", "minmax", "quantile", "none"]
MissingStrategy = Literal["forward_fill", "mean", "zero", "interpolate"]

MUTED = 1e30
"""The scale of a sensor that told nothing in training: any reading divided by it is 0 to a network."""

_IQR_OF_NORMAL = 1.349
"""Interquartile range of a standard normal distribution."""

logger = logging.getLogger(__name__)


class Preprocess(nn.Module):
    """Fill, normalise and clip windows in engineering units, as the module's docstring defines it.

    Args:
        center: [s] engineering units.
        scale: [s] engineering units, above 0.
        fill: [s] engineering units, for what the strategy leaves missing.
        clip: of what comes out.
        strategy: what becomes of a missing value.
        quantiles: [s, k + 1] engineering units, for ranks instead of distances from the center; none for those.
    """

    center: Tensor
    scale: Tensor
    fill: Tensor

    def __init__(
        self,
        center: Float32Array,
        scale: Float32Array,
        fill: Float32Array,
        clip: float,
        strategy: MissingStrategy = "forward_fill",
        quantiles: Float32Array | None = None,
    ) -> None:
        super().__init__()
        self.ranks = None if quantiles is None else QuantileTransform(quantiles, scale)
        for name, values in (("center", center), ("scale", scale), ("fill", fill)):
            self.register_buffer(name, torch.tensor(np.asarray(values, np.float32)))
        self.clip = clip
        self.strategy: MissingStrategy = strategy

    @classmethod
    def from_manifest(cls, normalisation: Normalisation, missing: Missing) -> Self:
        """What a bundle's manifest describes."""
        clip = math.inf if normalisation.clip is None else normalisation.clip
        center, scale, fill = (
            np.array(numbers, np.float32) for numbers in (normalisation.center, normalisation.scale, missing.fill)
        )
        quantiles = np.array(normalisation.quantiles, np.float32) if normalisation.quantiles else None
        return cls(center, scale, fill, clip, missing.strategy, quantiles)

    def forward(self, x: Tensor) -> Tensor:
        """Windows [b, t, s] with NaN to windows [b, t, s] without."""
        filled = self._filled(x, self.fill, forward_fill)
        scaled = (filled - self.center) / self.scale if self.ranks is None else self.ranks(filled)
        return scaled.clamp(-self.clip, self.clip)

    @torch.no_grad()
    def overwrite(self, x: Tensor) -> Tensor:
        """The same numbers, in place: loading a batch must cost little beside training on it.

        Filling works on each sensor of a window by itself, so only those with gaps go through it, one in ten of a
        recorded line. Which they are depends on the data; a graph cannot do that.
        """
        by_sensor = x.transpose(1, 2)
        gaps = x.sum(dim=1).isnan()
        fill = self.fill.expand_as(gaps)[gaps][:, None, None]
        by_sensor[gaps] = self._filled(by_sensor[gaps][:, :, None], fill, last_before)[:, :, 0]
        scaled = x.sub_(self.center).div_(self.scale) if self.ranks is None else self.ranks.overwrite(x)
        return scaled.clamp_(-self.clip, self.clip)

    def _filled(self, x: Tensor, fill: Tensor, forward: Callable[[Tensor], Tensor]) -> Tensor:
        if self.strategy == "forward_fill":
            x = forward(x)
        elif self.strategy == "interpolate":
            x = interpolate(x)
        return torch.where(torch.isnan(x), fill, x)


class SequencePreprocessor:
    """The numbers of `Preprocess`, fitted to training sequences; see the module's docstring for what they mean.

    Args:
        normalization: `zscore`, `robust`, `minmax`, `quantile` or `none`.
        missing_strategy: `forward_fill`, `mean`, `zero` or `interpolate`.
        clip: normalised values are cut at plus and minus this.

    Attributes:
        center: float32 [s]; `quantile` has no use for it.
        scale: float32 [s], above 0.
        fill: float32 [s] in engineering units, for what the strategy leaves missing.
        quantiles: float32 [s, k + 1] in engineering units, of `quantile`; None otherwise.
        constant_sensors: indices of the sensors that never moved or never spoke; their scale is `MUTED`.
        correlation: float64 [s, s] of the sensors as the network sees them; a muted one has none with others.
    """

    def __init__(
        self,
        normalization: NormalisationKind = "zscore",
        missing_strategy: MissingStrategy = "forward_fill",
        *,
        clip: float = 8.0,
    ) -> None:
        if normalization not in get_args(NormalisationKind):
            raise ValueError(f"expected a normalization of {get_args(NormalisationKind)}, got {normalization!r}")
        if missing_strategy not in get_args(MissingStrategy):
            raise ValueError(f"expected a missing_strategy of {get_args(MissingStrategy)}, got {missing_strategy!r}")
        self.normalization: NormalisationKind = normalization
        self.missing_strategy: MissingStrategy = missing_strategy
        self.clip = clip
        self.center: Float32Array = np.empty(0, np.float32)
        self.scale: Float32Array = np.empty(0, np.float32)
        self.fill: Float32Array = np.empty(0, np.float32)
        self.quantiles: Float32Array | None = None
        self.constant_sensors: tuple[int, ...] = ()
        self.correlation: Float64Array = np.empty((0, 0))

    def fit(self, sequences: Iterable[Float32Array], sensor_names: Sequence[str] = ()) -> Self:
        """Learn center, scale and fill from training sequences only, in bounded memory (see `loading.row_statistics`).

        Args:
            sequences: arrays [n, s] in engineering units, NaN = missing; read one at a time.
            sensor_names: for the log.
        """
        running: RunningStatistics | None = None
        for values in sequences:
            sequence = np.asarray(values, np.float32)
            if sequence.ndim != 2:
                raise ValueError(f"expected sequences of rows and sensors [n, s], got shape {sequence.shape}")
            running = running or RunningStatistics(sequence.shape[1])
            running.add(sequence)
        if running is None:
            raise ValueError("expected at least one sequence to fit to, got none")
        found = running.result()
        center, scale = self._center_and_scale(found)
        if self.normalization == "quantile":
            self.quantiles = quantiles_of(found.sample, found.mean)
            scale = tail_scale(self.quantiles, scale)
        constant = found.absent | (found.high == found.low) | ~(scale > 0)
        self.center = center.astype(np.float32)
        self.scale = np.where(constant, MUTED, scale).astype(np.float32)
        self.fill = self._fill(found).astype(np.float32)
        self.constant_sensors = tuple(np.flatnonzero(constant).tolist())
        self.correlation = self._correlation(found.sample)
        for index in self.constant_sensors:
            name = sensor_names[index] if sensor_names else f"sensor {index}"
            logger.warning(
                "%s %s in the training data; it is muted",
                name,
                "is missing" if found.absent[index] else "never moves",
            )
        return self

    def _center_and_scale(self, found: Statistics) -> tuple[Float64Array, Float64Array]:
        match self.normalization:
            case "none":
                return np.zeros_like(found.mean), np.ones_like(found.mean)
            case "zscore":
                return found.mean, found.deviation
            case "minmax":
                return found.low, found.high - found.low
            case "quantile":
                return found.median, found.deviation
            case "robust":
                lower, middle, upper = found.quartiles
                spread = (upper - lower) / _IQR_OF_NORMAL
                # A sensor that rests most of the time has no interquartile range and still moves.
                return middle, np.where(spread > 0, spread, found.deviation)

    def _fill(self, found: Statistics) -> Float64Array:
        match self.missing_strategy:
            case "mean":
                return found.mean
            case "zero":
                return np.zeros_like(found.mean)
            case "forward_fill" | "interpolate":
                return found.median

    def _correlation(self, sample: Float32Array) -> Float64Array:
        """Of rows [n, s], each value missing there filled by what is there when none was before."""
        seen = np.where(np.isnan(sample), self.fill, sample).astype(np.float64)
        if self.quantiles is None:
            seen = (seen - self.center) / self.scale
        else:
            ranks = QuantileTransform(self.quantiles, self.scale)
            seen = ranks.overwrite(torch.from_numpy(seen[None]))[0].numpy()
        seen = np.clip(seen, -self.clip, self.clip)
        seen -= seen.mean(0)
        length = np.linalg.norm(seen, axis=0)
        seen /= np.where(length > 0, length, 1.0)
        correlation: Float64Array = seen.T @ seen
        np.fill_diagonal(correlation, 1.0)
        return correlation

    def transform(self, sequences: Iterable[Float32Array]) -> list[Float32Array]:
        """Sequences [n, s], each filled from its own first row on, normalised and clipped; float32."""
        module = self.module()
        return [module(torch.from_numpy(np.asarray(sequence, np.float32))[None])[0].numpy() for sequence in sequences]

    @property
    def scaler(self) -> Preprocess | None:
        """The torch module with these numbers; None before `fit`."""
        return self.module() if self.center.size else None

    def module(self) -> Preprocess:
        """The torch module with these numbers.

        Raises:
            ValueError: nothing was fitted yet.
        """
        if not self.center.size:
            raise ValueError("the preprocessor is not fitted: call fit first")
        return Preprocess(self.center, self.scale, self.fill, self.clip, self.missing_strategy, self.quantiles)

    def normalisation(self) -> Normalisation:
        """As the manifest says it."""
        quantiles = [] if self.quantiles is None else [_numbers(row) for row in self.quantiles]
        return Normalisation(self.normalization, _numbers(self.center), _numbers(self.scale), self.clip, quantiles)

    def missing(self) -> Missing:
        """As the manifest says it."""
        return Missing(self.missing_strategy, _numbers(self.fill))


def _numbers(values: Float32Array) -> list[float]:
    # The shortest decimal that reads back as the same float32: the manifest is for people too.
    return [float(str(value)) for value in values]
