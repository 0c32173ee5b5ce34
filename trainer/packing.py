"""Scans to records for Kafka: each on its own in JSON, or many of a strand in a packed frame (`models.frames`).

    packing = Frames(sensors, scans=20)
    for arrival in line:
        for packed in packing.take(arrival): ...
    for packed in packing.rest(): ...

`trainer.kafka` publishes what comes of it.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from models.frames import MAX_PERIOD_MS, ScanFrame, encode_frame, sensor_set
from models.scan_rows import ScanRows
from trainer.dirt.stream import Arrival

WAIT_MS = 30_000
"""Of the line: a strand that falls silent keeps its last scans no longer."""


class Packed(NamedTuple):
    """A record.

    Attributes:
        key: of it.
        value: of it.
        scans: how many it holds.
    """

    key: bytes
    value: bytes | None
    scans: int = 1


class Packing(Protocol):
    """A way to make records of scans."""

    def take(self, arrival: Arrival) -> Iterator[Packed]:
        """Take a scan; the records that are done by it."""

    def rest(self) -> Iterator[Packed]:
        """Nothing comes any more: the records that are not done yet."""


class Single:
    """One record a scan, JSON."""

    def take(self, arrival: Arrival) -> Iterator[Packed]:
        """See `Packing`."""
        yield _alone(arrival)

    def rest(self) -> Iterator[Packed]:
        """See `Packing`."""
        return iter(())


class Frames:
    """Frames of a strand's scans that follow one another at even steps, within one heat.

    A scan at another step, or of another heat, begins a frame of its own. Rubbish, and a scan with a number that no
    32-bit float holds, goes out as it is. What waits for `WAIT_MS` of the line goes out, full or not.

    Args:
        sensors: names, in the order of the model's.
        scans: of a frame at most.
    """

    def __init__(self, sensors: Sequence[str], scans: int) -> None:
        self._rows, self._sensors = ScanRows(sensors), sensor_set(sensors)
        self._most = scans
        self._open: dict[str, list[Arrival]] = {}  # by when their first scan came

    def take(self, arrival: Arrival) -> Iterator[Packed]:
        """See `Packing`."""
        strand_id = arrival.scan.strand_id
        while (oldest := next(iter(self._open), None)) and self._open[oldest][0].at_ms + WAIT_MS < arrival.at_ms:
            yield self._frame(oldest)
        cannot_be_packed = arrival.damage is not None or bool(np.isinf(self._rows.read([arrival.scan])[0]).any())
        if strand_id in self._open and (cannot_be_packed or not _follows(self._open[strand_id], arrival)):
            yield self._frame(strand_id)
        if cannot_be_packed:
            yield _alone(arrival)
            return
        self._open.setdefault(strand_id, []).append(arrival)
        if len(self._open[strand_id]) == self._most:
            yield self._frame(strand_id)

    def rest(self) -> Iterator[Packed]:
        """See `Packing`."""
        for strand_id in list(self._open):
            yield self._frame(strand_id)

    def _frame(self, strand_id: str) -> Packed:
        scans = [arrival.scan for arrival in self._open.pop(strand_id)]
        first, second = scans[0], scans[min(1, len(scans) - 1)]
        positions = [np.nan if scan.strand_position_m is None else scan.strand_position_m for scan in scans]
        frame = ScanFrame(
            strand_id,
            first.event_time_ms,
            max(1, second.event_time_ms - first.event_time_ms),
            self._rows.read(scans)[0],
            first_seq=first.seq,
            heat_id=first.heat_id,
            positions_m=None if np.isnan(positions).all() else np.array(positions),
        )
        return Packed(strand_id.encode(), encode_frame(frame, self._sensors), len(scans))


def _alone(arrival: Arrival) -> Packed:
    return Packed(arrival.scan.strand_id.encode(), arrival.encoded())


def _follows(waiting: Sequence[Arrival], arrival: Arrival) -> bool:
    first, last, scan = waiting[0].scan, waiting[-1].scan, arrival.scan
    step = scan.event_time_ms - last.event_time_ms
    is_even = (
        0 < step <= MAX_PERIOD_MS if len(waiting) == 1 else step == waiting[1].scan.event_time_ms - first.event_time_ms
    )
    is_next = scan.seq is None if last.seq is None else scan.seq == last.seq + 1
    return is_even and is_next and scan.heat_id == last.heat_id
