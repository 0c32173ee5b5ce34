"""The broker is killed and comes back: nothing is lost, and a worker without a broker still leaves in time."""

from pathlib import Path

import pytest
from support.bundles import RULES
from support.kafka_broker import Topics
from support.kafka_io import at_least, publish_scans, read_back
from support.lines import due_scans, steady
from support.workers import environment, running

from models.messages import decode_prediction
from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import create_topics


@pytest.mark.kafka(own=True)
def test_broker_killed_and_restarted_loses_nothing_and_sigterm_without_one_leaves_in_time(bundle: Path) -> None:
    scans = list(steady(4, 400))
    half = len(scans) // 2
    due = due_scans(scans, RULES)
    with ApacheKafka() as kafka:
        bootstrap, (broker,) = kafka.bootstrap_servers, kafka.nodes
        topics = Topics.unique(2)
        create_topics(bootstrap, dict.fromkeys(topics.names, topics.partitions))
        with running(environment(bootstrap, topics, bundle)) as worker:
            worker.wait_ready()
            publish_scans(bootstrap, topics.sensors, scans[:half])
            read_back(bootstrap, topics.predictions, at_least(len(due) // 4))
            broker.kill()
            worker.wait_ready(503)
            broker.start()
            publish_scans(bootstrap, topics.sensors, scans[half:])
            found = read_back(bootstrap, topics.predictions, at_least(len(due)))
            worker.wait_ready()
            predictions = [decode_prediction(message.value() or b"") for message in found]
            assert {(p.strand_id, p.event_time_ms) for p in predictions} >= due
            broker.kill()
            code, seconds = worker.terminate()
            assert (code, seconds < 5) == (0, True)
            assert len(worker.log) < 100
