"""Bytes to scans: one float32 row a scan, in the order of the model's sensors."""

from collections.abc import Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from models.errors import MessageError
from models.frames import ScanFrame, decode_frames, sensor_set
from models.messages import ScanFacts
from models.scan_reader import ReadScan, ScanReader
from models.strand_window import missing_of
from worker.records import DeadLetter, FrameBlock, Origin, RawRecord, ScanBlock


class Decoder(Protocol):
    """Decodes many records at once; what cannot be used becomes a dead letter and harms nothing beside it."""

    def decode(self, records: Sequence[RawRecord]) -> tuple[ScanBlock | FrameBlock, list[DeadLetter]]:
        """Split records into usable scans and dead letters; both keep log order."""


class ScanDecoder:
    """Of records that are one scan each.

    Args:
        sensors: names, in the order of the model.
        read: reads one that is not in JSON; None for JSON.
    """

    def __init__(self, sensors: Sequence[str], read: ReadScan | None = None) -> None:
        self._reader = ScanReader(sensors, read)

    def decode(self, records: Sequence[RawRecord]) -> tuple[ScanBlock, list[DeadLetter]]:
        """See `Decoder`."""
        found, rows, unknown = self._reader.read([record.value for record in records])
        origins: list[Origin] = []
        scans: list[ScanFacts] = []
        dead: list[DeadLetter] = []
        for record, one in zip(records, found, strict=True):
            if isinstance(one, MessageError):
                dead.append(_dead(record, one))
            else:
                origins.append(record.origin)
                scans.append(one)
        return ScanBlock(origins, scans, rows, missing_of(rows), unknown), dead


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
