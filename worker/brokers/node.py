"""One node of a local Kafka, and the formatting of the nodes' data directories."""

from __future__ import annotations

import base64
import uuid
from collections import deque
from typing import TYPE_CHECKING

from worker.brokers.errors import BrokerError
from worker.brokers.node_settings import HOST
from worker.brokers.topics import wait_for_brokers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from worker.brokers.processes import GuardedProcesses

PROPERTIES = "server.properties"

_FORMAT_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_PORT_TAKEN = "Address already in use"
_LOG_LINES = 15


class PortTakenError(BrokerError):
    """Between choosing a port and listening on it, somebody else took it."""


class Node:
    """One broker, also a controller; its port and data stay the same over any number of `kill` and `start`.

    Attributes:
        node_id: from 1.
        bootstrap_servers: this node's own ``host:port``.
        log: what java prints.
    """

    def __init__(self, node_id: int, port: int, directory: Path, command: Sequence[str], run: GuardedProcesses) -> None:
        self.node_id = node_id
        self.bootstrap_servers = f"{HOST}:{port}"
        self.log = directory / "kafka.log"
        self._name = f"node-{node_id}"
        self._command = [*command, "kafka.Kafka", str(directory / PROPERTIES)]
        self._run = run
        self._pid: int | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the node's java; None before the first start, and after it has ended."""
        return self._pid if self.exit_code() is None else None

    def start(self, *, timeout_s: float | None = 60.0) -> None:
        """Start the node and wait until it serves clients as a registered broker of its cluster.

        Args:
            timeout_s: the longest wait; None does not wait (a majority of the nodes must run for one to get ready).

        Raises:
            BrokerError: it still runs, its java ended (with the last lines of its log), or time ran out.
        """
        self._pid = self._run.start(self._name, self._command, self.log)
        if timeout_s is not None:
            wait_for_brokers(
                self.bootstrap_servers, node_id=self.node_id, timeout_s=timeout_s, check=self.raise_if_ended
            )

    def kill(self) -> None:
        """End the node at once (SIGKILL); its data stays."""
        self._run.kill(self._name)

    def stop(self, *, timeout_s: float = _STOP_TIMEOUT_S) -> None:
        """End the node in good order (SIGTERM); kill it when it has not ended after `timeout_s` seconds."""
        self._run.terminate(self._name)
        if self._run.wait(self._name, timeout_s) is None:
            self.kill()

    def exit_code(self) -> int | None:
        """Return how the node's java ended (negative: by that signal); None while it runs or was never started."""
        return None if self._pid is None else self._run.wait(self._name, 0.0)

    def raise_if_ended(self) -> None:
        """Raise when the node's java has ended.

        Raises:
            BrokerError: with the last lines of its log.
        """
        code = self.exit_code()
        if code is None:
            return
        kind = PortTakenError if _PORT_TAKEN in self.log.read_text("utf-8", errors="replace") else BrokerError
        raise kind(
            f"expected Kafka node {self.node_id} to run, got its end with exit code {code}; "
            f"the last lines of its log:\n{_last_lines(self.log)}"
        )


def format_data(data_directories: Mapping[int, Path], command: Sequence[str], run: GuardedProcesses) -> None:
    """Give each new data directory its identity; those of an earlier run keep theirs.

    Raises:
        BrokerError: some are new and some are not, or Kafka's tool fails.
    """
    new = [node_id for node_id, data in data_directories.items() if not (data / "meta.properties").exists()]
    if new and len(new) < len(data_directories):
        raise BrokerError(
            f"expected data of all {len(data_directories)} nodes or of none, got none of node(s) {new} "
            f"at {data_directories[new[0]].parent}: start with as many brokers as before, or name an empty directory"
        )
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
    for node_id in new:
        properties = run.directory / f"node-{node_id}" / PROPERTIES
        # `=`, or a random id that begins with a minus sign would be taken for an option.
        arguments = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "--config", str(properties)]
        run.start(f"format-{node_id}", [*command, *arguments], run.directory / f"format-{node_id}.log")
    for node_id in new:
        code = run.wait(f"format-{node_id}", _FORMAT_TIMEOUT_S)
        if code != 0:
            raise BrokerError(
                f"expected Kafka's storage tool to format node {node_id}, got "
                f"{'no end' if code is None else f'exit code {code}'}; the last lines of its log:\n"
                f"{_last_lines(run.directory / f'format-{node_id}.log')}"
            )


def _last_lines(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return "".join(deque(lines, maxlen=_LOG_LINES)).rstrip()
