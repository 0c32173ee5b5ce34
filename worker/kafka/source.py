"""The input side: membership in the group, start offsets, records in log order.

The group decides which partitions are ours, and `worker.kafka.rewind` where each is taken up; offsets come from our own
bookkeeping, never from the client's position.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from worker import logs
from worker.errors import DeliveryError, StrandwatchError
from worker.kafka import config
from worker.kafka.config import is_fatal
from worker.kafka.questions import (
    NoAnswerError,
    bounds_of,
    committed_of,
    members_of,
    partitions_of,
    partitions_of_nobody,
)
from worker.kafka.refills import Refills
from worker.kafka.rewind import Resume, Rewind
from worker.metrics import Metrics
from worker.records import Origin, Partition, Polled, RawRecord
from worker.settings import Settings

log = logs.get(__name__)

_LEAVE_S = 1.5
_HAND_OVER_S = 3.0
_PATIENCE_S = 30.0
_RECOVER_PATIENCE_S = 1.0
_LOOK_AGAIN_S = 5.0
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
        rewind: decides where partitions are taken up; to be set before `subscribe`.
        partitions: of the topic, as last seen.
        on_assigned: called with how every new partition is taken up.
        on_released: called with partitions about to go (lost=False: outputs may still be committed) or gone.
        on_committed: called with every offset the broker has stored.
    """

    rewind: Rewind

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._topic = settings.topics.sensors
        self._next: dict[Partition, int] = {}
        self._refills = Refills(metrics)
        self._taken_up: Counter[Partition] = Counter()
        self._is_suspended = False
        self._look_at: float | None = None
        self._asking: AdminClient | None = None
        self._failure: StrandwatchError | None = None
        self.partitions = 0
        self.on_assigned: Callable[[Mapping[Partition, Resume]], None] = lambda _: None
        self.on_released: Callable[[Sequence[Partition], bool], None] = lambda *_: None
        self.on_committed: Callable[[KafkaError | None, Sequence[TopicPartition]], None] = lambda *_: None
        self._asker = config.make(Consumer, config.stranger(settings.kafka, self._on_error))
        self.client = config.make(Consumer, config.consumer(settings.kafka, self._on_error, self._on_commit_answer))
        self.has_joined = False
        self._is_leaving = False
        self._is_handed_over = False
        self._topics = [self._topic]
        self._answered = 0

    @property
    def is_refilling(self) -> bool:
        """Whether windows of any partition are not yet whole."""
        return bool(self._refills)

    def subscribe(self) -> None:
        """Join the group."""
        self.client.subscribe(
            self._topics,
            on_assign=self._guarded(self._assign),
            on_revoke=self._guarded(lambda tps: self._release(tps, lost=False)),
            on_lost=self._guarded(lambda tps: self._release(tps, lost=True)),
        )

    def poll(self, limit: int, wait_s: float, company_s: float) -> Polled:
        """The next records, at most `limit`, in log order per partition.

        Returns as soon as there is one, after `company_s` more for others to join it; empty after `wait_s`.

        Raises:
            DeliveryError: the group threw us out, the topic vanished, or the client cannot go on.
        """
        messages: list[Any] = []
        company: list[Any] = []
        taken_up = self._taken_up
        try:
            messages += self.client.consume(1, wait_s)
            if messages:
                taken_up = self._taken_up.copy()
                company += self.client.consume(limit - 1, company_s)
        except KafkaException as error:
            self._on_error(error.args[0])  # what was taken before it stays taken, or it would be committed past
        self._raise_failure()
        # Taken away and given back meanwhile: it is read again, from where its windows begin.
        stale = {partition for partition, times in self._taken_up.items() if taken_up[partition] != times}
        messages = [message for message in messages if _partition(message) not in stale]
        out_of_range: list[TopicPartition] = []
        records = [one for message in messages + company if (one := self._record(message, out_of_range)) is not None]
        self._raise_failure()
        for partition in out_of_range:
            records = [one for one in records if one.origin.partition != (partition.topic, partition.partition)]
            self._start_again(partition)
        return self._refills.split(records, self._next)

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def look_after_group(self) -> None:
        """Join again if partitions belong to nobody; asks the broker once after an assignment, so for now and then.

        A static member that was killed between giving a partition up and joining again gets its old assignment back
        without a rebalance, and what it gave up would wait for the next one.
        """
        if self._look_at is None or time.monotonic() < self._look_at or self._is_suspended:
            return
        nobodys = partitions_of_nobody(self._admin(), self._settings.kafka.group_id, self._topic, self.partitions)
        if nobodys:
            log.warning("partitions of nobody; joining the group again", partitions=nobodys)
            self.client.unsubscribe()
            self.subscribe()
        elif nobodys == [] and not self._next and len(self._topics) == 1:
            # The group may still take what this slot wanted when it handed over for what it wants: only a wish that
            # differs from both makes it think again.
            self._topics = [self._topic, self._settings.topics.worker_state]
            self.subscribe()
        self._look_at = time.monotonic() + _LOOK_AGAIN_S if nobodys or nobodys is None else None

    def _admin(self) -> AdminClient:
        self._asking = self._asking or config.make(AdminClient, config.common(self._settings.kafka, self._on_error))
        return self._asking

    def hand_over(self) -> None:
        """Give all partitions to the other members at once, where there are any; everything must be committed before.

        A static member's partitions are kept for it until its session ends. That is right for one that comes back, and
        silence where others could go on: one that subscribes to another topic has them taken within a rebalance.
        """
        kafka = self._settings.kafka
        others = kafka.group_protocol == "classic" and (members_of(self._admin(), kafka.group_id) or 1) > 1
        if not others or not self._next:
            return
        self._is_leaving = True
        self._topics = [self._settings.topics.worker_state]
        deadline = time.monotonic() + _HAND_OVER_S
        with suppress(KafkaException):
            self.subscribe()
            while not self._is_handed_over and time.monotonic() < deadline:
                self.client.consume(_LEFT_OVER, _QUIET_S)
        log.info("partitions handed over" if self._is_handed_over else "partitions not handed over in time")

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
        self._asker.close()

    def _record(self, message: Any, out_of_range: list[TopicPartition]) -> RawRecord | None:
        error = message.error()
        if error is not None:
            self._on_message_error(error, message, out_of_range)
            return None
        origin = Origin(message.topic(), message.partition(), message.offset())
        if origin.partition not in self._next:
            return None  # taken away while this very poll was under way
        self._next[origin.partition] = origin.offset + 1
        return RawRecord(origin, message.key(), message.value())

    def _assign(self, assigned: list[TopicPartition]) -> None:
        if self._is_leaving:  # taken only to be given back: the client insists on an answer
            self.client.incremental_assign(assigned)
            self._is_handed_over = True
            return
        others = [tp for tp in assigned if tp.topic != self._topic]
        if others:
            self.client.incremental_assign([TopicPartition(tp.topic, tp.partition, OFFSET_END) for tp in others])
            self.client.pause(others)
            assigned = [tp for tp in assigned if tp.topic == self._topic]
        if self._is_suspended:
            self.client.incremental_assign(assigned)
            self.client.pause(assigned)
            self._note_joined()
            return
        resumes = self._resumes(assigned, _PATIENCE_S)
        self._take_up(resumes)
        self._note_joined()
        log.info(
            "partitions assigned", partitions={number: resume.live_from for (_, number), resume in resumes.items()}
        )

    def _note_joined(self) -> None:
        self.has_joined = True
        # Not before the others have noticed what changed: until then what moves is nobody's.
        self._look_at = time.monotonic() + 2 * self._settings.kafka.heartbeat_ms / 1000
        self._metrics.rebalances.inc()

    def _resumes(self, partitions: list[TopicPartition], patience_s: float) -> dict[Partition, Resume]:
        """How each partition is to be taken up; asks the broker."""
        until_s = time.monotonic() + patience_s
        self.partitions = partitions_of(self._asker, self._topic, until_s)
        return {
            (tp.topic, tp.partition): self.rewind.resume(tp, *bounds_of(self._asker, tp, until_s), self.partitions)
            for tp in committed_of(self._asker, partitions, until_s)
        }

    def _take_up(self, resumes: Mapping[Partition, Resume]) -> None:
        """Read partitions from where their windows begin."""
        self.client.incremental_assign(
            [TopicPartition(topic, number, resume.read_from) for (topic, number), resume in resumes.items()]
        )
        for partition, resume in resumes.items():
            self._taken_up[partition] += 1
            self._next[partition] = resume.read_from
            self._refills.begin(partition, resume)
        self.on_assigned(resumes)

    def _held(self) -> list[TopicPartition]:
        return [tp for tp in self.client.assignment() if tp.topic == self._topic]

    def suspend(self) -> None:
        """Forget what was made of all partitions and read no further, but stay in the group, until `recover`."""
        if self._is_suspended:
            return
        self._is_suspended = True
        held = self._held()
        self._give_up([(tp.topic, tp.partition) for tp in held], lost=True)
        self.client.pause(held)

    def recover(self) -> bool:
        """After `suspend`, take all partitions up anew from what is committed; False if the broker does not tell now.

        Raises:
            DeliveryError: the client cannot go on.
        """
        try:
            held = self._held()
            resumes = self._resumes(held, _RECOVER_PATIENCE_S)
            self.client.resume(held)
            self.client.incremental_unassign(held)
            self._is_suspended = False
            self._take_up(resumes)
        except NoAnswerError as error:
            log.warning("not taken up yet", why=str(error))
            return False
        except KafkaException as error:
            self._raise_failure()
            raise DeliveryError(f"expected to read on in {self._topic}, got {error.args[0].str()}") from None
        log.info("partitions taken up anew", partitions=[tp.partition for tp in held])
        return True

    def _give_up(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        for partition in partitions:
            self._next.pop(partition, None)
            self._refills.drop(partition)
            self._taken_up[partition] += 1
            with suppress(KeyError):
                self._metrics.lag.remove(str(partition[1]))
        self.on_released(partitions, lost)

    def _release(self, gone: list[TopicPartition], *, lost: bool) -> None:
        partitions = [(tp.topic, tp.partition) for tp in gone if tp.topic == self._topic]
        self._metrics.rebalances.inc()
        self.has_joined = self.has_joined and not lost
        if not self._is_leaving:
            log.info("partitions lost" if lost else "partitions revoked", partitions=[p for _, p in partitions])
        try:
            self._give_up(partitions, lost=lost)
        finally:  # the client waits for this answer, whatever failed, and would not close without it
            # What could not be taken is not held; to give it back would be an error, and leave the client waiting.
            held = {(tp.topic, tp.partition) for tp in self.client.assignment()}
            self.client.incremental_unassign([tp for tp in gone if (tp.topic, tp.partition) in held])

    def _on_message_error(self, error: KafkaError, message: Any, out_of_range: list[TopicPartition]) -> None:
        topic = message.topic()  # None: it is of the client
        if topic is not None and (self._is_suspended or topic != self._topic):
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            out_of_range.append(TopicPartition(topic, message.partition()))
        elif error.code() in _HOPELESS:
            self._failure = self._failure or DeliveryError(f"expected to read {self._topic}, got {error.str()}")
        else:
            self._on_error(error)

    def _start_again(self, partition: TopicPartition) -> None:
        """The log no longer has our offset: take the partition up anew, as if it had just been assigned."""
        self._give_up([(partition.topic, partition.partition)], lost=True)
        try:
            # Not `seek`: a partition whose fetching failed takes none.
            self.client.incremental_unassign([partition])
            self._take_up(self._resumes([partition], _PATIENCE_S))
        except KafkaException as error:
            raise DeliveryError(f"expected to read on in {self._topic}, got {error.args[0].str()}") from None

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


def _partition(message: Any) -> Partition:
    return message.topic(), message.partition()
