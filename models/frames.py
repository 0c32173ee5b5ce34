"""Packed frames: many scans of one strand in one record, for gateways that send them by the second.

    value = encode_frame(ScanFrame("p1.c2.s3", first_ms, period_ms, rows), sensor_set(names))
    frame = decode_frame(value, sensor_set(names), len(names))

A frame, little-endian:

| bytes | type | what |
| --- | --- | --- |
| 0-3 | 4 bytes | `SWPF` |
| 4 | uint8 | version, 1 |
| 5 | uint8 | flags: 1 = positions are there |
| 6-7 | uint16 | bytes of the strand id, S |
| 8-9 | uint16 | bytes of the heat id, H; 0: none |
| 10-11 | uint16 | scans, N: 1 to 1,024 |
| 12-15 | uint32 | time from one scan to the next, milliseconds; not 0 |
| 16-23 | uint64 | the sensors: the first 8 bytes of the SHA-256 of their names, each ended by a line feed |
| 24-31 | int64 | `seq` of the first scan, the others follow; -1: none |
| 32-39 | int64 | `event_time_ms` of the first scan |
| 40 | S bytes | strand id, UTF-8 |
| 40 + S | H bytes | heat id, UTF-8, of all of the frame's scans |
| | 0-7 bytes | zeros, up to a multiple of 8 from the frame's beginning |
| | N × float64, if flagged | `strand_position_m` of each scan; NaN: none |
| | N × C × float32 | values, scan by scan, in the order of the names; NaN: missing or bad |

C is how many sensors the model has; the frame's length tells whether it fits. Scans at uneven times, or of another
heat, begin a frame of their own.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import MessageError, mismatch
from models.messages import LAST_EVENT_TIME_MS, MAX_SCAN_BYTES, SensorScan, is_strand_id, no_strand_id, wrong_size
from models.windows import Float32Array

MAX_SCANS = 1024
MAX_PERIOD_MS = 2**32 - 1
_MAGIC, _VERSION = b"SWPF", 1
_HEADER = struct.Struct("<4sBBHHHIQqq")
_ALIGNED = 8
_HAS_POSITIONS = 1


class ScanFrame(msgspec.Struct, frozen=True, gc=False, eq=False):
    """Scans of one strand at even steps of time.

    Attributes:
        strand_id: whose.
        first_ms: event time of the first.
        period_ms: from one to the next.
        rows: [scan, sensor] float32, NaN = missing or bad.
        first_seq: of the first; the others follow.
        heat_id: of all.
        positions_m: [scan] float64 along the strand, NaN = not known.
    """

    strand_id: str
    first_ms: int
    period_ms: int
    rows: Float32Array
    first_seq: int | None = None
    heat_id: str | None = None
    positions_m: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        """How many scans."""
        return len(self.rows)

    def time_ms(self, index: int) -> int:
        """Event time of a scan."""
        return self.first_ms + index * self.period_ms

    def scan(self, index: int) -> SensorScan:
        """One of the scans, without its values."""
        position = None if self.positions_m is None else float(self.positions_m[index])
        return SensorScan(
            strand_id=self.strand_id,
            event_time_ms=self.time_ms(index),
            values={},
            seq=None if self.first_seq is None else self.first_seq + index,
            heat_id=self.heat_id,
            strand_position_m=None if position is None or math.isnan(position) else position,
        )


def sensor_set(names: Sequence[str]) -> int:
    """The number by which a frame tells which sensors its columns are."""
    return int.from_bytes(hashlib.sha256("".join(f"{name}\n" for name in names).encode()).digest()[:8], "little")


def encode_frame(frame: ScanFrame, sensors: int) -> bytes:
    """As bytes; `sensors` from `sensor_set`, of the names of its columns."""
    strand, heat = frame.strand_id.encode(), (frame.heat_id or "").encode()
    header = _HEADER.pack(
        _MAGIC, _VERSION, 0 if frame.positions_m is None else _HAS_POSITIONS, len(strand), len(heat),
        len(frame), frame.period_ms, sensors,
        -1 if frame.first_seq is None else frame.first_seq, frame.first_ms,
    )  # fmt: skip
    names = strand + heat
    positions = b"" if frame.positions_m is None else np.asarray(frame.positions_m, "<f8").tobytes()
    return header + names + bytes(-len(header + names) % _ALIGNED) + positions + np.asarray(frame.rows, "<f4").tobytes()


def decode_frames(values: Sequence[bytes | None], sensors: int, width: int) -> list[ScanFrame | MessageError]:
    """Read many frames, or why one cannot be; their arrays are views of the bytes.

    Args:
        values: of the records.
        sensors: of the columns expected, from `sensor_set`.
        width: how many those are.

    Returns:
        Of each a frame, or an error with the dead letter's reason and a one-line detail.
    """
    found: list[ScanFrame | MessageError] = []
    for value in values:
        try:
            found.append(_read(value, sensors, width))
        except MessageError as error:
            found.append(error)
    frames = [one for one in found if isinstance(one, ScanFrame)]
    positions = [frame.positions_m for frame in frames if frame.positions_m is not None]
    if _any_infinite([frame.rows for frame in frames]) or _any_infinite(positions):
        return [_finite(one) if isinstance(one, ScanFrame) else one for one in found]
    return found


def decode_frame(value: bytes | None, sensors: int, width: int) -> ScanFrame:
    """Read one frame, as `decode_frames` does.

    Raises:
        MessageError: it cannot be.
    """
    (found,) = decode_frames([value], sensors, width)
    if isinstance(found, MessageError):
        raise found
    return found


def _finite(frame: ScanFrame) -> ScanFrame | MessageError:
    positions = [] if frame.positions_m is None else [frame.positions_m]
    if not _any_infinite([frame.rows]) and not _any_infinite(positions):
        return frame
    return MessageError("schema", mismatch("finite values or NaN", "an infinite one", "values"))


def _any_infinite(arrays: Sequence[npt.NDArray[Any]]) -> bool:
    return bool(arrays) and bool(np.isinf(np.concatenate(arrays)).any())


def _read(value: bytes | None, sensors: int, width: int) -> ScanFrame:
    if not value or len(value) > MAX_SCAN_BYTES:
        raise wrong_size(value, "a packed frame")
    if value[:4] != _MAGIC:
        raise MessageError("encoding", mismatch("a packed frame", repr(bytes(value[:4])), "its first bytes"))
    if len(value) < _HEADER.size:
        raise MessageError("malformed", f"expected a header of {_HEADER.size} bytes, got {len(value)} bytes")
    header = _HEADER.unpack_from(value)
    (_, _, flags, strand_bytes, heat_bytes, scans, period_ms, _, first_seq, first_ms) = header
    _check(header, sensors)
    names_end = _HEADER.size + strand_bytes + heat_bytes
    positions_at = names_end + -names_end % _ALIGNED
    rows_at = positions_at + (8 * scans if flags else 0)
    if len(value) != (size := rows_at + 4 * scans * width):
        raise MessageError("malformed", f"expected {size} bytes by the header, got {len(value)}")
    try:
        strand_id = value[_HEADER.size : _HEADER.size + strand_bytes].decode()
        heat_id = value[_HEADER.size + strand_bytes : names_end].decode() or None
    except UnicodeDecodeError as error:
        raise MessageError("encoding", str(error)) from None
    if not is_strand_id(strand_id):
        raise no_strand_id(strand_id)
    rows = np.frombuffer(value, "<f4", scans * width, rows_at).reshape(scans, width)
    positions = np.frombuffer(value, "<f8", scans, positions_at) if flags else None
    return ScanFrame(strand_id, first_ms, period_ms, rows, None if first_seq < 0 else first_seq, heat_id, positions)


def _check(header: tuple[Any, ...], sensors: int) -> None:
    """Hold a header's numbers to what they may be."""
    (_, version, flags, _, _, scans, period_ms, found, first_seq, first_ms) = header
    if version != _VERSION or flags > _HAS_POSITIONS:
        raise MessageError("schema", mismatch("version 1", f"{version} with flags {flags}", "version"))
    if not 1 <= scans <= MAX_SCANS:
        raise MessageError("schema", mismatch(f"1 to {MAX_SCANS} scans", scans, "scans"))
    if found != sensors:
        raise MessageError("schema", mismatch(f"the model's sensors, {sensors:016x}", f"{found:016x}", "sensors"))
    if period_ms <= 0 or first_ms < 0 or first_ms + (scans - 1) * period_ms > LAST_EVENT_TIME_MS:
        raise MessageError("schema", mismatch("event times", f"{first_ms} and every {period_ms} ms", "event_time_ms"))
    if first_seq < -1 or first_seq + scans > 2**63 - 1:
        raise MessageError("schema", mismatch("a seq or -1", first_seq, "seq"))
