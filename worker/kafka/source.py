"""The input side: membership in the group, start offsets, records in log order.

The group decides which partitions are ours; `start_from` where a group without committed offsets begins;
offsets come from our own bookkeeping, never from the client's position.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from worker import logs
from worker.errors import DeliveryError, StartupError, StrandwatchError
from worker.kafka import config
from worker.kafka.config import is_fatal
from worker.metrics import Metrics
from worker.records import Origin, Partition, RawRecord
from worker.settings import Settings

log = logs.get(__name__)

_ANSWER_S = 5.0
_TRIES = 6
_AGAIN_S = 0.1
_LEAVE_S = 1.5
_QUIET_S = 0.05
_LEFT_OVER = 100_000  # records fetched before we left; more than wait in the queue, or `consume` would not wait at all
_TAKEN_OVER = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED}
_HOPELESS = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.INCONSISTENT_GROUP_PROTOCOL,
}


class Source:
    """A consumer of the sensor topic.

    Attributes:
        client: the consumer, for the sink that commits through it.
        on_assigned: called with the start offset of every new partition.
        on_released: called with partitions about to go (lost=False: outputs may still be committed) or gone.
        on_committed: called with every offset the broker has stored.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._topic = settings.topics.sensors
        self._next: dict[Partition, int] = {}
        self._failure: StrandwatchError | None = None
        self.on_assigned: Callable[[Mapping[Partition, int]], None] = lambda _: None
        self.on_released: Callable[[Sequence[Partition], bool], None] = lambda *_: None
        self.on_committed: Callable[[KafkaError | None, Sequence[TopicPartition]], None] = lambda *_: None
        self.client = config.make(Consumer, config.consumer(settings.kafka, self._on_error, self._on_commit_answer))
        self.has_joined = False
        self._is_leaving = False
        self._answered = 0

    def subscribe(self) -> None:
        """Join the group."""
        self.client.subscribe(
            [self._topic],
            on_assign=self._guarded(self._assign),
            on_revoke=self._guarded(lambda tps: self._release(tps, lost=False)),
            on_lost=self._guarded(lambda tps: self._release(tps, lost=True)),
        )

    def poll(self, limit: int, wait_s: float, company_s: float) -> list[RawRecord]:
        """The next records, at most `limit`, in log order per partition.

        Returns as soon as there is one, after `company_s` more for others to join it; empty after `wait_s`.

        Raises:
            DeliveryError: the group threw us out, the topic vanished, or the client cannot go on.
        """
        messages: list[Any] = []
        try:
            messages += self.client.consume(1, wait_s)
            if messages:
                messages += self.client.consume(limit - 1, company_s)
        except KafkaException as error:
            self._on_error(error.args[0])  # what was taken before it stays taken, or it would be committed past
        self._raise_failure()
        try:
            records = [record for message in messages if (record := self._record(message)) is not None]
        except KafkaException as error:
            raise DeliveryError(f"expected to read on in {self._topic}, got {error.args[0].str()}") from None
        self._raise_failure()
        return records

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def observe_lag(self) -> None:
        """Refresh the lag of every partition from what the client has seen; asks nobody."""
        for (topic, partition), next_offset in self._next.items():
            _, high = self.client.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            self._metrics.lag.labels(str(partition)).set(max(0, high - next_offset))

    def close(self) -> None:
        """Leave; a static member keeps its partitions reserved until its session ends.

        Nothing may be assigned or revoked within the client's own close: where an assignment still waits to be
        answered, answering it there hangs for ever with the interpreter's lock held (seen; librdkafka issue 4884).
        So the group is left first, what waits is answered, and only then the client is closed.
        """
        self._is_leaving = True
        deadline = time.monotonic() + _LEAVE_S
        with suppress(KafkaException):
            self.client.unsubscribe()  # from here on nothing more is assigned, but what waits already
            answered = -1
            while answered != self._answered and time.monotonic() < deadline:
                answered = self._answered
                self.client.consume(_LEFT_OVER, _QUIET_S)
        self.client.close()

    def _record(self, message: Any) -> RawRecord | None:
        error = message.error()
        if error is not None:
            self._on_message_error(error, message)
            return None
        origin = Origin(message.topic(), message.partition(), message.offset())
        if origin.partition not in self._next:
            return None  # taken away while this very poll was under way
        self._next[origin.partition] = origin.offset + 1
        return RawRecord(origin, message.key(), message.value())

    def _assign(self, assigned: list[TopicPartition]) -> None:
        if self._is_leaving:  # taken only to be given back: the client insists on an answer
            self.client.incremental_assign(assigned)
            return
        starts = [TopicPartition(tp.topic, tp.partition, self._start(tp)) for tp in self._committed(assigned)]
        self.client.incremental_assign(starts)
        self.has_joined = True
        self._metrics.rebalances.inc()
        log.info("partitions assigned", partitions={tp.partition: tp.offset for tp in starts})
        fresh = {(tp.topic, tp.partition): tp.offset for tp in starts}
        self._next.update(fresh)
        self.on_assigned(fresh)

    def _release(self, gone: list[TopicPartition], *, lost: bool) -> None:
        partitions = [(tp.topic, tp.partition) for tp in gone]
        self._metrics.rebalances.inc()
        self.has_joined = self.has_joined and not lost
        log.info("partitions lost" if lost else "partitions revoked", partitions=[p for _, p in partitions])
        for partition in partitions:
            self._next.pop(partition, None)
            with suppress(KeyError):
                self._metrics.lag.remove(str(partition[1]))
        self.on_released(partitions, lost)
        # What could not be taken is not held; to give it back would be an error, and leave the client waiting.
        held = {(tp.topic, tp.partition) for tp in self.client.assignment()}
        self.client.incremental_unassign([tp for tp in gone if (tp.topic, tp.partition) in held])

    def _committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """What the group has committed; coordinators that are still loading are asked again."""
        problem: object = None
        for _ in range(_TRIES):
            try:
                answers = self.client.committed(partitions, timeout=_ANSWER_S)
            except KafkaException as error:
                problem = error
                continue
            problem = next((tp.error for tp in answers if tp.error is not None), None)
            if problem is None:
                return list(answers)
        raise DeliveryError(f"expected the group's committed offsets, got {problem} from the broker")

    def _start(self, partition: TopicPartition) -> int:
        if partition.offset >= 0:
            return int(partition.offset)
        where = f"{partition.topic}/{partition.partition}"
        low, high = self._watermarks(partition)
        rule = self._settings.start_from
        if rule == "refuse":
            raise StartupError(
                f"expected committed offsets of group `{self._settings.kafka.group_id}`, got none for {where}; "
                "start_from=refuse forbids a start without them: set start_from to latest or earliest once"
            )
        start = low if rule == "earliest" else high
        log.warning("no committed offset", partition=where, start_from=rule, offset=start, low=low, high=high)
        return start

    def _watermarks(self, partition: TopicPartition) -> tuple[int, int]:
        """The log's bounds; a broker that has just become the leader, or no longer is, is asked again."""
        problem: object = "no answer"
        deadline = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline:
            try:
                answer = self.client.get_watermark_offsets(partition, timeout=_ANSWER_S)
            except KafkaException as error:
                problem = error.args[0].str()
                time.sleep(_AGAIN_S)
                continue
            if answer is not None:
                return int(answer[0]), int(answer[1])
        raise DeliveryError(f"expected the bounds of {partition.topic}/{partition.partition}, got {problem}")

    def _on_message_error(self, error: KafkaError, message: Any) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._start_again(TopicPartition(message.topic(), message.partition()))
        elif error.code() in _HOPELESS:
            self._failure = self._failure or DeliveryError(f"expected to read {self._topic}, got {error.str()}")
        else:
            self._on_error(error)

    def _start_again(self, partition: TopicPartition) -> None:
        """The log no longer has our offset: go on at its nearest end, and say what that means."""
        key = (partition.topic, partition.partition)
        wanted = self._next.get(key, 0)
        low, high = self._watermarks(partition)
        start = low if wanted < low else high
        log.error(
            "the log no longer has our offset; records in between are gone and windows start anew",
            partition=partition.partition, wanted=wanted, low=low, high=high, going_on_at=start,
        )  # fmt: skip
        self.on_released([key], True)
        # Not `seek`: a partition whose fetching failed takes none.
        self.client.incremental_unassign([partition])
        self.client.incremental_assign([TopicPartition(partition.topic, partition.partition, start)])
        self._next[key] = start
        self.on_assigned({key: start})

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _TAKEN_OVER or (is_fatal(error) and "fenced" in error.str()):
            self._failure = self._failure or DeliveryError(
                f"expected to be the only `{self._settings.kafka.member}`, got {error.str()}: another worker took this "
                "slot over; give every worker its own kafka.slot"
            )
        elif is_fatal(error):
            self._failure = self._failure or DeliveryError(f"expected a working consumer, got {error.str()}")
        else:
            log.debug("kafka", error=error.name(), detail=error.str())  # librdkafka logs it itself

    def _on_commit_answer(self, error: KafkaError | None, answers: list[TopicPartition]) -> None:
        self.on_committed(error, answers)

    def _fail(self, error: StrandwatchError) -> None:
        """`poll` will raise it; until then the client must not assign by itself what we could not."""
        self._failure = self._failure or error
        with suppress(KafkaException):
            self.client.incremental_assign([])

    def _guarded(self, react: Callable[[list[TopicPartition]], None]) -> Callable[[Any, list[TopicPartition]], None]:
        """Keep an error of a callback for `poll` to raise; the client would lose it."""

        def callback(_: Any, partitions: list[TopicPartition]) -> None:
            self._answered += 1
            try:
                react(partitions)
            except StrandwatchError as error:
                self._fail(error)
            except KafkaException as error:
                self._fail(DeliveryError(f"expected a rebalance, got {error.args[0].str()}"))

        return callback
