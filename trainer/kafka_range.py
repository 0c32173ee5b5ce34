"""The trainer's door to Kafka for reading: a stretch of time of a topic, once, without disturbing anybody.

    with TopicRange("127.0.0.1:9092", "casting.sensors", from_ms=..., to_ms=...) as records:
        for partition, value in records: ...

Kafka finds records by *their* timestamps, set when they were published (or appended), while what is wanted are scans by
event time. A scan is published soon after it was measured, so the stretch is widened by a margin on both sides; who
reads it cuts by event time. Records that were published much later (a buffer sent after an outage, a replayed line) are
found only with a margin as long as that.

The end offsets are asked for once, at the start: nothing that comes later is waited for. Timestamps need not rise: one
clock that is ahead, or a second producer, must not end the stretch. So a partition is left early only after
thousands of records in a row of later timestamps. No group is joined and nothing committed. Transactions that were
aborted, or are still open, are not read.
"""

import math
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from trainer.kafka import StreamError, error_text, find_topic, quiet_logger, refused_property

OURS: Mapping[str, object] = {
    # The client asks for a name, though no group is ever joined.
    "group.id": "strandwatch-trainer",
    "client.id": "strandwatch-trainer",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",  # the default would skip in silence what retention took
    "enable.partition.eof": True,
}
_MOST_AT_ONCE = 2000
_WAIT_S = 0.1
_AGAIN_S = 0.1
_LEADER_CHANGED = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}


class TopicRange:
    """The records of a topic between two times, one partition after another, each in log order.

    Args:
        bootstrap: `host:port`, several separated by commas.
        topic: an existing topic.
        from_ms: event time from which scans are wanted, milliseconds since 1970.
        to_ms: event time up to which they are; None for all there is.
        margin_ms: how far a record's timestamp may lie from its scan's event time, milliseconds.
        properties: further librdkafka properties.
        timeout_s: how long the broker may take to answer, and between two records.
        patience: records in a row of later timestamps after which a partition is left.

    Attributes:
        bounds: partition → first offset, and the one after the last.

    Raises:
        UsageError: a property librdkafka does not know.
        StreamError: broker not reached in time, topic missing, no answer about offsets.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        from_ms: int,
        to_ms: int | None,
        margin_ms: int,
        properties: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
        patience: int = 10_000,
    ) -> None:
        self._topic, self._bootstrap, self._timeout_s = topic, bootstrap, timeout_s
        self._reason, self._patience = "", patience
        settings: dict[str, object] = {
            "queued.min.messages": 5000,
            "fetch.queue.backoff.ms": 20,
            **(properties or {}),
            **OURS,
            "bootstrap.servers": bootstrap,
            "error_cb": self._note,
        }
        try:
            self._consumer = Consumer(settings, logger=quiet_logger())
        except (KafkaException, ValueError, TypeError) as error:
            raise refused_property(error) from error
        try:
            partitions = find_topic(self._consumer, topic, bootstrap, timeout_s, lambda: self._reason)
            begins = self._offsets_at(partitions, max(0, from_ms - margin_ms))
            self._beyond_ms = math.inf if to_ms is None else to_ms + margin_ms
            self.bounds = {number: self._within(number, begins[number]) for number in partitions}
        except BaseException:
            self._consumer.close()
            raise

    def _note(self, error: KafkaError) -> None:
        self._reason = error.str()

    def _offsets_at(self, partitions: list[int], timestamp_ms: int) -> dict[int, int | None]:
        """By partition, the first offset of that timestamp or a later one; None if there is none."""
        asked = [TopicPartition(self._topic, number, timestamp_ms) for number in partitions]
        try:
            found = self._consumer.offsets_for_times(asked, timeout=self._timeout_s)
        except KafkaException as error:
            raise self._unanswered(error_text(error)) from error
        for entry in found:
            if entry.error is not None:
                raise self._unanswered(entry.error.str())
        return {entry.partition: entry.offset if entry.offset >= 0 else None for entry in found}

    def _within(self, number: int, begin: int | None) -> tuple[int, int]:
        deadline = time.monotonic() + self._timeout_s
        while True:
            try:
                # Asked as read_committed, the high one is where the first open transaction begins.
                low, high = self._consumer.get_watermark_offsets(
                    TopicPartition(self._topic, number), timeout=self._timeout_s
                )
                break
            except KafkaException as error:
                # A broker that has just become the leader, or no longer is, is asked again.
                if error.args[0].code() not in _LEADER_CHANGED or time.monotonic() >= deadline:
                    raise self._unanswered(error_text(error)) from error
                time.sleep(_AGAIN_S)
        return high if begin is None else min(max(begin, low), high), high

    def _unanswered(self, why: str) -> StreamError:
        return StreamError(
            f"expected the offsets of {self._topic} within {self._timeout_s:g} s, got {self._reason or why} at "
            f"{self._bootstrap}: try again"
        )

    @property
    def total(self) -> int:
        """Offsets that may be read: at least as many as records."""
        return sum(end - begin for begin, end in self.bounds.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def __iter__(self) -> Iterator[tuple[int, bytes | None]]:
        """Partition and value of each record.

        Raises:
            StreamError: nothing came for longer than the time-out, a partition cannot be read, or retention took
                records that were still to be read.
        """
        for number, (begin, end) in self.bounds.items():
            if begin < end:
                yield from self._partition(number, begin, end)

    def _partition(self, number: int, begin: int, end: int) -> Iterator[tuple[int, bytes | None]]:
        self._consumer.assign([TopicPartition(self._topic, number, begin)])
        heard_s, following, beyond = time.monotonic(), begin, 0
        while True:
            messages = self._consumer.consume(_MOST_AT_ONCE, _WAIT_S)
            if not messages and time.monotonic() - heard_s > self._timeout_s:
                raise StreamError(
                    f"expected a record within {self._timeout_s:g} s, got none ({self._reason or 'timed out'}) at "
                    f"{self._topic}, partition {number}, offset {following}: check the broker and read again"
                )
            for message in messages:
                if message.partition() not in (number, -1, None):
                    continue  # what was under way of the partition before
                # Offsets have holes where transactions ended: the last may hold no record, and then the end tells.
                if self._is_end(message, number) or (offset := message.offset()) is None or offset >= end:
                    return
                yield number, message.value()
                following = offset + 1
                beyond = beyond + 1 if message.timestamp()[1] > self._beyond_ms else 0
                if following >= end or beyond >= self._patience:
                    return
            if messages:  # after they were used: what is done with them may take its time
                heard_s = time.monotonic()

    def _is_end(self, message: Message, number: int) -> bool:
        error = message.error()
        if error is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        raise StreamError(
            f"expected records, got {error.str()} at {self._topic}, partition {number}: check the broker, the topic's "
            "retention and the rights to read it, and read again"
        )
