"""A worker goes on where one with another model was killed: what that one had opened is closed, once."""

from collections import Counter
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics
from support.mutants_apart import left_open, succeeded

pytestmark = pytest.mark.parametrize("topics", [3], indirect=True)


def test_open_alerts_of_the_former_model_are_closed_once(
    kafka_bootstrap: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=91) as run:
        told = succeeded(run, tmp_path / "successor", ["before_commit:1:kill", "after_commit:1:kill"])
        assert set(Counter((one.alert_id, one.state) for one in told).values()) == {1}
        assert not run.reader.open_alerts("test@1")


def test_a_worker_that_leaves_them_open_is_found_out(
    kafka_bootstrap: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=91) as run:
        assert left_open(run, tmp_path / "successor")
