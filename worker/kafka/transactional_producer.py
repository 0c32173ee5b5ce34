"""A producer with transactions that can be given up at any moment, and what its errors ask for.

`abort`: the transaction is void, the producer good. `replace`: the producer is void; the next with its id makes the
broker end what it left open. What was made since the last commit is void after either.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from worker.kafka import config
from worker.kafka.config import is_fatal
from worker.kafka.outputs import is_refused
from worker.kafka.watched import HungError, WatchedCalls
from worker.settings import KafkaSettings

Remedy = Literal["abort", "replace"]

CALL_S = 4.0
"""What a call is given by the client."""

MARGIN_S = 1.0
"""After which it counts as hung: the client's own time-out is ignored by some."""

_OFFSETS = "__consumer_offsets"
_BROKER_LOST = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}


class TransactionError(Exception):
    """A transaction came to nothing.

    Attributes:
        remedy: what it takes to go on.
        is_fenced: whether another producer has the id now, or the broker gave this one up for being silent.
    """

    def __init__(self, remedy: Remedy, why: str, *, is_fenced: bool = False) -> None:
        super().__init__(why)
        self.remedy: Remedy = remedy
        self.is_fenced = is_fenced


class TransactionalProducer:
    """One producer; made anew, never mended.

    Args:
        kafka: where, and by which transactional id.
        topics: it writes to.

    Attributes:
        is_suspect: whether a broker was lost since it was made: a later call may hang for ever (librdkafka issues 5456
            and 5511), so it is replaced before its next transaction.
        is_open: whether a transaction is.
    """

    def __init__(self, kafka: KafkaSettings, topics: Iterable[str]) -> None:
        self._topics = {*topics, _OFFSETS}
        self.is_suspect = False
        self.is_open = False
        self._failed: KafkaError | None = None
        self._client = config.make(Producer, config.transactional_producer(kafka, self._on_error))
        self._calls = WatchedCalls("transactions")

    def join(self, within_s: float) -> bool:
        """Fence whoever had the id before and end its transaction; says whether that was done within the time.

        Not before every partition has a leader: a broker that ends a transaction takes one without for deleted and
        leaves it out, and what was aborted there comes to light with the next commit (seen with Kafka 4.4.0 after a
        kill of its only broker).

        Raises:
            TransactionError: it cannot be done with this producer.
        """
        try:
            if not self._all_led(within_s):
                return False
            self._calls.run(self._client.init_transactions, within_s, within_s=within_s + MARGIN_S)
        except KafkaException as error:
            if error.args[0].retriable() and not is_fatal(error.args[0]):
                return False
            raise self._error(error.args[0]) from None
        except HungError as error:
            raise TransactionError("replace", str(error)) from None
        self._client.poll(0)  # what went wrong while the broker was not there is told now, and past
        self.is_suspect = False
        return True

    def _all_led(self, within_s: float) -> bool:
        try:
            known = self._client.list_topics(timeout=within_s).topics
        except KafkaException:
            return False
        found = [known[topic] for topic in self._topics if topic in known]
        return all(partition.leader >= 0 for topic in found for partition in topic.partitions.values())

    def begin(self) -> None:
        """Begin a transaction.

        Raises:
            TransactionError: it cannot be.
        """
        self._run(self._client.begin_transaction)
        self.is_open = True

    def produce(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Any, on_refused: Callable[[KafkaError], None]
    ) -> None:
        """Send a record in the open transaction; waits where the queue is full.

        Raises:
            TransactionError: the transaction is void.
        """

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is None or error.code() in (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT):
                return
            self._failed = self._failed or error
            if is_refused(error):
                on_refused(error)

        while True:
            try:
                self._client.produce(topic, value, key, on_delivery=on_delivery, headers=headers)
            except BufferError:  # the queue is full: the broker is slower than we are
                self._client.poll(0.1)
                if self.is_suspect:
                    raise TransactionError("replace", "the broker was lost with a full queue") from None
            except KafkaException as error:
                on_delivery(error.args[0], None)  # type: ignore[arg-type] # refused here instead of by the broker
                raise self._error(error.args[0]) from None
            else:
                return

    def place(self, topic: str, key: bytes, value: bytes) -> tuple[int, int]:
        """Send a record in the open transaction and wait; the partition and offset at which it stands.

        Raises:
            TransactionError: the transaction is void.
        """
        placed: list[tuple[int, int]] = []

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is None:
                placed.append((message.partition() or 0, message.offset() or 0))
            else:
                self._failed = self._failed or error

        until_s = time.monotonic() + CALL_S
        try:
            self._client.produce(topic, value, key, on_delivery=on_delivery)
            while not placed and time.monotonic() < until_s and not self.is_suspect:
                self._client.poll(0.05)
                self._raise_failed()
        except KafkaException as error:
            raise self._error(error.args[0]) from None
        except BufferError:
            raise TransactionError("replace", "the queue is full") from None
        if not placed:
            raise TransactionError("replace", f"a record for {topic} was not acknowledged within {CALL_S:g} s")
        return placed[0]

    def poll(self) -> None:
        """Take acknowledgements.

        Raises:
            TransactionError: a record was refused or got lost.
        """
        self._client.poll(0)
        self._raise_failed()

    def _raise_failed(self) -> None:
        if self._failed is not None and self.is_open:
            raise self._error(self._failed)

    def send_offsets(self, offsets: Sequence[TopicPartition], group: Any) -> None:
        """Make offsets of the group part of the open transaction; they are refused if the group has moved on.

        Raises:
            TransactionError: the transaction is void.
        """
        self._run(self._client.send_offsets_to_transaction, list(offsets), group, CALL_S)

    def commit(self) -> None:
        """Commit the open transaction.

        Raises:
            TransactionError: it came to nothing, or what came of it is not known.
        """
        self._run(self._client.commit_transaction, CALL_S)
        self.is_open, self._failed = False, None

    def abort(self) -> None:
        """Abort the open transaction.

        Raises:
            TransactionError: that too failed.
        """
        self._run(self._client.abort_transaction, CALL_S)
        self.is_open, self._failed = False, None

    def abandon(self) -> None:
        """Leave it; the next with its id ends what it left open."""
        self._calls.close()

    def _run(self, function: Callable[..., Any], *arguments: Any) -> None:
        try:
            self._calls.run(function, *arguments, within_s=CALL_S + MARGIN_S)
        except KafkaException as error:
            raise self._error(error.args[0]) from None
        except HungError as error:
            raise TransactionError("replace", str(error)) from None

    def _error(self, error: KafkaError) -> TransactionError:
        """After a time-out nobody knows what became of the transaction: only the next producer's `join` settles it."""
        can_abort = (error.txn_requires_abort() or is_refused(error)) and not is_fatal(error)
        return TransactionError(
            "abort" if can_abort else "replace",
            error.str(),
            is_fenced=is_fatal(error) and "fenced" in error.str().lower(),
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in _BROKER_LOST:
            self.is_suspect = True
