"""Commits of transactions on a thread of their own: the next polls go through the stages meanwhile.

commits.begin(producer, made, offsets, group)
...                                             # the producer is the thread's; nothing may be sent
done = commits.settle()
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import TopicPartition

from worker.kafka.transactional_producer import TransactionalProducer
from worker.records import Outgoing, Partition, Processed


@dataclass(slots=True)
class Made:
    """What a transaction is made of.

    Attributes:
        reached: by partition, the offset after the last record taken in.
        polls: when each was polled, by `time.monotonic`, and its outputs.
        records: taken in and put out.
    """

    reached: dict[Partition, int] = field(default_factory=dict)
    polls: list[tuple[float, Sequence[Outgoing]]] = field(default_factory=list)
    records: int = 0

    @property
    def outputs(self) -> int:
        """Put out."""
        return sum(len(outputs) for _, outputs in self.polls)

    def add(self, processed: Processed, polled_at: float) -> None:
        """A poll's outputs were sent."""
        self.reached.update(processed.next_offsets)
        self.polls.append((polled_at, processed.outgoing))
        self.records += processed.records + len(processed.outgoing)


@dataclass(frozen=True, slots=True)
class Commit:
    """One that was begun.

    Attributes:
        made: what is committed.
        began_s: by `time.monotonic`.
        ended_s: likewise, once it is done.
    """

    made: Made
    began_s: float
    ended_s: Future[float]


class Commits:
    """One at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "commit")
        self._commit: Commit | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether the producer is not to be used."""
        return self._commit is not None and not self._commit.ended_s.done()

    @property
    def outputs(self) -> int:
        """Of the one that is not settled."""
        return self._commit.made.outputs if self._commit else 0

    def begin(self, producer: TransactionalProducer, made: Made, offsets: Sequence[TopicPartition], group: Any) -> None:
        """Commit the producer's transaction with these offsets of the group; the last is settled."""
        ended_s = self._thread.submit(_commit, producer, offsets, group)
        self._commit = Commit(made, time.monotonic(), ended_s)

    def settle(self) -> Commit | None:
        """Wait for the one that was begun; None if there is none that is not settled.

        Raises:
            TransactionError: it came to nothing, or what came of it is not known.
        """
        commit, self._commit = self._commit, None
        if commit is not None:
            commit.ended_s.result()
        return commit

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


def _commit(producer: TransactionalProducer, offsets: Sequence[TopicPartition], group: Any) -> float:
    producer.send_offsets(offsets, group)
    producer.commit()
    return time.monotonic()
