"""Single records, read from where they stand; and by them, whether a log is still the one that was committed."""

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from worker.kafka import config
from worker.kafka.questions import NoAnswerError, bounds_of, committed_of
from worker.settings import KafkaSettings

_WAIT_S = 0.5
_NOTHING = {KafkaError._PARTITION_EOF, KafkaError._AUTO_OFFSET_RESET}


class Peek:
    """For one worker; what it reads need not be committed, for what points to it is."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._client: Consumer | None = None
        self._known: set[tuple[str, int]] = set()

    def first(self, topic: str, number: int, offset: int, until_s: float) -> Any | None:
        """The first record of a partition at an offset or after it; None if there is none.

        `until_s` as in `worker.kafka.questions`, as below.

        Raises:
            NoAnswerError: the broker did not tell.
        """
        client = self._made()
        place = TopicPartition(topic, number, offset)
        if (topic, number) not in self._known:
            bounds_of(client, place, until_s)  # connects to its leader; to fetch alone would do so a second later
            self._known.add((topic, number))
        try:
            client.assign([place])
            while time.monotonic() < until_s:
                for message in client.consume(1, _WAIT_S):
                    error = message.error()
                    if error is None:
                        return message
                    if error.code() in _NOTHING:
                        return None
        except KafkaException as error:
            raise NoAnswerError(f"expected {topic}/{number} at {offset}, got {error.args[0].str()}") from None
        finally:
            client.unassign()  # or it would go on fetching
        raise NoAnswerError(f"expected {topic}/{number} at {offset}, got no answer from the broker")

    def cut(self, topic: str, number: int, low: int, offset: int, epoch: int, until_s: float) -> int | None:
        """Where a log was cut off and written anew below an offset; None if it was not.

        A log loses its tail when a replica that lags becomes the leader, or an old disk is put back. What is written
        afterwards carries a later leader epoch than what was taken in.

        Args:
            topic: of the partition.
            number: of the partition.
            low: offset of the first record that the log has.
            offset: after the last record that was taken in; above `low`.
            epoch: of that record.
            until_s: when it gives up.

        Returns:
            The offset from which on everything is new.

        Raises:
            NoAnswerError: the broker did not tell.
        """

        def is_new(at: int) -> bool:
            record = self.first(topic, number, at, until_s)
            return record is None or record.offset() >= offset or (record.leader_epoch() or 0) > epoch

        if not is_new(offset - 1):
            return None
        known, new = low - 1, offset - 1
        while new - known > 1:
            middle = (known + new) // 2
            known, new = (known, middle) if is_new(middle) else (middle, new)
        return new

    def committed(self, partitions: Sequence[TopicPartition], until_s: float) -> list[TopicPartition]:
        """What the group has committed, transactions under way not waited for: those of others are always.

        Raises:
            NoAnswerError: the broker did not tell.
        """
        return committed_of(self._made(), partitions, until_s)

    def _made(self) -> Consumer:
        self._client = self._client or config.make(Consumer, config.peeking(self._kafka))
        return self._client

    def close(self) -> None:
        """End."""
        if self._client is not None:
            self._client.close()
