"""More strands in one partition than an offset's metadata holds: their state is kept in checkpoints."""

from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics
from support.kafka_io import committed
from support.uneven_line import uneven_line

from worker.kafka.committed import decode

pytestmark = [pytest.mark.extended, pytest.mark.parametrize("topics", [1], indirect=True)]


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_thousand_strands_in_one_partition(kafka_bootstrap: str, topics: Topics, bundle: Path, delivery: str) -> None:
    line = uneven_line(seed=31, strands=1000)
    with FaultRun(kafka_bootstrap, topics, bundle, seed=31, line=line, per_s=3000, delivery=delivery) as run:
        run.restart()
        run.wait_for_committed(6000)
        for _ in range(3):
            run.wait_s(0.7)
            run.restart()
        run.finish()
    (last,) = committed(kafka_bootstrap, topics.group_id, topics.sensors, 1)
    found = decode(str(last.metadata))
    assert found.checkpoint is not None
    assert found.state.windows == {}
