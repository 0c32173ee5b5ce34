"""Retention takes what windows would be refilled from: they start warming, and no value is made up."""

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from support.fault_run import FaultRun
from support.kafka_broker import Topics
from support.kafka_io import committed_offsets
from support.uneven_line import uneven_line

pytestmark = [pytest.mark.extended, pytest.mark.parametrize("topics", [1], indirect=True)]


@pytest.mark.parametrize("within", [False, True], ids=["before the refill", "within it"])
def test_what_is_gone_shows_as_warming(kafka_bootstrap: str, topics: Topics, bundle: Path, within: bool) -> None:
    line = uneven_line(81, is_orderly=True)  # a late scan would be the first of what is left
    with FaultRun(kafka_bootstrap, topics, bundle, seed=81, line=line) as run:
        run.restart()
        run.wait_for_committed(1000)
        run.kill()
        if within:
            run.start(FAILPOINT="mid_refill:1:pause:3")
            run.wait_for("struck")
        offset = committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, 1)[0]
        gone = TopicPartition(topics.sensors, 0, offset - 3)
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})  # kept, or its answers are not
        admin.delete_records([gone])[gone].result(10)
        if not within:
            run.start()
        wrong = run.differences()
        assert run.made_up() == [], str(run.made_up())
    assert wrong or within, "everything was refilled: nothing was gone"
