"""What becomes of a worker whose log is not what it was: partitions added, a tail cut off and written anew."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from support.bundles import SENSORS, expected
from support.fault_scenes import AS_USUAL
from support.kafka_broker import Topics
from support.kafka_io import at_least, committed_offsets, publish_scans, read_back
from support.lines import START_MS, steady
from support.oracle import Found, Oracle
from support.uneven_line import Published
from support.workers import environment, running

from models import bundle as bundles
from models.messages import SensorScan, decode_prediction, encode
from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import COMPACTED, create_topics

pytestmark = pytest.mark.extended

BEFORE, CUT_OFF = 20, 20
UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}


def scans(first: int, count: int, seq: int) -> list[SensorScan]:
    """Of one strand; `seq` tells what was written when."""
    return [
        SensorScan(
            strand_id="p1.c1.s1",
            event_time_ms=START_MS + 500 * (first + number),
            seq=seq + number,
            values={SENSORS[0].name: 0.01 * ((seq + number) % 37)},
        )
        for number in range(count)
    ]


def leader(admin: AdminClient, topic: str, other_than: int = -1) -> tuple[int, list[int]]:
    """Of the only partition, once it has one; and its replicas."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        partition = admin.list_topics(topic, timeout=10).topics[topic].partitions[0]
        if partition.leader not in (-1, other_than):
            return partition.leader, list(partition.replicas)
        time.sleep(0.2)  # asked of the brokers, who tell nobody of themselves
    raise AssertionError(f"no other leader than {other_than}")


@contextmanager
def two_replicas() -> Iterator[tuple[ApacheKafka, Topics]]:
    """Three brokers, of which two have the sensors' topic, and one that lags may lead it."""
    with ApacheKafka(brokers=3, extra=AS_USUAL) as kafka:
        topics = Topics.unique(1)
        create_topics(
            kafka.bootstrap_servers, {topics.sensors: 1}, replication_factor=2, configs={topics.sensors: UNCLEAN}
        )
        rest = dict.fromkeys(set(topics.names) - {topics.sensors}, 1)
        create_topics(kafka.bootstrap_servers, rest, replication_factor=3, configs={topics.worker_state: COMPACTED})
        yield kafka, topics


@pytest.mark.kafka(own=True)
@pytest.mark.parametrize("anew", [12, 60], ids=["up to below our offset", "beyond it"])
def test_a_tail_that_was_cut_off_and_written_anew_is_noticed_and_none_of_it_lost(bundle: Path, anew: int) -> None:
    """The one broker that has the tail is gone; the one that lagged leads, and its log grows."""
    with two_replicas() as (kafka, topics):
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        env = environment(kafka.bootstrap_servers, topics, bundle)
        first, replicas = leader(admin, topics.sensors)
        (lagging,) = set(replicas) - {first}
        publish_scans(kafka.bootstrap_servers, topics.sensors, scans(0, BEFORE, 0))
        kafka.nodes[lagging - 1].kill()
        publish_scans(kafka.bootstrap_servers, topics.sensors, scans(BEFORE, CUT_OFF, 100))
        with running(env) as worker:
            worker.wait_ready()
            while committed_offsets(kafka.bootstrap_servers, topics.group_id, topics.sensors, 1)[0] < BEFORE + CUT_OFF:
                time.sleep(0.1)  # asked of the broker, which tells nobody of itself
            worker.terminate()
        kafka.nodes[first - 1].kill()
        kafka.nodes[lagging - 1].start()
        assert leader(admin, topics.sensors, other_than=first)[0] == lagging
        written = scans(BEFORE, anew, 1000)
        publish_scans(kafka.bootstrap_servers, topics.sensors, written)
        with running(env) as worker:
            worker.wait_ready()
            (told,) = worker.events("the log was cut off below our offset; going on from there, and windows start anew")
            assert (told["wanted"], told["cut_at"]) == (BEFORE + CUT_OFF, BEFORE)
            enough = (BEFORE + CUT_OFF + anew) // 2 - 1
            found = read_back(kafka.bootstrap_servers, topics.predictions, at_least(enough))
        every = [decode_prediction(one.value() or b"") for one in found]
        now = [*scans(0, BEFORE, 0), *written]
        published = [Published(scan.strand_id, encode(scan), scan) for scan in now]
        oracle = Oracle(bundles.read(str(bundle)).manifest, expected)
        kept = [one for one in every if not 100 <= (one.seq or 0) < 1000]
        assert oracle.made_up(published, Found(predictions=kept)) == []
        assert [one.quality for one in kept].count("warming") < 8


@pytest.mark.parametrize("topics", [3], indirect=True)
def test_partitions_that_are_added_end_the_worker_with_an_explanation_and_keep_it_from_starting(
    kafka_bootstrap: str, topics: Topics, bundle: Path
) -> None:
    """By default it would begin at the end of the new ones, and never know what it missed."""
    looks_often = '{"topic.metadata.refresh.interval.ms": "500"}'
    env = environment(kafka_bootstrap, topics, bundle, kafka__extra=looks_often, start_from="latest")
    said = "expected 3 partitions of .* got 5: .* begin with another kafka.group_id"
    with running(env) as worker:
        worker.wait_ready()
        publish_scans(kafka_bootstrap, topics.sensors, steady(8, 50))
        read_back(kafka_bootstrap, topics.predictions, at_least(1), settle=False)
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
        admin.create_partitions([NewPartitions(topics.sensors, 5)])[topics.sensors].result(10)
        assert worker.wait_ended() == 1
        worker.wait_for(said)
    with running(env) as worker:
        assert worker.wait_ended() == 1
        worker.wait_for(said)
