"""The worker's command line as a user meets it: help, mistakes, a broker that is not there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.bundles import write_bundle
from support.schema_registry import SchemaRegistry
from support.workers import running

NOBODY = "127.0.0.1:1"


@pytest.fixture
def env() -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if not name.upper().startswith("STRANDWATCH_")}
    return {
        **plain,
        "STRANDWATCH_KAFKA__BOOTSTRAP_SERVERS": NOBODY,
        "STRANDWATCH_HTTP__PORT": "0",
        "STRANDWATCH_LOG__FORMAT": "json",
        "COLUMNS": "80",
    }


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "test")


def worker(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("command", [(), ("run",), ("demo",), ("watch",), ("doctor",), ("config",)])
def test_help_teaches_within_80_columns(env: dict[str, str], command: tuple[str, ...]) -> None:
    shown = worker(env, *command, "--help")
    assert shown.returncode == 0
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80
    if command:
        assert "Example:" in shown.stdout


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STRANDWATCH_KAFKA__GROUPID", "x", "did you mean `kafka.group_id`"),
        ("STRANDWATCH_LOGLEVEL", "x", "expected the name of a setting, got `STRANDWATCH_LOGLEVEL`"),
        ("STRANDWATCH_HTTP__PORT", "many", "got 'many' at http.port (STRANDWATCH_HTTP__PORT)"),
        ("STRANDWATCH_MODEL__BUNDLE", "no-such", "expected a bundle"),
        ("STRANDWATCH_KAFKA__EXTRA", '{"enable.auto.commit": "true"}', "got `enable.auto.commit` at kafka.extra"),
        ("STRANDWATCH_KAFKA__EXTRA", '{"request.required.acks": "0"}', "got `request.required.acks` at kafka.extra"),
        ("STRANDWATCH_KAFKA__EXTRA", '{"no.such.key": "1"}', "No such configuration property"),
        ("STRANDWATCH_KAFKA__SESSION_TIMEOUT_MS", "99999999", "at kafka.*"),
    ],
)
def test_wrong_setting_is_one_line_and_exit_code_2(env: dict[str, str], name: str, value: str, message: str) -> None:
    ended = worker({**env, name: value}, "run")
    assert ended.returncode == 2
    error = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert len(error) == 1
    assert error[0].startswith("error: ")
    assert message in error[0]


@pytest.mark.parametrize("command", ["doctor", "watch"])
def test_wrong_kafka_key_is_one_line_for_every_command(env: dict[str, str], command: str) -> None:
    ended = worker({**env, "STRANDWATCH_KAFKA__EXTRA": '{"no.such.key": "1"}'}, command)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith("error: expected settings librdkafka takes")
    assert "Traceback" not in ended.stderr


def test_free_kafka_key_reaches_the_clients() -> None:
    from worker.kafka import config
    from worker.settings import KafkaSettings

    kafka = KafkaSettings(bootstrap_servers=NOBODY, extra={"queued.min.messages": "7", "linger.ms": "50"})
    assert config.consumer(kafka, print, print)["queued.min.messages"] == "7"
    assert config.producer(kafka, print)["linger.ms"] == "50"


def test_unknown_command_is_exit_code_2(env: dict[str, str]) -> None:
    assert worker(env, "walk").returncode == 2


def test_altered_bundle_is_one_line_and_exit_code_1(env: dict[str, str], bundle: Path) -> None:
    data = bytearray((bundle / "model.onnx").read_bytes())
    data[100] ^= 1
    (bundle / "model.onnx").write_bytes(data)
    ended = worker({**env, "STRANDWATCH_MODEL__BUNDLE": str(bundle)}, "run")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "model.onnx; the file was altered, restore the bundle" in ended.stderr.splitlines()[-1]


def test_unreachable_broker_is_waited_for_and_then_named(env: dict[str, str], bundle: Path) -> None:
    env |= {"STRANDWATCH_MODEL__BUNDLE": str(bundle), "STRANDWATCH_KAFKA__STARTUP_TIMEOUT_S": "4"}
    with running(env) as started:
        started.wait_for("waiting for the broker")
        status, body = started.get("/readyz")
        assert (status, json.loads(body)["reasons"]) == (503, [f"waiting for the broker at {NOBODY}"])
        assert started.get("/livez")[0] == 200
        assert started.wait_ended() == 1
        assert started.log[-2].startswith("error: expected a broker within 4 s, got ")
        assert "kafka.bootstrap_servers" in started.log[-2]


@pytest.mark.parametrize("number", [2, 15])
def test_signal_while_waiting_ends_with_0(env: dict[str, str], bundle: Path, number: int) -> None:
    with running({**env, "STRANDWATCH_MODEL__BUNDLE": str(bundle)}) as started:
        started.wait_for("waiting for the broker")
        started.process.send_signal(number)
        assert started.wait_ended(5) == 0


def test_config_shows_settings_and_masks_secrets(env: dict[str, str]) -> None:
    shown = worker({**env, "STRANDWATCH_KAFKA__SASL_PASSWORD": "hidden"}, "config", "--json")
    assert json.loads(shown.stdout)["kafka"]["bootstrap_servers"] == NOBODY
    assert "hidden" not in shown.stdout + worker({**env, "STRANDWATCH_KAFKA__SASL_PASSWORD": "hidden"}, "config").stdout


def test_doctor_asks_the_registry(env: dict[str, str]) -> None:
    with SchemaRegistry(login=("caster", "s3cret")) as served:
        registry = {"SCHEMA_REGISTRY_URL": served.url, "SCHEMA_REGISTRY_USER": "caster"}
        encoding = {"INPUT": "avro", **registry, "SCHEMA_REGISTRY_PASSWORD": "s3cret"}
        asks = {f"STRANDWATCH_ENCODING__{name}": value for name, value in encoding.items()}
        findings = json.loads(worker({**env, **asks}, "doctor", "--json").stdout)
    (told,) = [one["detail"] for one in findings if one["what"] == "registry"]
    assert told == "answers, 0 subjects"


def test_doctor_tells_what_is_wrong_and_still_looks_at_the_rest(env: dict[str, str], bundle: Path) -> None:
    ended = worker({**env, "STRANDWATCH_MODEL__BUNDLE": str(bundle)}, "doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(ended.stdout)}
    assert ended.returncode == 1
    assert not findings["broker"]["ok"]
    assert findings["model"]["ok"]
    assert "execution provider in use: CPUExecutionProvider" in findings["model"]["detail"]
