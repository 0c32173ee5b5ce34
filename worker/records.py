"""The types that pass between rooms: frozen, slotted, free of Kafka, metrics and neighbours.

    RawRecord ─► ScanBlock ─► DueWindow | GivenUp ─► Batch ─► Scored | GivenUp ─► AlertChange ─► Outgoing
              └► DeadLetter

Every record knows its `Origin`, so that an offset can be committed only after all that its record caused
has been acknowledged. What is made for every scan is a `msgspec.Struct`: made in a tenth of a frozen dataclass' time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from models.alerting import Severity, Transition
from models.errors import DeadLetterReason
from models.frames import MAX_SCANS, ScanFrame
from models.messages import ScanFacts
from models.windows import Float32Array, LateRun

Partition = tuple[str, int]
"""Topic and number."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where a record stood in the input log."""

    partition: Partition
    offset: int

    def place(self, index: int = 0) -> int:
        """Of a scan of the record: one number for both, in the order of the log."""
        return self.offset * PLACES + index


PLACES = 4 * MAX_SCANS
"""Of scans in one record; four times as many as a frame may hold."""


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as Kafka has it."""

    origin: Origin
    key: bytes | None
    value: bytes | None


class Polled(NamedTuple):
    """Records of one poll, in log order per partition.

    Attributes:
        replayed: were processed before, and come again to refill windows; in log before any new one of the partition.
        new: the others.
    """

    replayed: Sequence[RawRecord]
    new: Sequence[RawRecord]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that cannot be used, and why."""

    record: RawRecord
    reason: DeadLetterReason
    detail: str


@dataclass(frozen=True, slots=True)
class ScanBlock:
    """The usable scans of one poll, in log order.

    Attributes:
        origins: [n] where each scan came from.
        scans: [n] what each said.
        rows: [n, sensor] float32 in the order of the model's sensors, NaN = missing or bad.
        missing: [n] how many values each lacks.
        unknown_values: how many values were of sensors the model does not read.
    """

    origins: Sequence[Origin]
    scans: Sequence[ScanFacts]
    rows: Float32Array
    missing: Sequence[int]
    unknown_values: int

    @property
    def size(self) -> int:
        """How many scans."""
        return len(self.scans)


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """The usable packed frames of one poll, in log order.

    Attributes:
        origins: [n] where each came from.
        frames: [n] what each holds.
        missing: [n] how many values each of its scans lacks.
    """

    origins: Sequence[Origin]
    frames: Sequence[ScanFrame]
    missing: Sequence[Sequence[int]]
    unknown_values: int = 0

    @property
    def size(self) -> int:
        """How many scans."""
        return sum(map(len, self.frames))


class DueScan(msgspec.Struct, frozen=True, gc=False):
    """A scan at which a prediction is due, and its window's particulars.

    `is_full` is False while the window is warming: then nothing is inferred and alerts do not move.
    """

    origin: Origin
    strand_id: str
    seq: int | None
    event_time_ms: int
    heat_id: str | None
    strand_position_m: float | None
    window_start_ms: int
    missing_fraction: float
    is_full: bool


class DueWindow(msgspec.Struct, frozen=True, gc=False):
    """A due scan with its window: a view [time, sensor], valid only until the strand's next scan."""

    scan: DueScan
    rows: Float32Array


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A strand whose window was given up: restarted by a gap or a clock set back, or evicted for silence.

    `origin` is the record's by which that showed. An evicted strand is forgotten altogether.
    """

    origin: Origin
    strand_id: str
    event_time_ms: int
    why: str
    is_evicted: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """Due windows for one run of the model.

    Attributes:
        entries: what happened, in log order; the full due scans among them are the batch's first rows.
        windows: [size, time, sensor] float32, already padded to a warmed size; rows past `count` are padding.
        count: rows that are windows.
        array: whose first rows they are.
    """

    entries: Sequence[DueScan | GivenUp]
    windows: Float32Array
    count: int
    array: Float32Array


class Scored(msgspec.Struct, frozen=True, gc=False):
    """A due scan with the model's answer, one probability a target; None while warming."""

    scan: DueScan
    probabilities: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class AlertChange:
    """An alert opened or closed."""

    transition: Transition
    strand_id: str
    target: str
    severity: Severity
    probability: float
    peak: float
    opened_at_ms: int
    event_time_ms: int
    closed_at_ms: int | None
    heat_id: str | None
    position_from_m: float | None
    position_to_m: float | None
    model: str
    model_sha256: str
    why: str


class AlertState(msgspec.Struct, frozen=True, array_like=True):
    """One strand's alert for one target as it stands: all that its next change depends on and its messages tell.

    Attributes:
        strand_id: whose.
        target: for which.
        above_since_ms: see `models.alerting.AlertMachine`, as for the next five.
        heat_id: at the opening.
        position_from_m: where the rise began.
        position_to_m: at the last prediction.
        probability: of the last prediction.
        severity: what a message of it would tell now.
        model: name and version of the model whose alert it is.
        model_sha256: of its graph.
    """

    strand_id: str
    target: str
    above_since_ms: int | None
    below_since_ms: int | None
    opened_at_ms: int | None
    closed_at_ms: int | None
    last_ms: int | None
    peak: float
    heat_id: str | None
    position_from_m: float | None
    position_to_m: float | None
    probability: float
    severity: Severity
    model: str
    model_sha256: str


class Reached(msgspec.Struct, frozen=True, array_like=True):
    """How far a strand has come: all that its next scan is judged by, also where its window cannot be refilled.

    Attributes:
        event_time_ms: of its newest accepted scan, milliseconds.
        offset: of its last record.
        late: the late scans since, see `models.windows.StrandTimeline`.
    """

    event_time_ms: int
    offset: int
    late: LateRun | None = None


class PartitionState(msgspec.Struct, frozen=True, array_like=True):
    """What a worker must know of a partition beside its log, at one offset.

    Attributes:
        windows: by strand, the place of its window's oldest scan: refilled from there, the window is the same.
        alerts: those that are not idle.
        since: an earlier offset at which the windows were so, from which on every strand is refilled; None if they are
            so now.
        reached: by strand, how far it had come where the windows were so; of every strand, also those without a window.
    """

    windows: Mapping[str, int]
    alerts: Sequence[AlertState]
    since: int | None = None
    reached: Mapping[str, Reached] = {}

    def begins(self, offset: int) -> int:
        """Where to read on from, so that everything is whole at `offset`."""
        if self.windows:
            return min(self.windows.values()) // PLACES
        return offset if self.since is None else self.since


Destination = Literal["predictions", "alerts", "dead_letters"]


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One record to publish; `event_time_ms` is that of a prediction, for the latency figures."""

    destination: Destination
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, str | bytes] = {}
    event_time_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Processed:
    """What one poll caused: the outputs, and the input offsets that are done once those are acknowledged.

    `next_offsets` holds, by (topic, partition), the offset after the last record taken in; `records`, how many were;
    `answered`, how many windows the model saw; `warming`, how many were due and not yet full.
    """

    outgoing: Sequence[Outgoing]
    next_offsets: Mapping[Partition, int]
    records: int = 0
    answered: int = 0
    warming: int = 0
