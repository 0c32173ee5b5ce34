"""Three brokers, of which one after the other is killed, or stopped and started: the line goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from support.fault_run import FaultRun
from support.kafka_broker import Topics

from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import create_topics

pytestmark = [pytest.mark.extended, pytest.mark.kafka(own=True)]

PROGRESS_WITHIN_S = 60.0


def leader(bootstrap: str, topic: str, partition: int) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    return int(admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader)


def java_hash(text: str) -> int:
    """`String.hashCode`, by which a coordinator's partition is found."""
    number = 0
    for character in text:
        number = (31 * number + ord(character)) & 0xFFFFFFFF
    return number & 0x7FFFFFFF


ROLES: dict[str, Callable[[str, Topics], int]] = {
    "partition leader": lambda bootstrap, topics: leader(bootstrap, topics.sensors, 0),
    "group coordinator": lambda bootstrap, topics: leader(
        bootstrap, "__consumer_offsets", java_hash(topics.group_id) % 4
    ),
    "transaction coordinator": lambda bootstrap, topics: leader(
        bootstrap, "__transaction_state", java_hash(f"{topics.group_id}-0") % 4
    ),
}


@contextmanager
def cluster(partitions: int) -> Iterator[tuple[ApacheKafka, Topics]]:
    with ApacheKafka(brokers=3) as kafka:
        topics = Topics.unique(partitions)
        create_topics(kafka.bootstrap_servers, dict.fromkeys(topics.names, partitions), replication_factor=3)
        yield kafka, topics


def test_every_role_is_killed_once(bundle: Path) -> None:
    with cluster(3) as (kafka, topics), FaultRun(kafka.bootstrap_servers, topics, bundle, seed=51) as run:
        run.restart()
        for role, find in ROLES.items():
            node = kafka.nodes[find(kafka.bootstrap_servers, topics) - 1]
            struck_s = time.monotonic()
            node.kill()
            run.wait_for_progress(struck_s, PROGRESS_WITHIN_S, f"{role} killed")
            node.start()
        run.finish(120)


def test_all_are_stopped_and_started_in_turn(bundle: Path) -> None:
    with cluster(3) as (kafka, topics), FaultRun(kafka.bootstrap_servers, topics, bundle, seed=52) as run:
        run.restart()
        for node in kafka.nodes:
            struck_s = time.monotonic()
            node.stop()
            run.wait_for_progress(struck_s, PROGRESS_WITHIN_S, f"node {node.node_id} stopped")
            node.start()
        run.finish(120)
