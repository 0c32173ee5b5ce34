"""Where the tests' Kafka comes from: KAFKA_TEST_BOOTSTRAP, the packages of the extra `broker`, or Docker."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.errors import StrandwatchError
from worker.brokers.apache_kafka import ApacheKafka, available
from worker.brokers.jars import KAFKA_VERSION
from worker.brokers.node_settings import Ports, free_ports, server_properties
from worker.brokers.topics import wait_for_brokers

BOOTSTRAP_VARIABLE = "KAFKA_TEST_BOOTSTRAP"
REQUIRE_VARIABLES = ("CI", "REQUIRE_KAFKA")

# Somebody else has started it, so it is up or it is not.
_NAMED_TIMEOUT_S = 5.0
_IMAGE = f"apache/kafka:{KAFKA_VERSION}"


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker for the tests, or why there is none.

    Attributes:
        bootstrap_servers: None when there is none.
        description: what it is and where; else the reason, in one line.
        asked_for: somebody named this very broker, so that its absence is an error.
    """

    bootstrap_servers: str | None
    description: str
    asked_for: bool = False


def is_required() -> bool:
    """Tell whether a missing Kafka is an error: with CI=true or REQUIRE_KAFKA=1."""
    return any(os.environ.get(name, "").lower() in {"1", "true", "yes"} for name in REQUIRE_VARIABLES)


# Asked once a process: with neither jars nor network, every answer would take as long as the first.
why_no_apache_kafka = cache(available)


def bring_up(running: ExitStack) -> Broker:
    """Return the first broker to be had; what was started ends with `running`."""
    named = os.environ.get(BOOTSTRAP_VARIABLE)
    if named:
        return _named(named)
    reason = why_no_apache_kafka()
    if reason is None:
        kafka = running.enter_context(ApacheKafka())
        return Broker(kafka.bootstrap_servers, f"Apache Kafka {KAFKA_VERSION} at {kafka.bootstrap_servers}")
    if not _docker_answers():
        return Broker(None, f"no real Kafka: {reason}; {BOOTSTRAP_VARIABLE} is not set, and no Docker engine answers")
    return _container(running)


def _named(bootstrap_servers: str) -> Broker:
    try:
        wait_for_brokers(bootstrap_servers, timeout_s=_NAMED_TIMEOUT_S)
    except StrandwatchError as error:
        return Broker(None, f"no real Kafka where {BOOTSTRAP_VARIABLE} names one: {error}", asked_for=True)
    return Broker(bootstrap_servers, f"the broker of {BOOTSTRAP_VARIABLE} at {bootstrap_servers}", asked_for=True)


def _docker_answers() -> bool:
    # Not docker's Python client: where no engine answers, it leaves a socket open, and warnings are errors here.
    try:
        return shutil.which("docker") is not None and (
            subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


def _container(running: ExitStack) -> Broker:
    from testcontainers.core.container import DockerContainer

    (port,) = free_ports(1)
    listeners = {
        "listeners": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
    }
    properties = server_properties(1, {1: Ports(9092, 9093)}, Path("/tmp/kafka"), listeners)  # noqa: S108 - in the image
    container = DockerContainer(_IMAGE).with_bind_ports(9092, port)
    for key, value in properties.items():
        container.with_env("KAFKA_" + key.upper().replace(".", "_"), value)
    running.enter_context(container)
    bootstrap_servers = f"127.0.0.1:{port}"
    wait_for_brokers(bootstrap_servers)
    return Broker(bootstrap_servers, f"the container {_IMAGE} at {bootstrap_servers}")
