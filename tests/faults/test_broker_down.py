"""One broker killed and started again, with the worker busy and idle."""

import time
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics

from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import create_topics

pytestmark = [pytest.mark.extended, pytest.mark.kafka(own=True)]


AS_USUAL = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "10000"}
"""A broker that looks for what timed out every 200 ms, as others in these tests do, would abort it at its start before
partitions have leaders, and leave those out."""


@pytest.mark.parametrize(("busy", "down_s"), [(True, 15), (False, 15)], ids=["busy", "idle"])
def test_a_broker_is_down(bundle: Path, busy: bool, down_s: float) -> None:
    """Idle is the worse: a call of the idle producer may hang for ever once the broker is back (librdkafka 5456)."""
    with ApacheKafka(extra=AS_USUAL) as kafka:
        bootstrap, (broker,) = kafka.bootstrap_servers, kafka.nodes
        topics = Topics.unique(2)
        create_topics(bootstrap, dict.fromkeys(topics.names, topics.partitions))
        with FaultRun(bootstrap, topics, bundle, seed=61) as run:
            run.restart()
            run.wait_s(1.0)
            if not busy:
                run.pause_line()
                run.wait_until_quiet()
            broker.kill()
            run.wait_s(down_s)
            broker.start()
            back_s = time.monotonic()
            run.go_on_with_line()
            run.wait_for_progress(back_s, 60.0, f"broker down for {down_s:g} s, {'busy' if busy else 'idle'}")
            run.finish(120)
