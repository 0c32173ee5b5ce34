"""`worker demo` as a process: it accounts for every scan, warns in time, and knows when it failed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.bundles import expected, graph, manifest

from models import bundle as bundles
from models import recording
from models.features import CASTING_SENSORS
from models.windows import WindowRules

RULES = WindowRules(length=10, period_ms=500, stride=2, max_gap_ms=5000)
KEYS = [
    "scans", "predictions", "alerts_true", "alerts_false", "events_missed", "dead_letters", "lost", "latency_p50_ms",
    "latency_p99_ms",
]  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A model of all twenty sensors that knows nothing: the demonstration must account for it all the same."""
    import numpy as np

    windows = np.ones((1, RULES.length, len(CASTING_SENSORS)), np.float32)
    bundles.write(
        tmp_path / "none",
        manifest(RULES, list(CASTING_SENSORS)),
        graph(RULES, len(CASTING_SENSORS), gain=0.001).SerializeToString(),
        bundles.Golden(windows, expected(windows, 0.001)),
        {},
    )
    return tmp_path / "none"


def demo(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", "demo", *arguments],
        env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_every_scan_is_accounted_for(bundle: Path) -> None:
    # A setting that points elsewhere must not reach into a demonstration that is whole in itself.
    ended = demo("--seconds", "6", "--json", "--bundle", str(bundle), env={"STRANDWATCH_KAFKA__GROUP_ID": "other"})
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert list(summary)[: len(KEYS)] == KEYS
    assert summary["scans"] > 500
    assert summary["predictions"] > 200
    assert (summary["lost"], summary["dead_letters"], summary["alerts_true"]) == (0, 0, 0)
    assert 0 < summary["latency_p50_ms"] <= summary["latency_p99_ms"]


def test_default_bundle_warns_within_the_first_twenty_seconds() -> None:
    ended = demo("--seconds", "22", "--json")
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["lost"] == 0
    assert summary["alerts_true"] >= 1
    assert summary["first_true_alert_s"] < 20


def test_ctrl_c_ends_it_with_a_summary(bundle: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "worker", "demo", "--bundle", str(bundle)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None
        assert "playing" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
        assert running.wait(30) == 0
        assert "lost" in rest
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def test_shipped_recording_holds_what_the_demonstration_promises() -> None:
    path = recording.default_path()
    line = recording.read(path)
    assert path.stat().st_size <= 1_500_000
    assert len(line.strands) >= 8
    assert tuple(line.sensors) == CASTING_SENSORS
    assert {event.type for event in line.events} >= {"sticker", "speed_step", "film_fracture"}


def test_bundle_that_is_not_there_is_one_line_and_exit_code_2() -> None:
    ended = demo("--bundle", "no-such")
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: expected a bundle")
    assert len(ended.stderr.splitlines()) == 1
