"""Ports and server properties of a small local Kafka."""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worker.brokers.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"

_LOWEST_PORT = 15_000
_IANA_DYNAMIC_PORTS = 49_152


@dataclass(frozen=True, slots=True)
class Ports:
    """Where one node listens on the loopback interface: for clients, and for the other controllers."""

    client: int
    controller: int


@dataclass(frozen=True, slots=True)
class Doorway:
    """A second way in for clients, who are told another port than the one listened on: that of a proxy between."""

    listens: int
    told: int


def free_ports(count: int) -> list[int]:
    """Return `count` distinct free TCP ports of the loopback interface.

    They lie below the range the system takes outgoing ports from. In that range, clients that keep calling a killed
    broker sooner or later get its very port as their own, connect to themselves, and the broker cannot come back.

    Raises:
        BrokerError: the system has no so many free ports.
    """
    highest = _first_outgoing_port()
    candidates = secrets.SystemRandom().sample(range(_LOWEST_PORT, highest), k=highest - _LOWEST_PORT)
    ports: list[int] = []
    with ExitStack() as held:
        for port in candidates:
            probe = held.enter_context(socket.socket())
            if _binds(probe, port):
                ports.append(port)
            if len(ports) == count:
                return ports
    raise BrokerError(f"expected {count} free ports at {HOST} from {_LOWEST_PORT} to {highest}, got {len(ports)}")


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of the loopback interface now."""
    with socket.socket() as probe:
        # As java does: a port whose last connections still linger in TIME_WAIT can be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return _binds(probe, port)


def server_properties(
    node_id: int,
    nodes: Mapping[int, Ports],
    data_directory: Path,
    extra: Mapping[str, str],
    door: Doorway | None = None,
) -> dict[str, str]:
    """Return the server properties of one combined broker and controller.

    Args:
        node_id: one of `nodes`.
        nodes: every node of the cluster.
        data_directory: for Kafka's log segments.
        extra: properties that replace or add to these.
        door: a second listener.
    """
    replicas = str(min(3, len(nodes)))
    in_sync = str(max(1, min(3, len(nodes)) - 1))
    ports = nodes[node_id]
    client = advertised = f"PLAINTEXT://{HOST}:{ports.client}"
    if door is not None:
        client, advertised = f"{client},DOOR://{HOST}:{door.listens}", f"{advertised},DOOR://{HOST}:{door.told}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node_id),
        "controller.quorum.voters": ",".join(f"{number}@{HOST}:{node.controller}" for number, node in nodes.items()),
        "listeners": f"{client},CONTROLLER://{HOST}:{ports.controller}",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DOOR:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data_directory.as_posix(),
        # A topic nobody created is an error that must be seen, not an empty topic with one partition.
        "auto.create.topics.enable": "false",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "1",
        # A test has all its members at once, and wants to see a dead one leave soon.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "200",
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # 128 MiB of heap by default, for topics far larger than any here.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        **extra,
    }


def write_properties(path: Path, properties: Mapping[str, str]) -> None:
    """Write a Java properties file; a backslash is the format's escape character and is doubled."""
    lines = [f"{key}={value}".replace("\\", "\\\\") for key, value in properties.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _first_outgoing_port() -> int:
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _IANA_DYNAMIC_PORTS  # macOS and Windows keep to IANA's range
    # A system may hand out nearly every port; then there is nothing below, and the usual range is as good as any.
    return lowest if lowest >= _LOWEST_PORT + 1_000 else _IANA_DYNAMIC_PORTS


def _binds(probe: socket.socket, port: int) -> bool:
    try:
        probe.bind((HOST, port))
    except OSError:
        return False
    return True
