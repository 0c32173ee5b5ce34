"""The output side, at least once: publish, wait for acknowledgements, then commit what caused them.

A kill between an acknowledgement and the commit repeats those outputs after the restart; alert ids are pure
functions of the input, so readers can tell. Nothing is committed before all that it caused is safe.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from worker import logs
from worker.errors import DeliveryError
from worker.kafka import config
from worker.kafka.checkpoints import StateText
from worker.kafka.config import is_fatal
from worker.kafka.offsets import OffsetLedger, Position, Ticket
from worker.kafka.outputs import can_be_cut, cut, refused
from worker.kafka.rewind import Resume
from worker.kafka.source import Source
from worker.metrics import Metrics
from worker.records import Outgoing, Partition, Processed
from worker.settings import Settings

log = logs.get(__name__)

_RELEASE_BUDGET_S = 5.0
_FEW, _FLUSH_S = 32, 0.001
"""What so few records caused is sent at once, and waited for so long: a caster's predictions are 2 ms sooner."""

_KEEP_S = 1.0
_KEEP_AGAIN_S = 1.0


@dataclass(slots=True)
class _Flight:
    """One poll's outputs under way: its ticket, and what the latency figures need."""

    ticket: Ticket
    polled_at: float
    event_times_ms: list[int]


class AtLeastOnceSink:
    """Publishes outputs and commits the offsets of acknowledged ones through the source's consumer.

    Attributes:
        state_text: the state to commit with a partition's offset, as it stands; may keep a checkpoint first.
    """

    def __init__(self, settings: Settings, source: Source, metrics: Metrics) -> None:
        self._topics: Mapping[str, str] = settings.topics.model_dump()
        self._commit_every_s = settings.commit_interval_ms / 1000
        self._source = source
        self._metrics = metrics
        self._ledger = OffsetLedger()
        self._failure: DeliveryError | None = None
        self._reached: dict[Partition, int] = {}
        self._commit_asked_at: float | None = None
        self._next_commit_at = 0.0
        self._keep_after_s = 0.0
        self.state_text: StateText = lambda *_: ""
        self._producer = config.make(Producer, config.producer(settings.kafka, self._on_error))
        source.on_committed = self._on_committed

    @property
    def outstanding(self) -> int:
        """Outputs published and not yet acknowledged."""
        return self._ledger.outstanding

    def join(self, should_stop: Callable[[], bool]) -> None:
        """Nobody has to be fenced."""

    def begin(self, resumes: Mapping[Partition, Resume]) -> None:
        """Commit where fresh partitions begin, so that a restart before the first record begins there too."""
        self._reached.update({partition: one.live_from for partition, one in resumes.items() if one.is_fresh})

    def publish(self, processed: Processed, polled_at: float) -> None:
        """Send a poll's outputs; `polled_at` by `time.monotonic`.

        Raises:
            DeliveryError: an output was refused for good.
        """
        outgoing = processed.outgoing
        event_times = [out.event_time_ms for out in outgoing if out.event_time_ms is not None]
        flight = _Flight(self._ledger.open(len(outgoing)), polled_at, event_times)
        self._reached.update(processed.next_offsets)
        for out in outgoing:
            self._send(out, flight)
        if outgoing and processed.records <= _FEW:  # the client's linger is for many
            self._producer.flush(_FLUSH_S)

    def tick(self) -> None:
        """Take acknowledgements, and commit if it is time; cheap, for every turn of the loop.

        Raises:
            DeliveryError: an output was refused for good.
        """
        self._producer.poll(0)
        if self._failure is not None:
            raise self._failure
        now = time.monotonic()
        if now < self._next_commit_at or self._commit_asked_at is not None:
            return
        self._mark()
        self._next_commit_at = now + self._commit_every_s
        positions = self._ledger.committable()
        if not positions:
            return
        self._commit_asked_at = now
        try:
            self._source.client.commit(offsets=_as_offsets(positions), asynchronous=True)
        except KafkaException as error:
            self._on_committed(error.args[0], [])

    def release(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        """Partitions go to another worker: finish and commit what was theirs, unless they are lost already."""
        if not lost:
            self.drain(_RELEASE_BUDGET_S)
            self._mark()
            self._commit_now(partitions)
        for partition in partitions:
            self._reached.pop(partition, None)
        self._ledger.forget(partitions)

    def drain(self, budget_s: float) -> bool:
        """Wait until every output is acknowledged; says whether that came true within the budget."""
        self._producer.flush(budget_s)
        return self._ledger.outstanding == 0

    def close(self, budget_s: float) -> bool:
        """Drain and commit; says whether all of it was done within the budget."""
        drained = self.drain(budget_s)
        self._keep_after_s = 0.0
        self._mark()
        return self._commit_now(list(self._ledger.committable())) and drained and not self._reached

    def _mark(self) -> None:
        if not self._reached or time.monotonic() < self._keep_after_s:
            return
        texts = {one: self.state_text(one, offset, self._keep) for one, offset in self._reached.items()}
        marked = {one: Position(self._reached.pop(one), text) for one, text in texts.items() if text is not None}
        self._ledger.mark(marked)
        if self._reached:
            self._keep_after_s = time.monotonic() + _KEEP_AGAIN_S

    def _keep(self, key: bytes, value: bytes) -> tuple[int, int] | None:
        """Write a checkpoint and wait for the broker; None if it does not answer."""
        placed: list[tuple[int, int]] = []

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None:
                placed.append((message.partition() or 0, message.offset() or 0))

        topic = self._topics["worker_state"]
        try:
            self._producer.produce(topic, value, key, on_delivery=on_delivery)
        except (BufferError, KafkaException) as error:
            log.warning("checkpoint not kept yet, will try again", why=str(error))
            return None
        until_s = time.monotonic() + _KEEP_S
        while not placed and time.monotonic() < until_s:
            self._producer.poll(0.02)
        return placed[0] if placed else None

    def _commit_now(self, partitions: Sequence[Partition]) -> bool:
        committable = self._ledger.committable()
        positions = {partition: committable[partition] for partition in partitions if partition in committable}
        if not positions:
            return True
        try:
            with self._metrics.commit.time():
                answers = self._source.client.commit(offsets=_as_offsets(positions), asynchronous=False)
        except KafkaException as error:
            log.warning("offsets not committed; their records will be read again", error=error.args[0].str())
            return False
        self._note(answers)
        return True

    def _send(self, out: Outgoing, flight: _Flight) -> None:
        topic = self._topics[out.destination]

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self._acknowledged(flight)
            elif can_be_cut(out, error):
                self._send(cut(out), flight)
            else:
                self._failure = self._failure or refused(topic, out, error)

        try:
            self._produce(topic, out, on_delivery)
        except KafkaException as error:
            on_delivery(error.args[0], None)  # type: ignore[arg-type] # refused here instead of by the broker

    def _produce(self, topic: str, out: Outgoing, on_delivery: Callable[[KafkaError | None, Message], None]) -> None:
        headers: Any = list(out.headers.items())
        while True:
            try:
                self._producer.produce(topic, out.value, out.key, on_delivery=on_delivery, headers=headers)
            except BufferError:  # the queue is full: the broker is slower than we are
                self._producer.poll(0.1)
                if self._failure is not None:
                    raise self._failure from None
            else:
                return

    def _acknowledged(self, flight: _Flight) -> None:
        if not flight.ticket.acknowledge():
            return
        self._metrics.published(flight.polled_at, flight.event_times_ms)

    def _on_committed(self, error: KafkaError | None, answers: Sequence[TopicPartition]) -> None:
        if self._commit_asked_at is not None:
            self._metrics.commit.observe(time.monotonic() - self._commit_asked_at)
            self._commit_asked_at = None
        if error is not None:
            log.warning("offsets not committed yet, will try again", error=error.str())
        self._note(answers)

    def _note(self, answers: Sequence[TopicPartition] | None) -> None:
        for tp in answers or ():
            if tp.error is None and tp.offset >= 0:
                self._ledger.committed((tp.topic, tp.partition), tp.offset)

    def _on_error(self, error: KafkaError) -> None:
        if is_fatal(error):
            self._failure = self._failure or DeliveryError(f"expected a working producer, got {error.str()}")
        else:
            log.debug("kafka", error=error.name(), detail=error.str())  # librdkafka logs it itself


def _as_offsets(positions: Mapping[Partition, Position]) -> list[TopicPartition]:
    return [
        TopicPartition(topic, number, position.offset, position.state)
        for (topic, number), position in positions.items()
    ]
