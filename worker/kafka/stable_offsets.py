"""The group's committed offsets, and what is done where the broker withholds them.

It does so while a transaction that holds new ones is open. That of a dead worker ends with its time-out; one kind never
ends. The only broker of a transaction, killed between the decision to commit and the markers, sends these again when it
starts. If the controller fences it before it can be reached, its partitions have no leader, count as deleted, and the
transaction as complete without them (seen with Kafka 4.4.0: in 8 of 158 kills of a busy broker). Only the next
transaction of the same producer ends it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from worker.kafka.questions import NoAnswerError, committed_of

_TRY_S = 2.0


class StableOffsets:
    """For one worker.

    Args:
        client: no member of the group; its answers wait for transactions.
        patience_s: after so long a transaction of a worker that died has ended.

    Attributes:
        on_withheld: called when they are withheld for longer, with what a transaction of no member commits offsets by.
    """

    def __init__(self, client: Consumer, patience_s: float) -> None:
        self._client = client
        self._patience_s = patience_s
        self._since_s: float | None = None
        self.on_withheld: Callable[[Any], None] = lambda _: None

    def of(self, partitions: Sequence[TopicPartition], until_s: float) -> list[TopicPartition]:
        """As `worker.kafka.questions.committed_of`; the broker has just answered without waiting for transactions."""
        while True:
            try:
                answers = committed_of(self._client, partitions, min(until_s, time.monotonic() + _TRY_S))
            except NoAnswerError:
                now_s = time.monotonic()
                if self._since_s is None:
                    self._since_s = now_s
                elif now_s - self._since_s >= self._patience_s:
                    self._since_s = None
                    self.on_withheld(self._client.consumer_group_metadata())
                if now_s >= until_s:
                    raise
            else:
                self._since_s = None
                return answers
