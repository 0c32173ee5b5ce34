"""A worker goes on where one with another model was killed: what that one had opened is closed, once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.bundles import write_bundle
from support.fault_run import FaultRun
from support.kafka_broker import Topics

from models.messages import Alert

pytestmark = pytest.mark.parametrize("topics", [3], indirect=True)


def succeeded(run: FaultRun, successor: Path, failpoints: Sequence[str] = (), **env: str) -> list[Alert]:
    """Killed with alerts open, and gone on with by a worker with another model, after one killed at each failpoint.

    Returns:
        All alerts told.
    """
    env = {**env, "STRANDWATCH_MODEL__BUNDLE": str(write_bundle(successor, gain=3.0, version="2"))}
    run.restart()
    run.wait_for_open_alerts(3, "test@1")
    run.pause_line()
    run.reader.wait_until_quiet()
    assert run.reader.open_alerts("test@1")
    run.kill()
    for failpoint in failpoints:
        run.start(FAILPOINT=failpoint, **env)
        run.wait_for_end()
    run.start(**env)
    run.go_on_with_line()
    run.wait_for_open_alerts(1, "test@2")
    return run.reader.alerts


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
        succeeded(run, tmp_path / "successor", MUTANT="leave_former_open")
        assert run.reader.open_alerts("test@1")
