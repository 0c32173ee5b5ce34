"""The input side: start offsets, records in log order.

The group decides which partitions are ours (`worker.kafka.membership`), and `worker.kafka.rewind` where each is taken
up; offsets come from our own bookkeeping, never from the client's position.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from worker import logs
from worker.errors import DeliveryError
from worker.kafka import config
from worker.kafka.membership import Membership
from worker.kafka.peek import Peek
from worker.kafka.questions import NoAnswerError, bounds_of, committed_of, partitions_of
from worker.kafka.refills import Refills
from worker.kafka.rewind import Resume, Rewind
from worker.kafka.stable_offsets import StableOffsets
from worker.metrics import Metrics
from worker.records import Origin, Partition, Polled, RawRecord
from worker.settings import Settings

log = logs.get(__name__)

_PATIENCE_S = 30.0
_RECOVER_PATIENCE_S = 1.0
_MARGIN_S = 2.0
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
        rewind: decides where partitions are taken up; to be set before `subscribe`.
        partitions: of the topic, as last seen.
        peek: reads single records of any topic.
        offsets: the group's, as committed.
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
        self._epochs: dict[Partition, int] = {}
        self._refills = Refills(metrics)
        self._taken_up: Counter[Partition] = Counter()
        self._is_suspended = False
        self.partitions = 0
        self.on_assigned: Callable[[Mapping[Partition, Resume]], None] = lambda _: None
        self.on_released: Callable[[Sequence[Partition], bool], None] = lambda *_: None
        self.on_committed: Callable[[KafkaError | None, Sequence[TopicPartition]], None] = lambda *_: None
        self._member = Membership(settings, self._on_commit_answer)
        self._member.on_assigned = self._assign
        self._member.on_revoked = lambda gone: self._release(gone, lost=False)
        self._member.on_lost = lambda gone: self._release(gone, lost=True)
        self.peek = Peek(settings.kafka)
        self._asker = config.make(Consumer, config.stranger(settings.kafka, self._member.on_error))
        patience_s = min(config.transaction_timeout_s(settings.kafka) + _MARGIN_S, _PATIENCE_S / 2)
        self.offsets = StableOffsets(partial(committed_of, self._asker), patience_s)

    @property
    def client(self) -> Consumer:
        """The consumer, for the sink that commits through it."""
        return self._member.client

    @property
    def nobody(self) -> Any:
        """What a transaction commits offsets by that belongs to no member of the group."""
        return self._asker.consumer_group_metadata()

    @property
    def has_joined(self) -> bool:
        """Whether the group has answered."""
        return self._member.has_joined

    @property
    def is_refilling(self) -> bool:
        """Whether windows of any partition are not yet whole."""
        return bool(self._refills)

    def subscribe(self) -> None:
        """Join the group."""
        self._member.join()

    def poll(self, limit: int, wait_s: float, company_s: float) -> Polled:
        """The next records, at most `limit`, in log order per partition.

        Returns as soon as there is one, after `company_s` more for others to join it; empty after `wait_s`.

        Raises:
            DeliveryError: the group threw us out, the topic vanished, or the client cannot go on.
        """
        messages: list[Any] = []
        company: list[Any] = []
        taken_up = self._taken_up
        self._member.turned()
        if self._member.is_void:
            self._give_up(list(self._next), lost=True)
            self._member.renew()
        try:
            messages += self.client.consume(1, wait_s)
            if messages:
                taken_up = self._taken_up.copy()
                company += self.client.consume(limit - 1, company_s)
        except KafkaException as error:
            self._member.on_error(error.args[0])  # what was taken before it stays taken, or it would be committed past
        self._member.raise_failure()
        # Taken away and given back meanwhile: it is read again, from where its windows begin.
        stale = {partition for partition, times in self._taken_up.items() if taken_up[partition] != times}
        messages = [message for message in messages if _partition(message) not in stale]
        out_of_range: list[TopicPartition] = []
        records = self._records(messages + company, out_of_range)
        self._member.raise_failure()
        for partition in out_of_range:
            records = [one for one in records if one.origin.partition != (partition.topic, partition.partition)]
            self._start_again(partition)
        return self._refills.split(records, self._next)

    def look_after_group(self) -> None:
        """See to it that every partition is somebody's; for now and then."""
        if not self._is_suspended:
            self._member.look_after(self.partitions, has_any=bool(self._next))

    def hand_over(self, within_s: float) -> None:
        """Give the partitions to the other workers at once, if there are any; everything must be committed before."""
        if self._held():
            self._member.hand_over(self.partitions, within_s)

    def log_of(self, partition: Partition) -> tuple[int, int]:
        """How many partitions the topic has, as last seen, and the leader epoch of the last record of one; -1: none."""
        return self.partitions, self._epochs[partition]

    def observe_lag(self) -> None:
        """Refresh the lag of every partition from what the client has seen; asks nobody."""
        for (topic, partition), next_offset in self._next.items():
            _, high = self.client.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            self._metrics.lag.labels(str(partition)).set(max(0, high - next_offset))

    def close(self) -> None:
        """Leave the group."""
        self._member.leave()
        self._asker.close()
        self.peek.close()

    def _records(self, messages: Sequence[Any], out_of_range: list[TopicPartition]) -> list[RawRecord]:
        """Note how far they reach; those of a partition that was taken away while the poll was under way are none."""
        records: list[RawRecord] = []
        owned = {number: (topic, number) for topic, number in self._next}
        last: dict[int, Any] = {}
        for message in messages:
            error = message.error()
            if error is not None:
                self._on_message_error(error, message, out_of_range)
                continue
            number = message.partition()
            partition = owned.get(number)
            if partition is not None:
                last[number] = message
                records.append(RawRecord(Origin(partition, message.offset()), message.key(), message.value()))
        for number, message in last.items():
            epoch = message.leader_epoch()
            self._next[owned[number]] = message.offset() + 1
            self._epochs[owned[number]] = -1 if epoch is None else epoch
        return records

    def _assign(self, assigned: list[TopicPartition]) -> None:
        self._metrics.rebalances.inc()
        if self._is_suspended:
            self.client.incremental_assign(assigned)
            self.client.pause(assigned)
            return
        resumes = self._resumes(assigned, _PATIENCE_S)
        self._take_up(resumes)
        log.info(
            "partitions assigned", partitions={number: resume.live_from for (_, number), resume in resumes.items()}
        )

    def _resumes(self, partitions: list[TopicPartition], patience_s: float) -> dict[Partition, Resume]:
        """How each partition is to be taken up; asks the broker.

        Not by the member itself: its questions wait behind its request to join. And a call of it that waits, within a
        callback of its own, leaves confluent-kafka without the state of the call around it: the next callback of that
        same `consume` ends the process with `CallState_get: Assertion` (seen).
        """
        until_s = time.monotonic() + patience_s
        count = partitions_of(self._asker, self._topic, until_s)
        every = [TopicPartition(self._topic, number) for number in range(count)]
        self.rewind.require_partitions(self.peek.committed(every, until_s), count)
        self.partitions = count
        return {
            (tp.topic, tp.partition): self.rewind.resume(tp, *bounds_of(self._asker, tp, until_s), until_s)
            for tp in self.offsets.of(partitions, until_s)
        }

    def _take_up(self, resumes: Mapping[Partition, Resume]) -> None:
        """Read partitions from where their windows begin."""
        self.client.incremental_assign(
            [TopicPartition(topic, number, resume.read_from) for (topic, number), resume in resumes.items()]
        )
        for partition, resume in resumes.items():
            self._taken_up[partition] += 1
            self._next[partition] = resume.read_from
            self._epochs[partition] = resume.epoch
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
            self._member.raise_failure(is_last_word=True)
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
        partitions = [(tp.topic, tp.partition) for tp in gone]
        self._metrics.rebalances.inc()
        if not self._member.is_leaving:
            log.info("partitions lost" if lost else "partitions revoked", partitions=[p for _, p in partitions])
        self._give_up(partitions, lost=lost)

    def _on_message_error(self, error: KafkaError, message: Any, out_of_range: list[TopicPartition]) -> None:
        topic = message.topic()  # None: it is of the client
        if topic is not None and (self._is_suspended or topic != self._topic):
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            out_of_range.append(TopicPartition(topic, message.partition()))
        elif error.code() in _HOPELESS:
            self._member.fail(DeliveryError(f"expected to read {self._topic}, got {error.str()}"))
        else:
            self._member.on_error(error)

    def _on_commit_answer(self, error: KafkaError | None, answers: list[TopicPartition]) -> None:
        self.on_committed(error, answers)

    def _start_again(self, partition: TopicPartition) -> None:
        """The log no longer has our offset: take the partition up anew, as if it had just been assigned."""
        self._give_up([(partition.topic, partition.partition)], lost=True)
        try:
            # Not `seek`: a partition whose fetching failed takes none.
            self.client.incremental_unassign([partition])
            self._take_up(self._resumes([partition], _PATIENCE_S))
        except KafkaException as error:
            raise DeliveryError(f"expected to read on in {self._topic}, got {error.args[0].str()}") from None


def _partition(message: Any) -> Partition:
    return message.topic(), message.partition()
