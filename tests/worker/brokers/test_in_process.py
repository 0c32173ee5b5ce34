import subprocess
import sys

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from worker.brokers.errors import BrokerError
from worker.brokers.in_process import PARTITIONS, InProcessBroker

# What a demonstration does with it; anything it prints to standard error would be in the reader's terminal.
SESSION = """
from confluent_kafka import Producer
from worker.brokers.in_process import InProcessBroker
with InProcessBroker() as broker:
    broker.create_topics(["casting.sensors"])
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
    producer.produce("casting.sensors", b"scan")
    assert producer.flush(10) == 0
    del producer
"""


def test_what_is_produced_is_consumed_and_the_committed_offset_keeps_its_metadata() -> None:
    with InProcessBroker() as broker:
        broker.create_topics(["casting.sensors"])
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
        sent = {f"p1.c1.s{number}".encode(): b"scan %d" % number for number in range(8)}
        for key, value in sent.items():
            producer.produce("casting.sensors", key=key, value=value)
        assert producer.flush(10) == 0
        settings = {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": "strandwatch",
            "group.instance.id": "strandwatch-0",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
        consumer = Consumer(settings)
        consumer.subscribe(["casting.sensors"])
        got = consumer.consume(len(sent), timeout=30)
        assert {message.key(): message.value() for message in got} == sent
        last = got[-1]
        done = TopicPartition(last.topic(), last.partition(), last.offset() + 1, "rewind=7")
        consumer.commit(offsets=[done], asynchronous=False)
        (committed,) = consumer.committed([done])
        assert (committed.offset, committed.metadata) == (done.offset, "rewind=7")
        consumer.close()


def test_topics_come_into_being_with_a_fixed_number_of_partitions() -> None:
    with InProcessBroker() as broker:
        names = ["casting.sensors", "casting.alerts"]
        broker.create_topics(names)
        shown = Producer({"bootstrap.servers": broker.bootstrap_servers}).list_topics(timeout=10).topics
        assert {name: len(shown[name].partitions) for name in names} == dict.fromkeys(names, PARTITIONS)


def test_two_brokers_in_one_process_know_nothing_of_each_other() -> None:
    with InProcessBroker() as one, InProcessBroker() as other:
        assert one.bootstrap_servers != other.bootstrap_servers
        one.create_topics(["casting.sensors"])
        shown = Producer({"bootstrap.servers": other.bootstrap_servers}).list_topics(timeout=10).topics
        assert shown == {}


def test_it_prints_nothing() -> None:
    ended = subprocess.run([sys.executable, "-c", SESSION], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_outside_the_with_block_it_says_so() -> None:
    with pytest.raises(BrokerError, match="inside its `with` block"):
        InProcessBroker().create_topics(["casting.sensors"])
