"""Sensors that follow one another, as thermocouples follow the heat flux."""

import numpy as np
import numpy.typing as npt

from models.windows import Float32Array


def correlated(sensors: int, rows: int) -> Float32Array:
    """Rows [rows, sensors] of unit spread; any two are correlated by about 0.94."""
    rng = np.random.default_rng(3)
    common, own = rng.standard_normal((rows, 1)), rng.standard_normal((rows, sensors))
    return np.asarray((common + 0.25 * own) / np.hypot(1, 0.25), np.float32)


def correlation_of(sensors: int) -> npt.NDArray[np.float64]:
    """Of such rows."""
    return np.asarray(np.corrcoef(correlated(sensors, 1000).T))
