"""A group's committed offsets, asked of the broker ten times a second: they never go back.

watch = OffsetWatch(bootstrap, topics)
watch.look()            # again and again
assert watch.complaints == []
"""

from confluent_kafka import Consumer, KafkaException, TopicPartition
from support.kafka_broker import Topics


class OffsetWatch:
    """Of one group.

    Args:
        bootstrap: of the broker, which may be down now and then.
        topics: whose group, and of which sensors' topic.
        ask_s: how long an answer is waited for.

    Attributes:
        highest: by partition, the last offset that was told; negative for none.
        answers: how often the broker told.
    """

    def __init__(self, bootstrap: str, topics: Topics, ask_s: float = 2.0) -> None:
        self.highest: dict[int, int] = {}
        self.answers = 0
        self._ask_s = ask_s
        self._went_back: list[str] = []
        self._refused = ""
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topics.group_id})
        self._asked = [TopicPartition(topics.sensors, partition) for partition in range(topics.partitions)]

    @property
    def complaints(self) -> list[str]:
        """What was wrong; that nothing was ever told, too: of that no offset can be seen to go back."""
        unseen = [tp.partition for tp in self._asked if tp.partition not in self.highest]
        untold = [f"committed offsets of {unseen} were never told, but: {self._refused}"] if unseen else []
        return [*self._went_back, *untold]

    def look(self) -> None:
        """Ask once."""
        try:
            told = self._consumer.committed(self._asked, timeout=self._ask_s)
        except KafkaException as error:  # the broker may be down: that is the test
            self._refused = str(error)
            return
        for one in told:
            if one.error is not None:
                self._refused = str(one.error)
                continue
            highest = self.highest.get(one.partition, one.offset)
            if one.offset < highest:
                self._went_back.append(f"committed offset of {one.partition}: {one.offset} after {highest}")
            self.highest[one.partition] = one.offset
            self.answers += 1

    def close(self) -> None:
        """End the client."""
        self._consumer.close()
