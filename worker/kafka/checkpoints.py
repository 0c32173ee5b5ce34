"""State too long for an offset: a record of the compacted topic `topics.worker_state`, which the offset points to.

    text = checkpoints.text(partition, offset, keep)     # to commit with the offset
    state = checkpoints.whole(partition, offset, decode(text))

Windows are kept every few seconds only: read on from an older table by the same rules, the log gives the same windows.
Alerts do not come of reading alone, so they go with every offset; where even they are too long, a checkpoint does.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, TopicPartition

from models.errors import ContractError
from worker import logs
from worker.kafka import config
from worker.kafka.committed import LONGEST, Committed, Pointer, encode, pack, unpack
from worker.kafka.questions import NoAnswerError
from worker.records import AlertState, Partition, PartitionState
from worker.settings import Settings

log = logs.get(__name__)

EVERY_S = 5.0
"""Between two checkpoints of a partition; so much more is read again after a restart."""

_ANSWER_S = 10.0
_GONE = {KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET}

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
        partitions: of the sensors' topic, as last seen.
        clock: in seconds.
    """

    def __init__(
        self,
        settings: Settings,
        identity: str,
        state_of: Callable[[Partition], PartitionState],
        partitions: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._state_of = state_of
        self._partitions = partitions
        self._clock = clock
        self._last: dict[Partition, _Last] = {}

    def text(self, partition: Partition, offset: int, keep: Keep) -> str | None:
        """What to commit with an offset, as the partition stands; None if a checkpoint could not be kept yet."""
        state = self._state_of(partition)
        last = self._last.get(partition)
        if last is None or self._clock() - last.written_s >= EVERY_S:
            text = encode(Committed(self._identity, self._partitions(), state))
            if len(text) <= LONGEST:
                self.forget(partition)
                return text
            last = self._kept(partition, offset, state, keep)
        if last is not None and last.pointer.at != offset:
            text = self._pointing(last.pointer, state.alerts)
            if len(text) <= LONGEST:
                return text
            last = self._kept(partition, offset, state, keep)
        return None if last is None else self._pointing(last.pointer, [])

    def forget(self, partition: Partition) -> None:
        """It was given up or is taken up anew: what was kept of it may have come to nothing with its transaction."""
        self._last.pop(partition, None)

    def whole(self, partition: Partition, offset: int, found: Committed) -> PartitionState:
        """The state that was committed with an offset.

        Raises:
            NoAnswerError: the broker did not tell.
        """
        pointer = found.checkpoint
        if pointer is None:
            return found.state
        try:
            kept = unpack(self._read(partition, pointer) or b"")
        except ContractError as error:
            log.warning("the checkpoint cannot be read; windows start warming", partition=partition[1], why=str(error))
            return PartitionState({}, found.state.alerts)
        is_now = pointer.at == offset
        alerts = kept.state.alerts if is_now else found.state.alerts
        return PartitionState(kept.state.windows, alerts, None if is_now else pointer.at)

    def _kept(self, partition: Partition, offset: int, state: PartitionState, keep: Keep) -> _Last | None:
        place = keep(self._key(partition), pack(Committed(self._identity, self._partitions(), state)))
        if place is None:
            return None
        last = _Last(Pointer(*place, at=offset), self._clock())
        self._last[partition] = last
        return last

    def _pointing(self, pointer: Pointer, alerts: Sequence[AlertState]) -> str:
        return encode(Committed(self._identity, self._partitions(), PartitionState({}, alerts), pointer))

    def _key(self, partition: Partition) -> bytes:
        topic, number = partition
        return f"{self._settings.kafka.group_id}/{topic}/{number}".encode()

    def _read(self, partition: Partition, pointer: Pointer) -> bytes | None:
        """The record pointed to; None if it is gone.

        It is committed, for what points to it is; so it need not wait for others' open transactions.
        """
        kafka = self._settings.kafka
        consumer = config.make(
            Consumer,
            {**config.stranger(kafka), "isolation.level": "read_uncommitted", "enable.partition.eof": True},
        )
        try:
            consumer.assign([TopicPartition(self._settings.topics.worker_state, pointer.number, pointer.offset)])
            until_s = time.monotonic() + _ANSWER_S
            while time.monotonic() < until_s:
                for message in consumer.consume(1, 0.5):
                    error = message.error()
                    if error is None:
                        is_it = message.offset() == pointer.offset and message.key() == self._key(partition)
                        return message.value() if is_it else None
                    if error.code() in _GONE:
                        return None
        finally:
            consumer.close()
        raise NoAnswerError(
            f"expected the checkpoint at {self._settings.topics.worker_state}/{pointer.number}, offset "
            f"{pointer.offset}, got no answer from the broker"
        )
