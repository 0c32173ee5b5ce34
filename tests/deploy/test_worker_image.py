"""The Dockerfile keeps to its rules, its context holds what it copies, and its health check tells ready from not."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from docker.utils import exclude_paths

from worker.health import Health, HealthServer
from worker.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "worker.Dockerfile").read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments), continued lines joined and comments left out."""
    code = "\n".join(line for line in DOCKERFILE.splitlines() if not line.startswith("#"))
    lines = code.replace("\\\n", "").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word]


def last(instruction: str) -> str:
    return [arguments for word, arguments in instructions() if word == instruction][-1]


@pytest.fixture(scope="module")
def context() -> set[Path]:
    """The files Docker would be sent, as .dockerignore leaves them."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    return {Path(path) for path in exclude_paths(str(ROOT), patterns) if (ROOT / path).is_file()}


def test_it_does_not_run_as_root() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    assert re.findall(r"^USER (\d+):\d+$", stages[-1], re.MULTILINE) == ["10001"]


def test_it_stops_on_the_signal_the_worker_drains_on() -> None:
    assert last("STOPSIGNAL") == "SIGTERM"


def test_it_runs_the_command_that_the_distribution_installs() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    [command] = json.loads(last("ENTRYPOINT"))
    assert command in scripts
    assert json.loads(last("CMD")) == ["run"]


def test_whatever_it_fetches_is_held_to_a_hash() -> None:
    installs = re.findall(r"pip install [^&\n]*", DOCKERFILE)
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-deps --no-build-isolation ." in install


def test_its_context_holds_all_that_it_copies_and_little_else(context: set[Path]) -> None:
    sources = [
        Path(source)
        for word, arguments in instructions()
        if word == "COPY" and not arguments.startswith("--from")
        for source in arguments.split()[:-1]
    ]
    assert len(sources) >= 5
    for source in sources:
        assert any(source == path or source in path.parents for path in context), source
    for path in context - {Path(".dockerignore")}:
        assert any(source == path or source in path.parents for source in sources), path
        assert "__pycache__" not in path.parts


def test_its_context_holds_all_that_serving_needs_of_a_bundle(context: set[Path]) -> None:
    for manifest in ROOT.glob("models/sequence/*/manifest.json"):
        folder = manifest.parent.relative_to(ROOT)
        assert {folder / name for name in ("manifest.json", "model.onnx", "golden.npz")} <= context
        assert folder / "weights.safetensors" not in context


def test_its_health_check_tells_ready_from_not() -> None:
    command = [sys.executable, *json.loads(last("HEALTHCHECK").partition(" CMD ")[2])[1:]]
    metrics = Metrics()
    health = Health(metrics.ready.set, lambda: 0.0)

    def ask(port: int) -> int:
        environment = {**os.environ, "STRANDWATCH_HTTP__PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    with HealthServer("127.0.0.1", 0, health, metrics.registry) as server:
        health.wait_for("model", "it is being loaded")
        assert ask(server.port) == 1
        health.have("model")
        assert ask(server.port) == 0
        port = server.port
    assert ask(port) == 1
