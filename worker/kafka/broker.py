"""Reaching the broker before anything begins."""

from collections.abc import Callable, Iterable

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient

from worker import logs
from worker.errors import StartupError
from worker.kafka import config
from worker.settings import KafkaSettings

__all__ = ["Broker", "KafkaException", "require_topics"]

log = logs.get(__name__)

_TRY_S = 1.0


class Broker:
    """An administrator's view of the cluster, for the checks of a start and of `worker doctor`."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._admin = config.make(
            AdminClient, config.common(kafka, on_error=lambda error: log.debug("kafka", detail=error.str()))
        )

    def topics(self, timeout_s: float = _TRY_S) -> dict[str, int]:
        """Every topic with its number of partitions.

        Raises:
            KafkaException: no answer in time.
        """
        metadata = self._admin.list_topics(timeout=timeout_s)
        return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}

    def allows(self, topic: str, operation: str) -> bool | None:
        """Whether this client may READ or WRITE the topic; None if the broker does not tell."""
        asked = self._admin.describe_topics(TopicCollection([topic]), include_authorized_operations=True)
        try:
            operations = asked[topic].result(timeout=_TRY_S).authorized_operations
        except (KafkaException, TimeoutError):
            return None
        return None if operations is None else AclOperation[operation] in operations

    def wait(self, clock: Callable[[], float], should_stop: Callable[[], bool]) -> dict[str, int]:
        """Wait until the broker answers; says what it waits for.

        Returns:
            its topics; empty if told to stop.

        Raises:
            StartupError: `kafka.startup_timeout_s` went by.
        """
        deadline = clock() + self._kafka.startup_timeout_s
        while not should_stop():
            try:
                return self.topics()
            except KafkaException as error:
                left = deadline - clock()
                if left <= 0:
                    raise StartupError(
                        f"expected a broker within {self._kafka.startup_timeout_s:g} s, got {error.args[0].str()} "
                        f"at {self._kafka.bootstrap_servers} (kafka.bootstrap_servers)"
                    ) from None
                log.info("waiting for the broker", at=self._kafka.bootstrap_servers, seconds_left=round(left, 1))
        return {}


def require_topics(present: Iterable[str], needed: Iterable[str]) -> None:
    """Every needed topic must be there; the worker creates none.

    Raises:
        StartupError: names the missing ones.
    """
    missing = sorted(set(needed) - set(present))
    if missing:
        raise StartupError(
            f"expected the topics {', '.join(missing)}, got no such topics from the broker; create them "
            "(kafka-topics.sh --create --topic …) or name others under topics.*"
        )
