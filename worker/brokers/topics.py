"""Topics of a broker: the casting line's own five, and creating, awaiting and deleting any."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from worker.brokers.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

# The state topic holds the newest checkpoint of each key; the others keep their history.
COMPACTED = {"cleanup.policy": "compact"}
CASTING_TOPICS = ("casting.sensors", "casting.predictions", "casting.alerts", "casting.dead-letters")
CASTING_STATE_TOPIC = "casting.worker-state"

_ALREADY_EXISTS = "TOPIC_ALREADY_EXISTS"
_PAUSE_S = 0.02
_REQUEST_TIMEOUT_S = 10.0


def admin_client(bootstrap_servers: str) -> AdminClient:
    """Return an admin client that calls again quickly and keeps its complaints to itself.

    While a broker starts, each refused connection would otherwise be a line in the terminal.
    """
    return AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0, "reconnect.backoff.max.ms": 200})


def create_casting_topics(bootstrap_servers: str, partitions: int, *, replication_factor: int = 1) -> None:
    """Create the five topics of the casting line, the state topic compacted; those that exist are left alone.

    Raises:
        BrokerError: see `create_topics`.
    """
    create_topics(
        bootstrap_servers,
        dict.fromkeys((*CASTING_TOPICS, CASTING_STATE_TOPIC), partitions),
        replication_factor=replication_factor,
        configs={CASTING_STATE_TOPIC: COMPACTED},
    )


def create_topics(
    bootstrap_servers: str,
    partitions: Mapping[str, int],
    *,
    replication_factor: int = 1,
    configs: Mapping[str, Mapping[str, str]] | None = None,
    timeout_s: float = 30.0,
) -> None:
    """Create topics and wait until the broker shows all their partitions with a leader.

    Args:
        bootstrap_servers: ``host:port``, several separated by commas.
        partitions: partition count by topic name. A topic that exists with this count is left as it is.
        replication_factor: copies of each partition.
        configs: topic settings by topic name, such as `COMPACTED`.
        timeout_s: for all of it.

    Raises:
        BrokerError: the broker refuses a topic, a topic exists with another partition count, or time runs out.
    """
    deadline = time.monotonic() + timeout_s
    admin = admin_client(bootstrap_servers)
    wanted = [
        NewTopic(
            name,
            num_partitions=count,
            replication_factor=replication_factor,
            config=dict((configs or {}).get(name, {})),
        )
        for name, count in partitions.items()
    ]
    if not wanted:
        return
    for name, created in admin.create_topics(wanted, request_timeout=_REQUEST_TIMEOUT_S).items():
        try:
            created.result()
        except KafkaException as error:
            if error.args[0].name() != _ALREADY_EXISTS:
                raise BrokerError(
                    f"expected to create topic `{name}`, got {error.args[0].str()} at {bootstrap_servers}"
                ) from error
    for shown in _polled(admin, deadline):
        if all(len(shown.get(name, ())) == count and all(shown[name]) for name, count in partitions.items()):
            return
        _refuse_other_counts(shown, partitions, bootstrap_servers)
    raise BrokerError(
        f"expected topics {', '.join(partitions)} within {timeout_s:g} s, got no leader for all of them "
        f"at {bootstrap_servers}: see the broker's log"
    )


def delete_topics(bootstrap_servers: str, names: Collection[str]) -> None:
    """Delete topics; one that does not exist is passed over.

    Raises:
        BrokerError: the broker refuses, or cannot be reached.
    """
    admin = admin_client(bootstrap_servers)
    for name, deleted in admin.delete_topics(list(names), request_timeout=_REQUEST_TIMEOUT_S).items():
        try:
            deleted.result()
        except KafkaException as error:
            if error.args[0].name() != "UNKNOWN_TOPIC_OR_PART":
                raise BrokerError(
                    f"expected to delete topic `{name}`, got {error.args[0].str()} at {bootstrap_servers}"
                ) from error


def wait_for_brokers(
    bootstrap_servers: str,
    *,
    count: int = 1,
    node_id: int | None = None,
    timeout_s: float = 60.0,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Wait until the cluster answers with enough brokers.

    Args:
        bootstrap_servers: ``host:port``, several separated by commas.
        count: brokers that must be registered.
        node_id: this one must be among them, if given.
        timeout_s: the longest wait.
        check: called before every try; raises when waiting is pointless, because a broker's process has died, say.

    Raises:
        BrokerError: time ran out.
    """
    admin = admin_client(bootstrap_servers)
    deadline = time.monotonic() + timeout_s
    found: Collection[int] = ()
    while time.monotonic() < deadline:
        check()
        try:
            found = admin.list_topics(timeout=0.5).brokers.keys()
        except KafkaException:
            continue  # not up yet: `list_topics` itself has waited
        if len(found) >= count and (node_id is None or node_id in found):
            return
        admin.poll(_PAUSE_S)
    wanted = f"{count} broker(s)" if node_id is None else f"broker {node_id}"
    raise BrokerError(
        f"expected {wanted} within {timeout_s:g} s, got {sorted(found) or 'no answer'} at {bootstrap_servers}"
    )


def _polled(admin: AdminClient, deadline: float) -> Iterator[dict[str, list[bool]]]:
    """Yield, until the deadline, which partitions of each topic have a leader."""
    while time.monotonic() < deadline:
        try:
            topics = admin.list_topics(timeout=_REQUEST_TIMEOUT_S).topics
        except KafkaException:
            continue
        yield {name: [part.leader >= 0 for part in topic.partitions.values()] for name, topic in topics.items()}
        admin.poll(_PAUSE_S)


def _refuse_other_counts(shown: Mapping[str, list[bool]], wanted: Mapping[str, int], bootstrap_servers: str) -> None:
    for name, count in wanted.items():
        if len(shown.get(name, ())) not in {0, count}:
            raise BrokerError(
                f"expected topic `{name}` with {count} partitions, got {len(shown[name])} at {bootstrap_servers}: "
                "delete it or name another"
            )
