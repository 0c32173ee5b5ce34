"""The real broker itself: what passes through it, and what it survives."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from support.kafka_broker import Topics

from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.errors import BrokerError
from worker.brokers.node import Node
from worker.brokers.node_settings import free_ports
from worker.brokers.topics import admin_client, create_topics, delete_topics

MODULE = [sys.executable, "-m", "worker.brokers.apache_kafka"]
OWNER = textwrap.dedent("""
    import signal
    from worker.brokers.apache_kafka import ApacheKafka
    with ApacheKafka() as kafka:
        print(kafka.nodes[0].pid, kafka.nodes[0].log, flush=True)
        signal.pause()
""")


def produce(bootstrap_servers: str, topic: str, values: list[bytes], **settings: object) -> None:
    """Produce and wait until every value is acknowledged by all replicas that are in step."""
    failures: list[object] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "acks": "all", "linger.ms": 0, "log_level": 0, **settings}
    )
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(60) == 0
    assert failures == []


def consume(bootstrap_servers: str, topic: str, count: int, **settings: object) -> list[bytes]:
    """Consume `count` values of partition 0 from its beginning, without a group's membership."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "reader", "log_level": 0, **settings})
    consumer.assign([TopicPartition(topic, 0, 0)])
    got = consumer.consume(count, timeout=60)
    consumer.close()
    assert [message.error() for message in got] == [None] * len(got)
    return [message.value() or b"" for message in got]


def assert_ended(*processes: psutil.Process, within_s: float = 15.0) -> None:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    assert not alive


@pytest.mark.kafka
@pytest.mark.parametrize("topics", [1], indirect=True)
def test_what_is_produced_is_consumed_in_order(kafka_bootstrap: str, topics: Topics) -> None:
    sent = [b"scan %d" % number for number in range(500)]
    produce(kafka_bootstrap, topics.sensors, sent)
    assert consume(kafka_bootstrap, topics.sensors, len(sent)) == sent


@pytest.mark.kafka
def test_topics_are_there_as_asked_once_the_call_returns(kafka_bootstrap: str, topics: Topics) -> None:
    shown = admin_client(kafka_bootstrap).list_topics(timeout=10).topics
    assert {name: len(shown[name].partitions) for name in topics.names} == dict.fromkeys(topics.names, 4)
    create_topics(kafka_bootstrap, {topics.alerts: 4})  # the same once more changes nothing
    with pytest.raises(BrokerError, match=f"expected topic `{topics.alerts}` with 5 partitions, got 4"):
        create_topics(kafka_bootstrap, {topics.alerts: 5})
    delete_topics(kafka_bootstrap, [topics.alerts, "test-never-created"])


@pytest.mark.kafka
def test_a_topic_nobody_created_is_missing(kafka_bootstrap: str) -> None:
    missing = "test-never-created"
    admin = admin_client(kafka_bootstrap)
    # Asking for it by name is what would make a broker with automatic topics create it.
    assert admin.list_topics(missing, timeout=10).topics[missing].error == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert missing not in admin.list_topics(timeout=10).topics


