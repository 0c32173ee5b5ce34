"""Bytes to scans: one float32 row a scan, in the order of the model's sensors."""

from collections.abc import Sequence

import numpy as np

from models.errors import MessageError
from models.messages import SensorScan, decode_scan
from worker.records import DeadLetter, RawRecord, ScanBlock

_NAN = float("nan")
_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Decoder:
    """Decodes the records of a poll; what cannot be used becomes a dead letter and harms nothing beside it."""

    def __init__(self, sensors: Sequence[str]) -> None:
        self._sensors = tuple(sensors)

    def decode(self, records: Sequence[RawRecord]) -> tuple[ScanBlock, list[DeadLetter]]:
        """Split records into usable scans and dead letters; both keep log order."""
        origins, scans, values, dead = [], [], [], []
        unknown = 0
        for record in records:
            try:
                scan = decode_scan(record.value)
                row = self._row(scan)
            except MessageError as error:
                dead.append(DeadLetter(record, error.reason, str(error)))
                continue
            unknown += len(scan.values) - sum(map(scan.values.__contains__, self._sensors))
            origins.append(record.origin)
            scans.append(scan)
            values.extend(row)
        rows = np.fromiter(values, np.float32, len(values)).reshape(len(scans), len(self._sensors))
        return ScanBlock(origins, scans, rows, unknown), dead

    def _row(self, scan: SensorScan) -> list[float]:
        get = scan.values.get
        row = [_NAN if (value := get(name)) is None else value for name in self._sensors]
        for name, quality in scan.quality.items():
            if quality == "bad" and name in self._sensors:
                row[self._sensors.index(name)] = _NAN
        for name, value in zip(self._sensors, row, strict=True):
            if abs(value) > _FLOAT32_MAX:
                raise MessageError("schema", f"expected a 32-bit float, got {value:g} at values.{name}")
        return row
