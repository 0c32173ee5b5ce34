"""The network between a worker and its broker: cut, reset, slow, or silent."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.fault_scenes import AS_USUAL
from support.kafka_broker import Topics
from support.tcp_proxy import TcpProxy

from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.node_settings import HOST, Doorway, free_ports
from worker.brokers.topics import COMPACTED, create_topics

pytestmark = [pytest.mark.extended, pytest.mark.kafka(own=True), pytest.mark.timeout(300)]

DISTURBANCES: dict[str, tuple[Callable[[TcpProxy], None], float]] = {
    "cut": (TcpProxy.cut, 6.0),
    "reset": (TcpProxy.reset, 0.5),
    "silent": (TcpProxy.silence, 8.0),
    "slow": (lambda proxy: proxy.slow(0.2), 5.0),
}
"""What is done, and for how many seconds; the session is 3 s."""


def test_the_network_is_disturbed_in_every_way(bundle: Path) -> None:
    listens, told = free_ports(2)
    with (
        TcpProxy(listens, told) as proxy,
        ApacheKafka(extra=AS_USUAL, door=Doorway(listens, told)) as kafka,
    ):
        topics = Topics.unique(3)
        create_topics(kafka.bootstrap_servers, dict.fromkeys(topics.names, 3), configs={topics.worker_state: COMPACTED})
        near = {"kafka__bootstrap_servers": f"{HOST}:{told}"}
        with FaultRun(kafka.bootstrap_servers, topics, bundle, seed=91, **near) as run:
            run.restart()
            for name, (disturb, seconds) in DISTURBANCES.items():
                run.wait_s(1.0)
                disturb(proxy)
                run.wait_s(seconds)
                proxy.restore()
                run.wait_for_progress(time.monotonic(), f"network {name} for {seconds:g} s")
            run.finish(120)
