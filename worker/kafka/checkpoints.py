"""State too long for an offset: a record of the compacted topic `topics.worker_state`, which the offset points to.

    text = checkpoints.text(partition, offset, keep)     # to commit with the offset
    state = checkpoints.whole(partition, offset, decode(text), until_s)

Windows are kept every few seconds only: read on from an older table by the same rules, the log gives the same windows.
Alerts do not come of reading alone, so they go with every offset; where even they are too long, a checkpoint does.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from models.errors import ContractError
from worker import logs
from worker.kafka.committed import LONGEST, Committed, Pointer, encode, pack, unpack
from worker.kafka.peek import Peek
from worker.records import AlertState, Partition, PartitionState
from worker.settings import Settings

log = logs.get(__name__)

EVERY_S = 5.0
"""Between two checkpoints of a partition; so much more is read again after a restart."""

Keep = Callable[[bytes, bytes], tuple[int, int] | None]
"""Writes a record of this key and value to the topic of checkpoints, and says where it stands; None: not yet."""

StateText = Callable[[Partition, int, Keep], str | None]
"""`Checkpoints.text`, for the sinks."""


@dataclass(frozen=True, slots=True)
class _Last:
    pointer: Pointer
    written_s: float


class Checkpoints:
    """Of one worker.

    Args:
        settings: whose group, and the topic.
        identity: of the model served.
        state_of: a partition as it stands.
        alerts_of: of it the alerts alone; with many strands the windows take a while to be told.
        log_of: how many partitions the sensors' topic has, and the leader epoch of the last record of one.
        peek: reads them back.
        clock: in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        identity: str,
        state_of: Callable[[Partition], PartitionState],
        alerts_of: Callable[[Partition], Sequence[AlertState]],
        log_of: Callable[[Partition], tuple[int, int]],
        peek: Peek,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._state_of = state_of
        self._alerts_of = alerts_of
        self._log_of = log_of
        self._peek = peek
        self._clock = clock
        self._last: dict[Partition, _Last] = {}

    def text(self, partition: Partition, offset: int, keep: Keep) -> str | None:
        """What to commit with an offset, as the partition stands; None if a checkpoint could not be kept yet."""
        last = self._last.get(partition)
        if last is None or self._clock() - last.written_s >= EVERY_S:
            state = self._state_of(partition)
            text = encode(self._committed(partition, state))
            if len(text) <= LONGEST:
                self.forget(partition)
                return text
            last = self._kept(partition, offset, state, keep)
        if last is not None:
            alerts = PartitionState({}, self._alerts_of(partition))
            text = encode(self._committed(partition, alerts, last.pointer))
            if len(text) <= LONGEST:
                return text
            if last.pointer.at != offset:
                last = self._kept(partition, offset, self._state_of(partition), keep)
        return None if last is None else encode(self._committed(partition, PartitionState({}, []), last.pointer))

    def forget(self, partition: Partition) -> None:
        """It was given up or is taken up anew: what was kept of it may have come to nothing with its transaction."""
        self._last.pop(partition, None)

    def whole(self, partition: Partition, offset: int, found: Committed, until_s: float) -> PartitionState:
        """The state that was committed with an offset; `until_s` as in `worker.kafka.questions`.

        Raises:
            NoAnswerError: the broker did not tell.
        """
        pointer = found.checkpoint
        if pointer is None:
            return found.state
        topic = self._settings.topics.worker_state
        record = self._peek.first(topic, pointer.number, pointer.offset, until_s)
        is_it = record is not None and record.offset() == pointer.offset and record.key() == self._key(partition)
        try:
            kept = unpack(record.value() if record is not None and is_it else b"")
        except ContractError as error:
            log.warning(
                "the checkpoint cannot be read; windows start warming, and alerts that only it had get no closing",
                partition=partition[1], at=f"{topic}/{pointer.number}, offset {pointer.offset}", why=str(error),
            )  # fmt: skip
            return PartitionState({}, found.state.alerts)
        is_now = pointer.at == offset
        alerts = found.state.alerts or kept.state.alerts if is_now else found.state.alerts
        return PartitionState(kept.state.windows, alerts, None if is_now else pointer.at, kept.state.reached)

    def _kept(self, partition: Partition, offset: int, state: PartitionState, keep: Keep) -> _Last | None:
        place = keep(self._key(partition), pack(self._committed(partition, state)))
        if place is None:
            return None
        last = _Last(Pointer(*place, at=offset), self._clock())
        self._last[partition] = last
        return last

    def _committed(self, partition: Partition, state: PartitionState, pointer: Pointer | None = None) -> Committed:
        partitions, epoch = self._log_of(partition)
        return Committed(self._identity, partitions, state, pointer, epoch)

    def _key(self, partition: Partition) -> bytes:
        topic, number = partition
        return f"{self._settings.kafka.group_id}/{topic}/{number}".encode()
