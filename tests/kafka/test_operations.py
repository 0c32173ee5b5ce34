"""What an operator of the platform uses: doctor, watch, metrics, probes, signals."""

import json
import subprocess
import sys

import pytest
from support.bundles import RULES
from support.kafka_broker import Topics
from support.kafka_io import at_least, publish_scans, read_back
from support.lines import due_scans, steady
from support.schema_registry import SchemaRegistry
from support.workers import running

from models.messages import SensorScan


def worker(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_doctor_prints_the_provider_really_in_use(topics: Topics, env: dict[str, str]) -> None:
    ended = worker(env, "doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(ended.stdout)}
    assert ended.returncode == 0, ended.stdout
    assert "execution provider in use: CPUExecutionProvider" in findings["model"]["detail"]
    assert findings[f"topic {topics.sensors}"]["detail"] == f"{topics.partitions} partitions, READ allowed"
    assert findings[f"topic {topics.alerts}"]["detail"] == f"{topics.partitions} partitions, WRITE allowed"


def test_doctor_names_a_missing_topic(env: dict[str, str]) -> None:
    ended = worker({**env, "STRANDWATCH_TOPICS__ALERTS": "not.there"}, "doctor")
    assert ended.returncode == 1
    assert "FAIL topic not.there: expected it, got no such topic; create it" in ended.stdout


def test_every_metric_with_something_to_measure_is_measured(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str]
) -> None:
    scans = list(steady(3, 50))
    with running(env) as started:
        started.wait_ready()
        publish_scans(kafka_bootstrap, topics.sensors, scans)
        due = len(due_scans(scans, RULES))
        read_back(kafka_bootstrap, topics.predictions, at_least(due))
        # The gauges are refreshed once a second, the last acknowledgement is counted by the next turn.
        for _ in range(100):
            if (
                started.metric("strandwatch_strands") == 3
                and started.metric("strandwatch_end_to_end_seconds_count") == due
            ):
                break
            started._reader.join(0.05)
        text = started.get("/metrics")[1]
        assert started.metric("strandwatch_samples_total", outcome="used") == len(scans)
        assert started.metric("strandwatch_strands") == 3
        assert started.metric("strandwatch_strands_silent") == 0
        assert started.metric("strandwatch_event_time_lag_seconds") > 0
        assert started.metric("strandwatch_ready") == 1
        assert started.metric("strandwatch_rebalances_total") == 1
        for partition in range(topics.partitions):
            assert started.metric("strandwatch_consumer_lag_records", partition=str(partition)) == 0
        for name in ("end_to_end_seconds", "consume_to_publish_seconds"):
            assert started.metric(f"strandwatch_{name}_count") == due
        for name in ("batch_windows", "inference_seconds", "commit_seconds"):
            assert started.metric(f"strandwatch_{name}_count") > 0
        for stage in ("decode", "windows", "inference", "alerts", "encode"):
            assert started.metric("strandwatch_stage_seconds_count", stage=stage) > 0
        assert 'strandwatch_model_info{name="test",provider="CPUExecutionProvider",sha256="' in text
        assert started.terminate()[0] == 0


@pytest.mark.parametrize("output", ["json", "avro"])
def test_watch_prints_alerts_of_a_running_worker(
    kafka_bootstrap: str, topics: Topics, env: dict[str, str], output: str
) -> None:
    hot = [
        SensorScan(
            strand_id="p1.c1.s0", event_time_ms=1_764_000_000_000 + n * 500, values={"mould_tc_upper_left_c": 2.0}
        )
        for n in range(20)
    ]
    with SchemaRegistry() as registry:
        registered = {"OUTPUT": output, "SCHEMA_REGISTRY_URL": registry.url}
        env = env | {f"STRANDWATCH_ENCODING__{name}": value for name, value in registered.items()}
        _watched(kafka_bootstrap, topics, env, hot)


def _watched(bootstrap: str, topics: Topics, env: dict[str, str], hot: list[SensorScan]) -> None:
    with running(env) as started:
        started.wait_ready()
        watching = subprocess.Popen(
            [sys.executable, "-m", "worker", "watch", "--seconds", "8"], env=env, stdout=subprocess.PIPE, text=True
        )
        try:
            assert watching.stdout is not None
            assert "watching" in watching.stdout.readline()
            publish_scans(bootstrap, topics.sensors, hot)
            line = watching.stdout.readline()
            assert "open" in line
            assert "p1.c1.s0 sticker" in line
            assert watching.wait(30) == 0
        finally:
            watching.kill()
            watching.wait()
            watching.stdout.close()
