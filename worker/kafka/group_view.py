"""The group as its coordinator has it: how many members, and which partitions nobody has."""

from typing import Any

from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient

from worker.kafka import config
from worker.settings import KafkaSettings

_NEVER_S = 3600.0
"""librdkafka 2.16 may end the process by an assertion (`rd_kafka_enq_once_del_source_return`) where the time of a
question of its admin client is over: seen with 0.1 s, and once after a broker was killed, probably with 2 s. So a
question is asked once, without such a time, and its answer taken when it is there."""


class GroupView:
    """Of one group.

    Args:
        kafka: whose group.
        on_error: for the client's errors.
    """

    def __init__(self, kafka: KafkaSettings, on_error: config.OnError) -> None:
        self._kafka = kafka
        self._on_error = on_error
        self._admin: AdminClient | None = None
        self._asked: Any = None

    def ask(self) -> None:
        """Ask, unless an answer is still to come; `partitions_of_nobody` without a time takes it."""
        if self._admin is None:
            self._admin = config.make(AdminClient, config.common(self._kafka, self._on_error))
        if self._asked is not None and self._asked.done():
            self._asked = None  # an answer nobody took is of the past
        if self._asked is None:
            group_id = self._kafka.group_id
            self._asked = self._admin.describe_consumer_groups([group_id], request_timeout=_NEVER_S)[group_id]

    def members(self, within_s: float) -> int | None:
        """How many there are; None where that cannot be told in time."""
        group = self._group(within_s)
        return None if group is None else len(group.members)

    def partitions_of_nobody(
        self, topic: str, partitions: int, *, but: str | None = None, within_s: float | None = None
    ) -> list[int] | None:
        """The partitions of a topic that no member of a settled group has; None where that cannot be told in time.

        Args:
            topic: whose.
            partitions: of the topic.
            but: a static member that does not count.
            within_s: how long to wait for an answer; None takes that to the last `ask`, if it is there.
        """
        group = self._taken(0.0) if within_s is None else self._group(within_s)
        if group is None or group.state is not ConsumerGroupState.STABLE:
            return None
        others = [member for member in group.members if but is None or member.group_instance_id != but]
        had = {tp.partition for one in others for tp in one.assignment.topic_partitions if tp.topic == topic}
        return sorted(set(range(partitions)) - had)

    def _group(self, within_s: float) -> Any:
        self.ask()
        return self._taken(within_s)

    def _taken(self, within_s: float) -> Any:
        if self._asked is None:
            return None
        try:
            answer = self._asked.result(max(0.0, within_s))
        except TimeoutError:
            return None
        except KafkaException:
            answer = None
        self._asked = None
        return answer
