"""Scans as rows of numbers in the order of a model's sensors."""

from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from models.errors import MessageError
from models.messages import SensorScan
from models.windows import Float32Array


class ScanRows:
    """Scans to rows of numbers in the order of a model's sensors.

    Args:
        sensors: names, in that order.
    """

    def __init__(self, sensors: Sequence[str]) -> None:
        self._sensors = tuple(sensors)
        # For one name alone it would give the value itself.
        self._all_of = itemgetter(*self._sensors) if len(self._sensors) > 1 else self._only

    def read(self, scans: Sequence[SensorScan]) -> tuple[Float32Array, int]:
        """Many scans at once.

        Returns:
            rows: [scan, sensor] float32; NaN where a value is absent, null or bad, infinite where no 32-bit float holds
                it.
            unknown: how many values are of other sensors.
        """
        values: list[float | None] = []
        unknown = 0
        width = len(self._sensors)
        for scan in scans:
            unknown += len(scan.values) - width
            try:
                row = self._all_of(scan.values)
            except KeyError:
                row = self._each_of(scan.values)
                unknown += sum(name not in scan.values for name in self._sensors)
            values += self._without_bad(row, scan) if scan.quality else row
        with np.errstate(over="ignore"):
            rows = np.fromiter(values, np.float32, len(values))  # None becomes NaN
        return rows.reshape(len(scans), width), unknown

    def too_large(self, scan: SensorScan) -> MessageError:
        """What to say of a scan whose row has something infinite."""
        row, _ = self.read([scan])
        name = self._sensors[int(np.flatnonzero(np.isinf(row[0]))[0])]
        return MessageError("schema", f"expected a 32-bit float, got {scan.values[name]:g} at values.{name}")

    def _only(self, values: dict[str, float | None]) -> Sequence[float | None]:
        return (values[self._sensors[0]],)

    def _each_of(self, values: dict[str, float | None]) -> Sequence[float | None]:
        return [values.get(name) for name in self._sensors]

    def _without_bad(self, row: Sequence[float | None], scan: SensorScan) -> Sequence[float | None]:
        return [
            None if scan.quality.get(name) == "bad" else value for name, value in zip(self._sensors, row, strict=True)
        ]


def scan_row(scan: SensorScan, sensors: Sequence[str]) -> list[float]:
    """One scan's values in the order of a model's sensors, NaN where one is absent, null or bad.

    Raises:
        MessageError: a value that no 32-bit float holds.
    """
    reader = ScanRows(sensors)
    rows, _ = reader.read([scan])
    if np.isinf(rows).any():
        raise reader.too_large(scan)
    return [float(value) for value in rows[0]]
