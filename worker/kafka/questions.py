"""What a consumer asks the broker, again where need be: coordinators load, leaders change, dead transactions last."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from worker.errors import DeliveryError

_ANSWER_S = 5.0
_PATIENCE_S = 30.0
_SHORT_S = 2.0
_AGAIN_S = 0.1

Answer = TypeVar("Answer")


def committed_of(client: Consumer, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
    """What the group has committed: offsets, negative for none, and metadata.

    Raises:
        DeliveryError: the broker did not tell.
    """

    def ask() -> list[TopicPartition]:
        answers = client.committed(list(partitions), timeout=_ANSWER_S)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return list(answers)

    return _until_answered(ask, "the group's committed offsets") if partitions else []


def bounds_of(client: Consumer, partition: TopicPartition) -> tuple[int, int]:
    """The offset of the first record that the log has of a partition, and that after its last.

    Raises:
        DeliveryError: the broker did not tell.
    """

    def ask() -> tuple[int, int] | None:
        return client.get_watermark_offsets(partition, timeout=_ANSWER_S)

    low, high = _until_answered(ask, f"the bounds of {partition.topic}/{partition.partition}")
    return int(low), int(high)


def partitions_of_nobody(admin: AdminClient, group_id: str, topic: str, partitions: int) -> list[int] | None:
    """The partitions of a topic that no member of a settled group has; None where that cannot be told now."""
    try:
        group = admin.describe_consumer_groups([group_id], request_timeout=_SHORT_S)[group_id].result(_SHORT_S)
    except (KafkaException, TimeoutError):
        return None
    if group.state is not ConsumerGroupState.STABLE:
        return None
    had = {tp.partition for member in group.members for tp in member.assignment.topic_partitions if tp.topic == topic}
    return sorted(set(range(partitions)) - had)


def partitions_of(client: Consumer, topic: str) -> int:
    """How many partitions a topic has.

    Raises:
        DeliveryError: the broker did not tell.
    """

    def ask() -> int:
        return len(client.list_topics(topic, timeout=_ANSWER_S).topics[topic].partitions)

    return _until_answered(ask, f"the partitions of {topic}")


def _until_answered(ask: Callable[[], Answer | None], what: str) -> Answer:
    problem = "no answer"
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        try:
            answer = ask()
        except KafkaException as error:
            problem = error.args[0].str()
        else:
            if answer:
                return answer
        time.sleep(_AGAIN_S)
    raise DeliveryError(f"expected {what} within {_PATIENCE_S:g} s, got {problem}")
