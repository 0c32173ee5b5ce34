"""How long withheld offsets are waited for, and when something is done."""

from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import TopicPartition

from worker.kafka.questions import NoAnswerError
from worker.kafka.stable_offsets import StableOffsets

WHERE = [TopicPartition("t", 0)]
ANSWER = [TopicPartition("t", 0, 7)]


class Broker:
    """Withholds the offsets until a moment, and lets whoever asks wait; keeps when something was done."""

    def __init__(self, until_s: float) -> None:
        self.now_s, self.until_s = 1000.0, 1000.0 + until_s
        self.done_s: list[float] = []
        self.offsets = StableOffsets(self.ask, 12.0, lambda: self.now_s)
        self.offsets.on_withheld = lambda: self.done_s.append(self.now_s - 1000)

    def ask(self, partitions: Sequence[TopicPartition], until_s: float) -> list[TopicPartition]:
        assert list(partitions) == WHERE
        if self.until_s <= max(self.now_s, until_s):
            self.now_s = max(self.now_s, self.until_s)
            return ANSWER
        self.now_s = max(self.now_s + 0.1, until_s)
        raise NoAnswerError("expected offsets, got none")

    def of(self, within_s: float) -> Callable[[], list[TopicPartition]]:
        return lambda: self.offsets.of(WHERE, self.now_s + within_s)


def test_offsets_that_come_in_time_are_waited_for_and_nothing_is_done() -> None:
    broker = Broker(until_s=11)
    assert broker.of(30)() == ANSWER
    assert broker.done_s == []


def test_something_is_done_after_patience_and_again_after_as_long() -> None:
    broker = Broker(until_s=28)
    assert broker.of(60)() == ANSWER
    assert broker.done_s == [12.0, 24.0]


def test_what_is_done_may_bring_them_at_once() -> None:
    broker = Broker(until_s=1e9)
    broker.offsets.on_withheld = lambda: setattr(broker, "until_s", 0.0)
    assert broker.of(30)() == ANSWER
    assert broker.now_s == 1012.0


def test_many_short_tries_are_one_long_one() -> None:
    broker = Broker(until_s=1e9)
    for _ in range(20):
        with pytest.raises(NoAnswerError):
            broker.of(1)()
    assert broker.done_s == [12.0]


def test_a_try_of_long_ago_does_not_count() -> None:
    broker = Broker(until_s=1e9)
    for _ in range(3):
        with pytest.raises(NoAnswerError):
            broker.of(8)()
        broker.now_s += 60
    assert broker.done_s == []
