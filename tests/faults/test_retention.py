"""Retention takes what windows would be refilled from: they start warming, no value is made up, no key comes twice."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from support.fault_run import FaultRun
from support.kafka_broker import Topics
from support.kafka_io import committed, end_offsets
from support.uneven_line import Published, uneven_line

from worker.kafka.committed import decode

pytestmark = [pytest.mark.extended, pytest.mark.parametrize("topics", [1], indirect=True)]

BY_AND_BY = '{"queued.min.messages": "1", "fetch.message.max.bytes": "4000"}'
"""Some twenty records at a time; else the client would have all that is to be refilled before the first of it is."""
SESSION_MS = 10_000
"""It sleeps within it, and goes on where it was."""


class SentAgain:
    """An uneven line, of which each strand's last scans come again, newest first, once it is told to."""

    def __init__(self, seed: int) -> None:
        self.again = threading.Event()
        self.is_done = threading.Event()
        self._seed = seed

    def __iter__(self) -> Iterator[Published]:
        last: dict[str, list[Published]] = {}
        for record in uneven_line(self._seed):
            if self.again.is_set() and not self.is_done.is_set():
                for scans in last.values():
                    yield from reversed(scans)
                self.is_done.set()
            if record.scan is not None:
                last[record.key] = [*last.get(record.key, []), record][-3:]
            yield record


@pytest.mark.parametrize("within", [False, True], ids=["before the refill", "within it"])
def test_what_is_gone_shows_as_warming(kafka_bootstrap: str, topics: Topics, bundle: Path, within: bool) -> None:
    line = SentAgain(81)
    slowly = {"kafka__extra": BY_AND_BY, "kafka__session_timeout_ms": SESSION_MS}
    with FaultRun(kafka_bootstrap, topics, bundle, seed=81, line=line, **slowly) as run:
        run.restart()
        run.wait_for_committed(1000)
        run.pause_line()
        run.wait_for_committed(sum(end_offsets(kafka_bootstrap, topics.sensors).values()))
        run.kill()
        (last,) = committed(kafka_bootstrap, topics.group_id, topics.sensors, 1)
        begins = decode(str(last.metadata)).state.begins(last.offset)
        if within:
            run.start(FAILPOINT="mid_refill:1:pause:3")
            run.wait_for("struck")
            assert not run.worker().events("windows refilled"), "the refill was over already"
        gone = TopicPartition(topics.sensors, 0, last.offset - 3)
        admin = AdminClient({"bootstrap.servers": kafka_bootstrap})  # kept, or its answers are not
        low = admin.delete_records([gone])[gone].result(10).low_watermark
        assert begins < low, "no window began in what is gone"
        if within:
            assert not run.worker().events("awake"), "it went on before the records were gone"
        line.again.set()
        run.go_on_with_line()
        assert line.is_done.wait(10)
        if not within:
            run.start()
        run.wait_for("windows reach further back than what can be read")
        assert not run.worker().events("partitions lost")
        wrong = run.differences()
        assert run.made_up() == [], str(run.made_up())
    assert [text for text in wrong if "no due scan" in text or "out of order" in text] == []
    assert any("warming" in text or "None instead of" in text for text in wrong), wrong
