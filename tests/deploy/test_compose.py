"""docker-compose.yml names only what exists, keeps to loopback, and speaks of topics, settings and options that are."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.core import TyperGroup

from trainer.cli import app as trainer_app
from worker import settings
from worker.brokers.jars import KAFKA_VERSION

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy" / "worker.Dockerfile").read_text(encoding="utf-8")


def answers(*command: str) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_compose_tool_accepts_the_file() -> None:
    if answers("docker", "compose", "version"):
        command = ["docker", "compose", "-f", str(FILE), "config", "--quiet"]
    else:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_every_build_context_and_dockerfile_exists() -> None:
    builds = [service["build"] for service in SERVICES.values() if "build" in service]
    assert builds
    for build in builds:
        assert (ROOT / build["context"] / build["dockerfile"]).is_file()


def test_every_mount_is_a_file_or_folder_of_the_repository_or_a_declared_volume() -> None:
    mounts = [mount.split(":") for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert mounts
    for source, target, *mode in mounts:
        assert target.startswith("/")
        if source.startswith("."):
            assert (ROOT / source).exists(), source
            assert mode == ["ro"], f"{source} could be written to"
        else:
            assert source in COMPOSE["volumes"]


def test_every_host_port_is_bound_to_loopback() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 4
    for port in ports:
        assert port.startswith("127.0.0.1:"), port
        assert port.count(":") == 2


def test_every_dependency_is_a_service_that_can_meet_its_condition() -> None:
    for service in SERVICES.values():
        wanted = service.get("depends_on", {})
        for name in wanted:
            other = SERVICES[name]
            condition = wanted[name]["condition"] if isinstance(wanted, dict) else "service_started"
            if condition == "service_healthy":
                assert "healthcheck" in other or ("build" in other and "HEALTHCHECK" in DOCKERFILE)
            elif condition == "service_completed_successfully":
                assert other["restart"] == "no"


def test_every_image_is_pinned() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    images = {name: service["image"] for name, service in SERVICES.items()}
    for image in images.values():
        tag = image.rpartition(":")[2]
        assert tag.lstrip("v").count(".") == 2, image
    assert images["worker"] == images["line"] == f"strandwatch:{version}"
    assert images["kafka"] == images["topics"] == f"apache/kafka:{KAFKA_VERSION}"


def test_there_is_no_secret() -> None:
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            assert not any(word in name for word in ("PASSWORD", "SECRET_KEY", "TOKEN", "CREDENTIAL")), name


def test_the_workers_environment_is_accepted_by_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith(settings.PREFIX)]:
        monkeypatch.delenv(name)
    for name, value in SERVICES["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    loaded = settings.load()
    assert loaded.kafka.bootstrap_servers == "kafka:9092"
    assert f"127.0.0.1:{loaded.http.port}:{loaded.http.port}" in SERVICES["worker"]["ports"]


def test_the_topics_are_those_of_the_settings() -> None:
    """Runs the service's own script with `echo` in the place of Kafka's tool."""
    [script] = SERVICES["topics"]["command"]
    tool = "/opt/kafka/bin/kafka-topics.sh"
    assert tool in script
    shell = [*SERVICES["topics"]["entrypoint"], script.replace("$$", "$").replace(tool, "echo")]
    lines = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.splitlines()
    created = {}
    for line in lines:
        words = line.split()
        assert words[:4] == ["--bootstrap-server", "kafka:9092", "--create", "--if-not-exists"]
        created[words[5]] = words[6:]
    assert set(created) == set(settings.TopicSettings().model_dump().values())
    assert created["casting.sensors"] == ["--partitions", "8"]
    assert created["casting.worker-state"][2:] == ["--config", "cleanup.policy=compact"]


def test_the_line_plays_the_shipped_recording_with_options_the_trainer_has() -> None:
    line = SERVICES["line"]
    assert line["entrypoint"] == ["trainer"]
    name, recording, *options = line["command"]
    source, target, _ = line["volumes"][0].split(":")
    assert (ROOT / source / Path(recording).relative_to(target)).is_file()
    group = typer.main.get_command(trainer_app)
    assert isinstance(group, TyperGroup)
    parsed = group.commands[name].make_context(name, [recording, *options]).params
    assert (parsed["bootstrap"], parsed["speed"], parsed["now"], parsed["loop"]) == ("kafka:9092", 1.0, True, True)


def test_kafka_sends_clients_on_to_where_they_can_reach_it() -> None:
    environment = SERVICES["kafka"]["environment"]
    advertised = dict(entry.split("://") for entry in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
    listening = dict(entry.split("://") for entry in environment["KAFKA_LISTENERS"].split(","))
    host_port, container_port = SERVICES["kafka"]["ports"][0].rsplit(":", 1)
    assert advertised["HOST"] == host_port
    assert listening["HOST"] == f":{container_port}"
    assert advertised["INSIDE"] == SERVICES["worker"]["environment"]["STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS"]
    assert set(environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].replace(":PLAINTEXT", "").split(",")) == set(
        listening
    )
