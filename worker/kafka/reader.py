"""Reading the worker's outputs as any other consumer would; for `worker watch` and `worker demo`."""

from collections.abc import Iterator, Sequence
from typing import Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from worker.errors import StartupError
from worker.kafka import config
from worker.settings import KafkaSettings

_ANSWER_S = 10.0


class Reader:
    """Reads whole topics without a group, so that it disturbs nobody."""

    def __init__(self, kafka: KafkaSettings, topics: Sequence[str], *, from_beginning: bool) -> None:
        """Take every partition of the topics, from the beginning or from now on.

        Raises:
            StartupError: a topic is not there, or the broker does not answer.
        """
        settings = {**config.common(kafka), "group.id": "strandwatch-reader", "enable.auto.commit": False}
        settings |= {"isolation.level": "read_committed", "auto.offset.reset": "earliest"}
        self._consumer = config.make(Consumer, settings)
        try:
            known = self._consumer.list_topics(timeout=_ANSWER_S).topics
        except KafkaException as error:
            raise StartupError(f"expected a broker at {kafka.bootstrap_servers}, got {error.args[0].str()}") from None
        for topic in topics:
            if topic not in known or known[topic].error is not None:
                raise StartupError(f"expected the topic {topic}, got no such topic at {kafka.bootstrap_servers}")
        partitions = [TopicPartition(topic, number) for topic in topics for number in known[topic].partitions]
        for partition in partitions:
            # "Now" is settled here and not at the first fetch, which may be a while after.
            partition.offset = OFFSET_BEGINNING if from_beginning else self._end(partition)
        self._consumer.assign(partitions)

    def _end(self, partition: TopicPartition) -> int:
        return int(self._consumer.get_watermark_offsets(partition, timeout=_ANSWER_S)[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def read(self, wait_s: float, limit: int = 1000) -> Iterator[tuple[str, bytes]]:
        """What has come, as (topic, value); nothing if nothing came within `wait_s`."""
        first = self._consumer.consume(1, wait_s)
        for message in first + (self._consumer.consume(limit - 1, 0) if first else []):
            value = message.value()
            if message.error() is None and value is not None:
                yield str(message.topic()), bytes(value)
