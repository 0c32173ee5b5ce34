"""Plugin: one real Kafka for all tests marked `kafka`, fresh topics for each, and a closing line that says which.

It is brought up between collection and the first test, so that no test's time-out pays for it, and only when a test
that needs it was selected. Under pytest-xdist the controlling process owns it and tells the others where it is.
`@pytest.mark.kafka(own=True)` marks a test that starts `ApacheKafka` itself and does not need the shared one.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import socketserver
import threading
import uuid
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from support.kafka_sources import Broker, bring_up, is_required, why_no_apache_kafka

from models.errors import StrandwatchError
from worker.brokers.topics import COMPACTED, create_topics, delete_topics

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PARTITIONS = 4

_USED, _MISSED = "real_kafka", "no_real_kafka"
_WORKERINPUT = "kafka_broker_port"


@dataclasses.dataclass(frozen=True, slots=True)
class Topics:
    """Names of one test's own topics on the real broker, and a consumer group nobody else uses."""

    sensors: str
    predictions: str
    alerts: str
    dead_letters: str
    worker_state: str
    partitions: int
    group_id: str

    @classmethod
    def unique(cls, partitions: int) -> Topics:
        run = f"test-{uuid.uuid4().hex[:12]}"
        return cls(
            sensors=f"{run}.sensors",
            predictions=f"{run}.predictions",
            alerts=f"{run}.alerts",
            dead_letters=f"{run}.dead-letters",
            worker_state=f"{run}.worker-state",
            partitions=partitions,
            group_id=f"{run}-group",
        )

    @property
    def names(self) -> tuple[str, ...]:
        return self.sensors, self.predictions, self.alerts, self.dead_letters, self.worker_state


class KafkaPlugin:
    """Hooks of the process that runs tests; without pytest-xdist also of the one that owns the broker."""

    def __init__(self, host: BrokerHost | None, port: int | None) -> None:
        self._host, self._port = host, port
        self.broker = Broker(None, "no test marked `kafka` was selected")
        self._counts: Counter[tuple[str, str]] = Counter()

    @pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marker
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if "kafka_bootstrap" in getattr(item, "fixturenames", ()) and item.get_closest_marker("kafka") is None:
                item.add_marker("kafka")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        markers = [marker for item in session.items if (marker := item.get_closest_marker("kafka"))]
        if all(_is_own(marker) for marker in markers) or session.config.option.collectonly:
            return
        self.broker = self._host.broker() if self._host else _ask(self._port)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        marker = item.get_closest_marker("kafka")
        if marker is None:
            return
        if _is_own(marker):
            missing, description, required = why_no_apache_kafka(), "brokers of their own", is_required()
        else:
            broker = self.broker
            missing = None if broker.bootstrap_servers else broker.description
            description, required = broker.description, is_required() or broker.asked_for
        item.user_properties.append((_MISSED, missing) if missing else (_USED, description))
        if missing and required:
            pytest.fail(missing, pytrace=False)
        elif missing:
            pytest.skip(missing)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for key, text in report.user_properties:
            if (key == _USED and report.when == "call") or (key == _MISSED and report.when == "setup"):
                self._counts[key, str(text)] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        used = [f"{count} tests against {text}" for (key, text), count in self._counts.items() if key == _USED]
        missed = [f"{count} tests not run: {text}" for (key, text), count in self._counts.items() if key == _MISSED]
        if used or missed:
            terminalreporter.write_line(f"real Kafka: {', '.join(used + missed)}")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        assert self._host is not None
        node.workerinput[_WORKERINPUT] = self._host.serve()

    def pytest_unconfigure(self) -> None:
        if self._host:
            self._host.close()


class BrokerHost:
    """Owns the broker; brings it up when it is first asked for, by this process or over a loopback port."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._lock = threading.Lock()
        self._broker: Broker | None = None
        self._port: int | None = None

    def broker(self) -> Broker:
        with self._lock:
            if self._broker is None:
                try:
                    self._broker = bring_up(self._running)
                except StrandwatchError as error:
                    # One was to be had and did not come up: never a reason to skip.
                    self._broker = Broker(None, f"no real Kafka: {error}", asked_for=True)
            return self._broker

    def serve(self) -> int:
        """Return the port that answers each connection with the broker, as one line of JSON."""
        if self._port is None:
            host = self

            class Answer(socketserver.StreamRequestHandler):
                def handle(self) -> None:
                    self.wfile.write(json.dumps(dataclasses.asdict(host.broker())).encode())

            server = self._running.enter_context(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer))
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            self._running.callback(thread.join)
            self._running.callback(server.shutdown)
            self._port = server.server_address[1]
        return self._port

    def close(self) -> None:
        self._running.close()


def pytest_configure(config: pytest.Config) -> None:
    workerinput = getattr(config, "workerinput", None)
    plugin = KafkaPlugin(BrokerHost(), None) if workerinput is None else KafkaPlugin(None, workerinput[_WORKERINPUT])
    config.pluginmanager.register(plugin, "strandwatch-kafka")


@pytest.fixture(scope="session")
def kafka_bootstrap(pytestconfig: pytest.Config) -> str:
    """Bootstrap servers of the shared real broker; whoever uses this is marked `kafka` by it."""
    plugin = pytestconfig.pluginmanager.get_plugin("strandwatch-kafka")
    assert isinstance(plugin, KafkaPlugin)
    assert plugin.broker.bootstrap_servers is not None, plugin.broker.description
    return plugin.broker.bootstrap_servers


@pytest.fixture
def topics(kafka_bootstrap: str, request: pytest.FixtureRequest) -> Iterator[Topics]:
    """Five fresh topics; `@pytest.mark.parametrize("topics", [8], indirect=True)` sets the partition count."""
    made = Topics.unique(getattr(request, "param", DEFAULT_PARTITIONS))
    partitions = dict.fromkeys(made.names, made.partitions)
    create_topics(kafka_bootstrap, partitions, configs={made.worker_state: COMPACTED})
    yield made
    delete_topics(kafka_bootstrap, made.names)


def _is_own(marker: pytest.Mark) -> bool:
    return bool(marker.kwargs.get("own", False))


def _ask(port: int | None) -> Broker:
    assert port is not None
    with socket.create_connection(("127.0.0.1", port)) as connection, connection.makefile("rb") as answer:
        return Broker(**json.loads(answer.read()))
