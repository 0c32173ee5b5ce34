"""The plugin as a whole, seen from outside: small test runs of their own."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
SETTINGS = (
    f"[pytest]\npythonpath = {TESTS}\naddopts = -p support.kafka_broker -ra\nmarkers = kafka\nfilterwarnings = error\n"
)
SUITE = """
import pytest

@pytest.mark.kafka
def test_marked():
    pass

def test_by_fixture(kafka_bootstrap):
    pass

def test_by_topics(topics):
    pass

def test_without():
    pass
"""


def run_suite(directory: Path, *arguments: str, **environment: str) -> str:
    """Run the suite; return what the run prints. Neither this process's broker nor any other is to be had there."""
    (directory / "pytest.ini").write_text(SETTINGS)
    (directory / "test_suite.py").write_text(SUITE)
    inherited = {name: value for name, value in os.environ.items() if name not in {"CI", "REQUIRE_KAFKA"}}
    nothing = {
        # A file where the cache's directory would be, and a Docker engine that is not there.
        "XDG_CACHE_HOME": str(directory / "pytest.ini"),
        "DOCKER_HOST": f"unix://{directory}/docker.sock",
        "KAFKA_TEST_BOOTSTRAP": "",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=directory,
        env=inherited | nothing | environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.stderr == ""
    return ended.stdout


def test_without_a_broker_the_tests_are_skipped_and_one_line_says_why(tmp_path: Path) -> None:
    output = run_suite(tmp_path)
    assert "1 passed, 3 skipped" in output
    (closing,) = (line for line in output.splitlines() if line.startswith("real Kafka: "))
    assert closing.startswith(
        "real Kafka: 3 tests not run: no real Kafka: expected a directory that can be written, got"
    )
    assert closing.endswith("KAFKA_TEST_BOOTSTRAP is not set, and no Docker engine answers")


def test_without_a_broker_where_one_is_required_the_tests_fail(tmp_path: Path) -> None:
    output = run_suite(tmp_path, CI="true")
    assert "1 passed, 3 errors" in output
    assert "ERROR test_suite.py::test_marked - Failed: no real Kafka: " in output


def test_where_no_selected_test_needs_a_broker_none_is_looked_for(tmp_path: Path) -> None:
    output = run_suite(tmp_path, "-m", "not kafka", CI="true")
    assert "1 passed, 3 deselected" in output
    assert "real Kafka" not in output


def test_parallel_processes_share_one_broker_and_the_closing_line_says_which(
    tmp_path: Path, kafka_bootstrap: str
) -> None:
    output = run_suite(tmp_path, "-n", "2", KAFKA_TEST_BOOTSTRAP=kafka_bootstrap)
    assert "4 passed" in output
    assert f"real Kafka: 3 tests against the broker of KAFKA_TEST_BOOTSTRAP at {kafka_bootstrap}\n" in output


def test_a_named_broker_that_does_not_answer_is_a_failure_even_where_none_is_required(tmp_path: Path) -> None:
    output = run_suite(tmp_path, KAFKA_TEST_BOOTSTRAP="127.0.0.1:1")
    assert "1 passed, 3 errors" in output
    assert "no real Kafka where KAFKA_TEST_BOOTSTRAP names one: expected 1 broker(s) within" in output
