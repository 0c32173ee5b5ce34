"""What is committed with an offset: text from which, with the log, a partition's windows and alerts are rebuilt.

    text = encode(Committed(model="ab12", partitions=6, state=pipeline.state(partition)))
    decode(text).state

The text is the checksum and the compressed state in base 85. Kafka limits it (`offset.metadata.max.bytes`, 4,096 unless
the broker says otherwise), so what is written is lean: places as distances from the first, times as distances from the
newest, column by column, and no names of fields.
Where that is too long, `worker.kafka.checkpoints` keeps the same as bytes in a topic, and the text points to it.
"""

import base64
import zlib
from typing import Any

import msgspec

from models.errors import ContractError, mismatch
from models.windows import LateRun
from worker.records import PLACES, AlertState, PartitionState, Reached

FORMAT = 4

LONGEST = 4000
"""Characters of metadata: a broker takes 4,096 unless `offset.metadata.max.bytes` says otherwise."""

_CHECKSUM_BYTES = 4


class Pointer(msgspec.Struct, frozen=True, array_like=True):
    """Where a checkpoint stands.

    Attributes:
        number: partition of the topic of checkpoints.
        offset: of the record there.
        at: offset of the partition it is of, at which it was so.
    """

    number: int
    offset: int
    at: int


class Committed(msgspec.Struct, frozen=True):
    """A partition at the offset it is committed with.

    Attributes:
        model: its identity, see `worker.pipeline.identity_of`; windows and alerts are of this model.
        partitions: of the topic; a strand lies in another one when they become more.
        state: of the windows and alerts; without windows if there is a checkpoint, and without alerts if that is of
            this very offset and they would be too long.
        checkpoint: of the rest.
        epoch: leader epoch of the last record taken in; -1 if none was, or it has none.
    """

    model: str
    partitions: int
    state: PartitionState
    checkpoint: Pointer | None = None
    epoch: int = -1


_Distance = int | tuple[int, int]
"""Records from the first; and the scan within the record, if it is not its first."""


class _Columns(msgspec.Struct, frozen=True, array_like=True):
    """Of every strand, in one order.

    Attributes:
        first: offset of the first window's beginning, of which the others are so many records away.
        newest_ms: the newest event time, of which the others are so many milliseconds short.
        last: the last offset, of which the others are so many records short.
        late: of the few strands that have such scans: how many, and how far the last is behind the strand's newest.
    """

    strand_ids: list[str]
    first: int
    starts: list[_Distance | None]
    newest_ms: int
    event_times_ms: list[int | None]
    last: int
    offsets: list[int]
    late: dict[str, LateRun]


class _Wire(msgspec.Struct, frozen=True, array_like=True):
    format: int
    model: str
    partitions: int
    strands: _Columns
    alerts: list[AlertState]
    checkpoint: Pointer | None
    epoch: int


def encode(committed: Committed) -> str:
    """As text without NUL."""
    return base64.b85encode(pack(committed)).decode()


def decode(text: str) -> Committed:
    """What was encoded.

    Raises:
        ContractError: it is something else, was damaged, or is of another version.
    """
    try:
        raw = base64.b85decode(text)
    except ValueError:
        raise _refused("other text") from None
    return unpack(raw)


def pack(committed: Committed) -> bytes:
    """As bytes: the checksum, and all else compressed."""
    wire = _Wire(
        FORMAT,
        committed.model,
        committed.partitions,
        _columns(committed.state),
        list(committed.state.alerts),
        committed.checkpoint,
        committed.epoch,
    )
    packed = zlib.compress(msgspec.msgpack.encode(wire), 6)
    return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES) + packed


def unpack(raw: bytes) -> Committed:
    """What was packed.

    Raises:
        ContractError: it is something else, was damaged, or is of another version.
    """
    checksum, packed = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES) != checksum:
        raise _refused("a checksum that does not fit")
    try:
        plain = msgspec.msgpack.decode(zlib.decompress(packed), type=list[Any])
        wire = msgspec.convert(plain, _Wire) if plain[:1] == [FORMAT] else None
    except (zlib.error, msgspec.MsgspecError) as error:
        raise _refused(str(error)) from None
    if wire is None:
        raise _refused(f"format {plain[:1]}")
    state = PartitionState(_windows(wire.strands), wire.alerts, reached=_reached(wire.strands))
    return Committed(wire.model, wire.partitions, state, wire.checkpoint, wire.epoch)


def _columns(state: PartitionState) -> _Columns:
    starts, reached = state.windows, state.reached
    strand_ids = list(reached) if starts.keys() <= reached.keys() else list({**reached, **starts})
    first = state.begins(0)
    newest_ms = max((one.event_time_ms for one in reached.values()), default=0)
    last = max((one.offset for one in reached.values()), default=0)
    every = [reached.get(strand_id) for strand_id in strand_ids]
    return _Columns(
        strand_ids,
        first,
        [None if (start := starts.get(strand_id)) is None else _distance(start, first) for strand_id in strand_ids],
        newest_ms,
        [None if one is None else newest_ms - one.event_time_ms for one in every],
        last,
        [0 if one is None else last - one.offset for one in every],
        {
            strand_id: (one.late[0], one.event_time_ms - one.late[1])
            for strand_id, one in reached.items()
            if one.late is not None
        },
    )


def _windows(strands: _Columns) -> dict[str, int]:
    return {
        strand_id: _place(strands.first, distance)
        for strand_id, distance in zip(strands.strand_ids, strands.starts, strict=True)
        if distance is not None
    }


def _reached(strands: _Columns) -> dict[str, Reached]:
    reached: dict[str, Reached] = {}
    for strand_id, short_ms, short in zip(strands.strand_ids, strands.event_times_ms, strands.offsets, strict=True):
        if short_ms is not None:
            event_time_ms, late = strands.newest_ms - short_ms, strands.late.get(strand_id)
            run = None if late is None else (late[0], event_time_ms - late[1])
            reached[strand_id] = Reached(event_time_ms, strands.last - short, run)
    return reached


def _distance(place: int, first: int) -> _Distance:
    offset, index = divmod(place, PLACES)
    return (offset - first, index) if index else offset - first


def _place(first: int, distance: _Distance) -> int:
    records, index = distance if isinstance(distance, tuple) else (distance, 0)
    return (first + records) * PLACES + index


def _refused(got: str) -> ContractError:
    return ContractError(mismatch(f"a worker's state, format {FORMAT}", got, "a committed state"))