@pytest.mark.kafka
@pytest.mark.parametrize("topics", [1], indirect=True)
def test_a_static_member_that_returns_keeps_its_partitions(kafka_bootstrap: str, topics: Topics) -> None:
    produce(kafka_bootstrap, topics.sensors, [b"first", b"second"])
    settings = {
        "bootstrap.servers": kafka_bootstrap,
        "group.id": topics.group_id,
        "group.instance.id": f"{topics.group_id}-0",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": 30_000,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    for expected in (b"first", b"second"):
        consumer = Consumer(settings)
        consumer.subscribe([topics.sensors])
        (message,) = consumer.consume(1, timeout=15)  # half the session time-out: the earlier member is not waited for
        assert message.value() == expected
        next_offset = TopicPartition(topics.sensors, 0, message.offset() + 1, "rewind")
        consumer.commit(offsets=[next_offset], asynchronous=False)
        assert consumer.committed([next_offset])[0].metadata == "rewind"
        consumer.close()


@pytest.mark.kafka(own=True)
def test_data_outlives_a_killed_broker_and_in_a_directory_of_ones_own_also_the_end(tmp_path: Path) -> None:
    large = b"\x00" * 10_000_000
    limits = {"message.max.bytes": 11_000_000, "receive.message.max.bytes": 64_000_000}
    with ApacheKafka(log_dir=tmp_path, extra={"message.max.bytes": "11000000"}) as kafka:
        (node,) = kafka.nodes
        create_topics(kafka.bootstrap_servers, {"kept": 1})
        produce(kafka.bootstrap_servers, "kept", [large, b"small"], **limits)
        first = node.pid
        node.kill()
        assert node.pid is None
        assert node.exit_code() == -signal.SIGKILL
        with pytest.raises(BrokerError, match="expected Kafka node 1 to run, got its end with exit code -9"):
            kafka.raise_if_ended()
        node.start()
        assert node.pid not in {None, first}
        assert consume(kafka.bootstrap_servers, "kept", 2, **limits) == [large, b"small"]
        java, guardian = psutil.Process(node.pid), psutil.Process(node.pid).parent()
    assert guardian is not None
    assert_ended(java, guardian)
    assert not node.log.exists()
    with ApacheKafka(log_dir=tmp_path) as kafka:
        assert consume(kafka.bootstrap_servers, "kept", 2, **limits) == [large, b"small"]
    with pytest.raises(BrokerError, match=re.escape("got none of node(s) [2, 3]")), ApacheKafka(3, log_dir=tmp_path):
        pass


@pytest.mark.kafka(own=True)
def test_three_brokers_keep_three_copies_and_go_on_without_one() -> None:
    with ApacheKafka(brokers=3) as kafka:
        create_topics(kafka.bootstrap_servers, {"copied": 1}, replication_factor=3)
        shown = admin_client(kafka.bootstrap_servers).list_topics("copied", timeout=10)
        assert sorted(shown.brokers) == [node.node_id for node in kafka.nodes] == [1, 2, 3]
        partition = shown.topics["copied"].partitions[0]
        assert sorted(partition.replicas) == [1, 2, 3]
        produce(kafka.bootstrap_servers, "copied", [b"before"])
        leader: Node = kafka.nodes[partition.leader - 1]
        leader.kill()
        produce(kafka.bootstrap_servers, "copied", [b"after"])
        assert consume(kafka.bootstrap_servers, "copied", 2) == [b"before", b"after"]


@pytest.mark.kafka(own=True)
def test_a_broker_that_does_not_start_shows_the_end_of_its_log() -> None:
    message = r"(?s)node 1 to run, got its end with exit code 1; the last lines of its log:\n.*no\.such\.Reporter"
    with pytest.raises(BrokerError, match=message), ApacheKafka(extra={"metric.reporters": "no.such.Reporter"}):
        pass


@pytest.mark.kafka(own=True)
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_killing_the_owner_ends_java_and_removes_the_data() -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, log = owner.stdout.readline().split()
        java = psutil.Process(int(pid))
        guardian = java.parent()
        directory = Path(log).parent.parent
        assert (java.name(), directory.is_dir()) == ("java", True)
        owner.kill()
        owner.wait()
        assert guardian is not None
        assert_ended(java, guardian)
        assert not directory.exists()


@pytest.mark.kafka(own=True)
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_in_the_foreground_it_has_the_casting_topics_and_ends_in_good_order() -> None:
    command = [*MODULE, "--partitions", "2", "--port", str(free_ports(1)[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        ready, usage, _ = (process.stdout.readline() for _ in range(3))
        found = re.search(r"ready at (127\.0\.0\.1:\d+) with 2 partitions", ready)
        assert found, ready + process.stderr.read()
        assert f"STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS={found[1]} worker run" in usage
        shown = admin_client(found[1]).list_topics(timeout=10).topics
        names = [f"casting.{name}" for name in ("sensors", "predictions", "alerts", "dead-letters", "worker-state")]
        assert {name: len(shown[name].partitions) for name in names} == dict.fromkeys(names, 2)
        children = psutil.Process(process.pid).children(recursive=True)
        assert "java" in {child.name() for child in children}
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    assert_ended(*children)


def test_in_the_foreground_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run([*MODULE, "--port", port], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr == f"error: expected port {port} free, got it in use at 127.0.0.1: name another, or none\n"
