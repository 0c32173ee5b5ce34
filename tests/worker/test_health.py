"""The three endpoints, over real HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from worker.errors import StartupError
from worker.health import Health, HealthServer
from worker.metrics import Metrics


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def served() -> Iterator[tuple[HealthServer, Health, Clock]]:
    metrics, clock = Metrics(), Clock()
    health = Health(metrics.ready.set, clock, stall_s=30)
    with HealthServer("127.0.0.1", 0, health, metrics.registry) as server:
        yield server, health, clock


def get(server: HealthServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def probe(server: HealthServer, path: str) -> tuple[int, Any]:
    status, body = get(server, path)
    return status, json.loads(body)


def test_ready_only_once_every_part_is(served: tuple[HealthServer, Health, Clock]) -> None:
    server, health, _ = served
    health.wait_for("model", "the model is being loaded")
    health.wait_for("kafka", "waiting for the broker")
    expected = {"status": "unavailable", "reasons": ["the model is being loaded", "waiting for the broker"]}
    assert probe(server, "/readyz") == (503, expected)
    health.have("model")
    assert "strandwatch_ready 0.0" in get(server, "/metrics")[1]
    health.have("kafka")
    assert probe(server, "/readyz") == (200, {"status": "ok", "reasons": []})
    assert "strandwatch_ready 1.0" in get(server, "/metrics")[1]


def test_a_loop_that_stands_still_is_neither_live_nor_ready(served: tuple[HealthServer, Health, Clock]) -> None:
    server, health, clock = served
    clock.now = 100
    assert probe(server, "/livez")[0] == 200
    health.turned()
    clock.now = 131
    assert probe(server, "/livez") == (503, {"status": "unavailable", "reasons": ["the loop has not turned for 31 s"]})
    assert probe(server, "/readyz")[0] == 503
    health.turned()
    assert probe(server, "/livez")[0] == 200


def test_other_paths_say_what_there_is(served: tuple[HealthServer, Health, Clock]) -> None:
    status, body = probe(served[0], "/health")
    assert status == 404
    assert "/readyz" in body["reasons"][0]


def test_taken_port_is_an_error_that_says_what_to_set(served: tuple[HealthServer, Health, Clock]) -> None:
    server, health, _ = served
    with pytest.raises(StartupError, match="STRANDWATCH_HTTP__PORT"):
        HealthServer("127.0.0.1", server.port, health, Metrics().registry)
