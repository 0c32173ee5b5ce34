"""The output side, exactly once: outputs, dead letters and offsets in one transaction a commit.

    publish ─► publish ─► tick: commit begins ─► the next polls go through the stages ─► publish: waits for the commit

Readers of committed records see all that a scan caused, once, or nothing of it. When a transaction comes to nothing,
memory is ahead of what is committed: everything is dropped and taken up anew, as after a restart.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, TopicPartition

from worker import logs
from worker.errors import DeliveryError
from worker.kafka.checkpoints import StateText
from worker.kafka.commits import Commits, Made
from worker.kafka.outputs import can_be_cut, cut, refused
from worker.kafka.rewind import Resume
from worker.kafka.source import Source
from worker.kafka.transactional_producer import TransactionalProducer, TransactionError
from worker.metrics import Metrics
from worker.records import Outgoing, Partition, Processed
from worker.settings import Settings

log = logs.get(__name__)

QUIET_COMMIT_S = 0.02
"""From a poll to its commit where little is waiting: readers wait for the commit, and it costs some 6 ms."""

_BUSY_RECORDS = 500
"""Of a transaction, taken in and put out together, from which on it may become larger yet."""

_JOIN_S = 1.0
_FAILURES = 5
"""Producers given up in a row, without a commit between, after which the worker ends."""


class ExactlyOnceSink:
    """Publishes outputs in transactions that carry the input's offsets.

    Args:
        settings: of the worker.
        source: whose offsets are committed, and which takes partitions up anew after an abort.
        metrics: told of commits.

    Attributes:
        state_text: the state to commit with a partition's offset, as it stands; may keep a checkpoint first.
    """

    def __init__(self, settings: Settings, source: Source, metrics: Metrics) -> None:
        self._settings = settings
        self._topics: Mapping[str, str] = settings.topics.model_dump()
        self._most_s = settings.commit_interval_ms / 1000
        self._source = source
        self._metrics = metrics
        self._producer = TransactionalProducer(settings.kafka, self._topics.values())
        self._has_joined = False
        self._failures = 0
        self._void: str | None = None
        self._join_after_s = 0.0
        self._refused: DeliveryError | None = None
        self._to_cut: set[tuple[str, ...]] = set()
        self._made = Made()
        self._commits = Commits()
        self._since_s = 0.0
        self.state_text: StateText = lambda *_: ""
        source.offsets.on_withheld = self._end_forgotten

    @property
    def outstanding(self) -> int:
        """Outputs not yet committed."""
        return self._made.outputs + self._commits.outputs

    def join(self, should_stop: Callable[[], bool]) -> None:
        """Fence whoever had this slot before, and wait until the broker has ended its transaction.

        Raises:
            DeliveryError: the broker does not let this producer in.
        """
        while not self._has_joined and not should_stop():
            self._try_to_join()

    def begin(self, resumes: Mapping[Partition, Resume]) -> None:
        """Commit where fresh partitions begin, so that a restart before the first record begins there too."""
        fresh = {partition: one.live_from for partition, one in resumes.items() if one.is_fresh}
        self._made.reached.update(fresh)
        self._since_s = time.monotonic()

    def publish(self, processed: Processed, polled_at: float) -> None:
        """Send a poll's outputs; `polled_at` by `time.monotonic`.

        Raises:
            DeliveryError: the worker cannot go on.
        """
        self._settle_or_give_up()
        if self._void is not None:
            return  # what it was made of is read again
        if not self._made.reached:
            self._since_s = polled_at
        if self._producer.is_suspect and not self._producer.is_open:
            self._void = "a broker was lost: the producer is replaced before its next transaction"
            return
        try:
            if not self._producer.is_open:
                self._producer.begin()
            for out in processed.outgoing:
                self._send(out)
        except TransactionError as error:
            self._give_up(error)
            return
        self._made.add(processed, polled_at)

    def tick(self) -> None:
        """Begin to commit if it is time, and mend what failed; cheap, for every turn of the loop.

        Raises:
            DeliveryError: the worker cannot go on.
        """
        if self._void is not None:
            self._mend()
            return
        if self._commits.is_under_way:
            return
        try:
            self._settle()
            self._producer.poll()
            if self._made.reached and time.monotonic() - self._since_s >= self._wait_s():
                self._begin_commit()
        except TransactionError as error:
            self._give_up(error)

    def release(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        """Partitions go to another worker: commit what was theirs, unless they are lost already."""
        self._settle_or_give_up()
        theirs = [partition for partition in partitions if partition in self._made.reached]
        if theirs and self._void is None:
            try:
                if lost:
                    self._void = "partitions were lost within a transaction"
                else:
                    self._commit()
            except TransactionError as error:
                self._give_up(error)
        for partition in partitions:
            self._made.reached.pop(partition, None)

    def close(self, budget_s: float) -> bool:
        """Commit what is under way; says whether that was done. The budget is the client's own.

        What a void transaction was made of is not under way: the next owner reads it, as it does what was never read.
        One may become so here, when the group has changed meanwhile.
        """
        del budget_s
        is_done = True
        try:
            self._settle()
            if self._void is None and self._made.reached:
                self._commit()
        except TransactionError as error:
            is_done = error.remedy == "abort"
            log.warning("not committed; its records will be read again", why=str(error))
        if self._has_joined and self._producer.is_open:
            with suppress(TransactionError):
                self._producer.abort()  # left open, it would keep readers waiting until the broker ends it
        self._commits.close()
        return is_done

    def _send(self, out: Outgoing) -> None:
        topic = self._topics[out.destination]
        origin = _origin(out) if out.destination == "dead_letters" else ()
        if origin in self._to_cut:
            out = cut(out)

        def on_refused(error: KafkaError) -> None:
            if can_be_cut(out, error):
                self._to_cut.add(origin)  # once it has come again, for this transaction is void
            else:
                self._refused = self._refused or refused(topic, out, error)

        self._producer.produce(topic, out.key, out.value, list(out.headers.items()) or None, on_refused)

    def _wait_s(self) -> float:
        """How long what was taken in may wait for company."""
        return self._most_s if self._made.records >= _BUSY_RECORDS else min(QUIET_COMMIT_S, self._most_s)

    def _commit(self) -> None:
        self._begin_commit()
        self._settle()

    def _begin_commit(self) -> None:
        """Commit what was made so far; the next polls may go through the stages meanwhile, but send nothing."""
        self._settle()
        if self._producer.is_suspect:
            raise TransactionError("replace", "a broker was lost: a commit might hang")
        if not self._producer.is_open:
            self._producer.begin()
        offsets = [self._position(partition, offset) for partition, offset in self._made.reached.items()]
        group = self._source.client.consumer_group_metadata()
        self._commits.begin(self._producer, self._made, offsets, group)
        self._made = Made()

    def _settle(self) -> None:
        """Wait for the commit that is under way, if any."""
        done = self._commits.settle()
        if done is None:
            return
        ended_s = done.ended_s.result()
        self._metrics.commit.observe(ended_s - done.began_s)
        for polled_at, outputs in done.made.polls:
            times_ms = [out.event_time_ms for out in outputs if out.event_time_ms is not None]
            self._metrics.published(polled_at, times_ms, at=ended_s)
        self._failures = 0
        self._to_cut.clear()

    def _settle_or_give_up(self) -> None:
        try:
            self._settle()
        except TransactionError as error:
            self._give_up(error)

    def _position(self, partition: Partition, offset: int) -> TopicPartition:
        text = self.state_text(partition, offset, self._keep)
        if text is None:  # an offset without its state would start all its windows warming
            raise TransactionError("abort", f"the state of partition {partition[1]} could not be kept")
        return TopicPartition(*partition, offset, text)

    def _keep(self, key: bytes, value: bytes) -> tuple[int, int]:
        return self._producer.place(self._topics["worker_state"], key, value)

    def _give_up(self, error: TransactionError) -> None:
        """What was made since the last commit is void. Nothing is mended here: this may be a callback of the client."""
        self._failures += 1
        log.warning("transaction void", why=str(error), remedy=error.remedy, failures=self._failures)
        if self._refused is not None:
            raise self._refused
        if self._failures > _FAILURES:
            raise DeliveryError(f"expected a commit after {_FAILURES} failures, got {error}")
        self._void = str(error)
        self._made = Made()
        if error.remedy == "replace":
            self._replace(error)

    def _mend(self) -> None:
        """Abort or join anew, then take everything up from what is committed."""
        self._source.suspend()
        self._made = Made()
        try:
            if self._has_joined and self._producer.is_open:
                self._producer.abort()
            elif self._has_joined and self._producer.is_suspect:
                self._replace(TransactionError("replace", self._void or ""))
            elif not self._has_joined and time.monotonic() >= self._join_after_s:
                self._try_to_join()
        except TransactionError as error:
            log.warning("abort failed", why=str(error))
            self._replace(error)
        if self._has_joined and not self._producer.is_suspect and self._source.recover():
            self._void = None

    def _replace(self, why: TransactionError) -> None:
        if why.is_fenced:
            # By another worker in this slot, perhaps. The group will tell; to join at once would throw that one out.
            self._join_after_s = time.monotonic() + self._settings.kafka.session_timeout_ms / 1000 / 2
        self._producer.abandon()
        self._producer = TransactionalProducer(self._settings.kafka, self._topics.values())
        self._has_joined = False

    def _end_forgotten(self) -> None:
        """End what the broker keeps open although it is complete (see `worker.kafka.stable_offsets`).

        It was to be committed, and is now, with a transaction that holds one offset nobody reads.
        """
        if self._producer.is_open or self._commits.is_under_way:
            return
        if self._producer.is_suspect:
            self._replace(TransactionError("replace", "a broker was lost"))
        if not self._has_joined:
            self._try_to_join()
        if not self._has_joined:
            return
        log.warning(
            "ending what the broker may have forgotten to end; its outputs show with the next to their partition"
        )
        try:
            self._producer.begin()
            nothing = TopicPartition(self._topics["worker_state"], 0, 0)
            self._producer.send_offsets([nothing], self._source.nobody)
            self._producer.commit()
        except TransactionError as error:
            self._give_up(error)

    def _try_to_join(self) -> None:
        try:
            self._has_joined = self._producer.join(_JOIN_S)
        except TransactionError as error:
            self._failures += 1
            if self._failures > _FAILURES:
                raise DeliveryError(
                    f"expected to be let in as producer `{self._settings.kafka.producer}`, got {error}"
                ) from None
            log.warning("not let in as a producer; trying another", why=str(error))
            self._replace(error)


def _origin(dead_letter: Outgoing) -> tuple[str, ...]:
    return (*(str(dead_letter.headers.get(name)) for name in ("topic", "partition", "offset")),)
