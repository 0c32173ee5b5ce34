"""librdkafka's own broker, inside this process: no download, no java, ready in milliseconds.

It serves a demonstration and tests of what flows, never a proof of what survives. Its limits, tried
with librdkafka 2.16:

- A topic comes into being with the first request that names it, always with `PARTITIONS` partitions. librdkafka's
  settings for it (``test.mock.num.brokers``, ``test.mock.broker.rtt``) cannot change that number, and the requests to
  create a topic or to read its settings are not answered at all.
- Data lives in memory, the newest 5 MiB of each partition only, and ends with the broker.
- Groups, static membership and committed offsets with metadata work. Transactions are accepted, but offsets sent in one
  are forgotten and aborted messages stay visible: run the worker with ``delivery = at_least_once``.
- The first member of a new group is let in after about three seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from confluent_kafka import KafkaException, Producer

from worker.brokers.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

PARTITIONS = 4

_TIMEOUT_S = 10.0


class InProcessBroker:
    """An in-process broker for as long as the ``with`` block lasts; other processes may connect to it.

    Attributes:
        bootstrap_servers: ``127.0.0.1:port``, usable inside the ``with`` block.
    """

    def __init__(self) -> None:
        self.bootstrap_servers = ""
        self._host: Producer | None = None

    def __enter__(self) -> Self:
        # The mock cluster belongs to this client, which sends nothing itself. Its log would only repeat, in the
        # terminal of a demonstration, that a mock cluster is in use and that clients have come and gone.
        self._host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = self._host.list_topics(timeout=_TIMEOUT_S).brokers.values()
        except KafkaException as error:
            raise BrokerError(f"expected librdkafka's in-process broker to answer, got {error}: try again") from error
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._host = None
        self.bootstrap_servers = ""

    def create_topics(self, names: Sequence[str]) -> None:
        """Let topics come into being, with `PARTITIONS` partitions each, so that a consumer finds them at once.

        Raises:
            BrokerError: the broker is not up, or a topic was not made.
        """
        if self._host is None:
            raise BrokerError("expected an InProcessBroker inside its `with` block, got one that is not up")
        for name in names:
            topic = self._host.list_topics(name, timeout=_TIMEOUT_S).topics[name]
            if topic.error is not None or len(topic.partitions) != PARTITIONS:
                raise BrokerError(
                    f"expected topic `{name}` with {PARTITIONS} partitions, got {len(topic.partitions)} "
                    f"({topic.error or 'no error'}) at {self.bootstrap_servers}"
                )
