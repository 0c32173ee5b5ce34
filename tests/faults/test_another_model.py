"""A worker goes on where one with another model was killed: what that one had opened is closed, once."""

from collections import Counter
from pathlib import Path

import pytest
from support.bundles import write_bundle
from support.fault_run import FaultRun
from support.kafka_broker import Topics


@pytest.mark.parametrize("topics", [3], indirect=True)
def test_open_alerts_of_the_former_model_are_closed_once(
    kafka_bootstrap: str, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    successor = {"STRANDWATCH_MODEL__BUNDLE": str(write_bundle(tmp_path / "successor", gain=3.0, version="2"))}
    with FaultRun(kafka_bootstrap, topics, bundle, seed=91) as run:
        run.restart()
        run.wait_for_open_alerts(3, "test@1")
        run.pause_line()
        run.reader.wait_until_quiet()
        left_open = run.reader.open_alerts("test@1")
        run.kill()
        for failpoint in ("before_commit:1:kill", "after_commit:1:kill"):
            run.start(FAILPOINT=failpoint, **successor)
            run.wait_for_end()
        run.start(**successor)
        run.go_on_with_line()
        run.wait_for_open_alerts(1, "test@2")
        told = run.reader.alerts
    assert left_open
    assert set(Counter((one.alert_id, one.state) for one in told).values()) == {1}
    every = {one.alert_id for one in told if one.model == "test@1"}
    assert every == {one.alert_id for one in told if one.model == "test@1" and one.state == "closed"}
