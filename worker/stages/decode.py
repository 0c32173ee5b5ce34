"""Bytes to scans: one float32 row a scan, in the order of the model's sensors."""

from collections.abc import Sequence

import numpy as np

from models.errors import MessageError
from models.messages import decode_scan, scan_row
from worker.records import DeadLetter, RawRecord, ScanBlock


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
                row = scan_row(scan, self._sensors)
            except MessageError as error:
                dead.append(DeadLetter(record, error.reason, str(error)))
                continue
            unknown += len(scan.values) - sum(map(scan.values.__contains__, self._sensors))
            origins.append(record.origin)
            scans.append(scan)
            values.extend(row)
        rows = np.fromiter(values, np.float32, len(values)).reshape(len(scans), len(self._sensors))
        return ScanBlock(origins, scans, rows, unknown), dead
