"""What a consumer asks the broker, again where need be: coordinators load, leaders change, dead transactions last."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from worker.errors import DeliveryError

_ANSWER_S = 2.0
_AGAIN_S = 0.1

Answer = TypeVar("Answer")


class NoAnswerError(DeliveryError):
    """The broker did not tell in time."""


def committed_of(client: Consumer, partitions: Sequence[TopicPartition], until_s: float) -> list[TopicPartition]:
    """What the group has committed: offsets, negative for none, and metadata.

    Args:
        client: of the group.
        partitions: asked about.
        until_s: by `time.monotonic`, when it gives up; so below.

    Raises:
        NoAnswerError: the broker did not tell.
    """

    def ask() -> list[TopicPartition]:
        answers = client.committed(list(partitions), timeout=_ANSWER_S)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return list(answers)

    return _until_answered(ask, "the group's committed offsets", until_s) if partitions else []


def bounds_of(client: Consumer, partition: TopicPartition, until_s: float) -> tuple[int, int]:
    """The offset of the first record that the log has of a partition, and that after its last.

    Raises:
        NoAnswerError: the broker did not tell.
    """

    def ask() -> tuple[int, int] | None:
        try:
            return client.get_watermark_offsets(partition, timeout=_ANSWER_S)
        except KafkaException:
            client.list_topics(partition.topic, timeout=_ANSWER_S)  # its leader may be another now
            raise

    low, high = _until_answered(ask, f"the bounds of {partition.topic}/{partition.partition}", until_s)
    return int(low), int(high)


def partitions_of(client: Consumer, topic: str, until_s: float) -> int:
    """How many partitions a topic has.

    Raises:
        NoAnswerError: the broker did not tell.
    """

    def ask() -> int:
        return len(client.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions)

    return _until_answered(ask, f"the partitions of {topic}", until_s)


def _until_answered(ask: Callable[[], Answer | None], what: str, until_s: float) -> Answer:
    problem = "no answer"
    while True:
        try:
            answer = ask()
        except KafkaException as error:
            problem = error.args[0].str()
        else:
            if answer:
                return answer
        if time.monotonic() >= until_s:
            raise NoAnswerError(f"expected {what}, got {problem} from the broker")
        time.sleep(_AGAIN_S)
