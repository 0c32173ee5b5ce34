"""What a window looks like in numbers, for models that see no order by themselves.

    features = WindowFeatures("engineered", sensors, symmetries, period_ms=500)
    features.names[6]                     # "mould_level_mm.slope_per_s"
    features.compute(windows)             # float32 [n, feature] of windows [n, time, sensor]

`summary` is the statistics of each sensor by itself (`summary.py`); `engineered` adds what an expert would try
(`engineered.py`, `lags.py`). Which sensors belong together is found by their names and the dataset's symmetries
(`roles.py`).

What becomes of a missing value (NaN) is one rule for each family, written at its top; a feature that cannot be told of
a window, such as the mean of a sensor that is silent throughout, is NaN. Nothing is learnt here: a feature is a
function of its window alone, so no split can leak into another, and chunks of any size give the same bits.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from models.features import Sensor
from models.windows import Float32Array
from trainer.datasets.records import Symmetry
from trainer.window_features.blocks import Block, Chunk
from trainer.window_features.engineered import engineered_blocks
from trainer.window_features.roles import find_roles
from trainer.window_features.summary import summary_block

__all__ = ["FeatureKind", "WindowFeatures"]

FeatureKind = Literal["summary", "engineered"]

_CHUNK = 128
"""Windows worked on at once: 5 MB of 240 x 20 in float64, and some ten times that in between."""


class WindowFeatures:
    """The features of windows of one set of sensors.

    Args:
        kind: `summary`, or `engineered`, which begins with all of `summary`.
        sensors: in the order of a window's columns.
        symmetries: the dataset's.
        period_ms: nominal time between two rows, milliseconds.
        chunk: windows worked on at once; changes memory and speed, not a bit of the result.

    Attributes:
        kind: as given.
        names: of the features, `<sensor>.<what>`; what has a unit beside the sensor's own says it.
    """

    def __init__(
        self,
        kind: FeatureKind,
        sensors: Sequence[Sensor],
        symmetries: Sequence[Symmetry],
        period_ms: int,
        *,
        chunk: int = _CHUNK,
    ) -> None:
        self.kind = kind
        self._chunk = chunk
        self._columns = len(sensors)
        names, period_s = [sensor.name for sensor in sensors], period_ms / 1000
        self._blocks: list[Block] = [summary_block(names, period_s)]
        if kind == "engineered":
            self._blocks += engineered_blocks(names, find_roles(sensors, symmetries), period_s)
        self.names: tuple[str, ...] = tuple(name for block in self._blocks for name in block.names)

    def compute(self, windows: Float32Array) -> Float32Array:
        """Features of windows.

        Args:
            windows: [n, time, sensor] in engineering units, NaN = missing.

        Returns:
            float32 [n, feature].
        """
        if windows.ndim != 3 or windows.shape[2] != self._columns:
            raise ValueError(f"expected windows [n, time, {self._columns}], got {windows.shape}")
        out = np.empty((len(windows), len(self.names)), np.float32)
        for first in range(0, len(windows), self._chunk):
            part = slice(first, first + self._chunk)
            chunk, column = Chunk(windows[part]), 0
            for block in self._blocks:
                out[part, column : column + len(block.names)] = block.compute(chunk)
                column += len(block.names)
        return out
