"""The group's committed offsets, and what is done where the broker withholds them.

It does so while a transaction that holds new ones is open. That of a dead worker ends with its time-out; one kind never
ends. The only broker of a transaction, killed between the decision to commit and the markers, sends these again when it
starts. If the controller fences it before it can be reached, its partitions have no leader, count as deleted, and the
transaction as complete without them (seen with Kafka 4.4.0: in 8 of 158 kills of a busy broker). Only the next
transaction of the same producer ends it.
"""

import math
import time
from collections.abc import Callable, Sequence

from confluent_kafka import TopicPartition

from worker import logs
from worker.kafka.questions import NoAnswerError

log = logs.get(__name__)

_TRY_S = 2.0
_FORGET_S = 3 * _TRY_S
_REMEDY = (
    "if it goes on, start a worker with delivery=exactly_once in the kafka.slot that committed last, "
    "or look for it with kafka-transactions.sh find-hanging"
)

Ask = Callable[[Sequence[TopicPartition], float], list[TopicPartition]]
"""`worker.kafka.questions.committed_of`, of a client that is no member and waits for transactions."""


class StableOffsets:
    """For one worker.

    Args:
        ask: the broker; until a moment by `clock`.
        patience_s: after so long something is done. The broker may take ten seconds more to end the transaction of a
            worker that died; what is done then is of no use, and does no harm.
        clock: in seconds.

    Attributes:
        on_withheld: called when they are withheld for longer.
    """

    def __init__(self, ask: Ask, patience_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._patience_s = patience_s
        self._clock = clock
        self._since_s = self._last_s = -math.inf
        self.on_withheld: Callable[[], None] = lambda: None

    def of(self, partitions: Sequence[TopicPartition], until_s: float) -> list[TopicPartition]:
        """The committed offsets; the broker has just answered without waiting for transactions.

        Raises:
            NoAnswerError: it does not tell until then.
        """
        while True:
            asked_s = self._clock()
            if asked_s - self._last_s > _FORGET_S:  # what was withheld then may be past
                self._since_s = asked_s
            try:
                return self._ask(partitions, min(until_s, asked_s + _TRY_S))
            except NoAnswerError:
                self._last_s = self._clock()
                if self._last_s - self._since_s >= self._patience_s:
                    seconds = round(self._last_s - self._since_s, 1)
                    log.warning("a transaction withholds the group's offsets", seconds=seconds, remedy=_REMEDY)
                    self._since_s = self._last_s
                    self.on_withheld()
                if self._last_s >= until_s:
                    raise
