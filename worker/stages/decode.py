"""Bytes to scans: one float32 row a scan, in the order of the model's sensors."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from models.errors import MessageError
from models.frames import ScanFrame, decode_frames, sensor_set
from models.messages import ScanRows, SensorScan, decode_scan
from models.strand_window import missing_of
from worker.records import DeadLetter, FrameBlock, Origin, RawRecord, ScanBlock


class Decoder(Protocol):
    """Decodes the records of a poll; what cannot be used becomes a dead letter and harms nothing beside it."""

    def decode(self, records: Sequence[RawRecord]) -> tuple[ScanBlock | FrameBlock, list[DeadLetter]]:
        """Split records into usable scans and dead letters; both keep log order."""


class ScanDecoder:
    """Of records that are one scan each.

    Args:
        sensors: names, in the order of the model.
        decode: reads one.
    """

    def __init__(self, sensors: Sequence[str], decode: Callable[[bytes | None], SensorScan] = decode_scan) -> None:
        self._rows = ScanRows(sensors)
        self._decode = decode

    def decode(self, records: Sequence[RawRecord]) -> tuple[ScanBlock, list[DeadLetter]]:
        """See `Decoder`."""
        decode = self._decode
        scans: list[SensorScan] = []
        places: list[int] = []
        dead: dict[int, DeadLetter] = {}
        for place, record in enumerate(records):
            try:
                scans.append(decode(record.value))
            except MessageError as error:
                dead[place] = _dead(record, error)
            else:
                places.append(place)
        rows, unknown = self._rows.read(scans)
        too_large = np.isinf(rows).any(axis=1)
        if too_large.any():
            for index in np.flatnonzero(too_large).tolist():
                dead[places[index]] = _dead(records[places[index]], self._rows.too_large(scans[index]))
            kept = np.flatnonzero(~too_large).tolist()
            scans, places = [scans[index] for index in kept], [places[index] for index in kept]
            rows, unknown = self._rows.read(scans)
        block = ScanBlock([records[place].origin for place in places], scans, rows, missing_of(rows), unknown)
        return block, [dead[place] for place in sorted(dead)]


class FrameDecoder:
    """Of packed frames."""

    def __init__(self, sensors: Sequence[str]) -> None:
        self._sensors, self._width = sensor_set(sensors), len(sensors)

    def decode(self, records: Sequence[RawRecord]) -> tuple[FrameBlock, list[DeadLetter]]:
        """See `Decoder`; a frame is usable or not as a whole."""
        origins: list[Origin] = []
        frames: list[ScanFrame] = []
        dead: list[DeadLetter] = []
        found = decode_frames([record.value for record in records], self._sensors, self._width)
        for record, frame in zip(records, found, strict=True):
            if isinstance(frame, MessageError):
                dead.append(_dead(record, frame))
            else:
                origins.append(record.origin)
                frames.append(frame)
        missing = iter(missing_of(np.concatenate([frame.rows for frame in frames])) if frames else ())
        return FrameBlock(origins, frames, [[*islice(missing, len(frame))] for frame in frames]), dead


def _dead(record: RawRecord, error: MessageError) -> DeadLetter:
    return DeadLetter(record, error.reason, str(error))
