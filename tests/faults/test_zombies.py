"""A worker stands still within a transaction, and its client's threads go on: the broker ends the transaction first.

In the other order, its session before its transaction, it is put to sleep with all its threads (`test_mutants`).
"""

import time
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics
from support.mutant_scenes import FENCED_S, stalled

pytestmark = [pytest.mark.extended, pytest.mark.parametrize("topics", [3], indirect=True)]

MUST_POLL_EVERY_S = 13
"""Longer than a transaction's 10 s; a session later the member is out."""
STALLED_S = 25


@pytest.mark.parametrize("place", ["mid_produce", "before_offsets", "before_commit"])
def test_alone_it_goes_on_by_itself(kafka_bootstrap: str, topics: Topics, bundle: Path, place: str) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=28) as run:
        run.start(FAILPOINT=f"{place}:40:stall:{FENCED_S}")
        run.wait_for("awake")
        run.finish()
        assert_fenced_as_a_member(run)


def test_beside_another_it_keeps_its_partitions(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=29) as run:
        stalled(run)
        run.finish()
        assert_fenced_as_a_member(run)


def test_then_its_membership_ends_too_and_another_has_its_partitions(
    kafka_bootstrap: str, topics: Topics, bundle: Path
) -> None:
    extra = f'{{"max.poll.interval.ms": "{1000 * MUST_POLL_EVERY_S}"}}'
    with FaultRun(kafka_bootstrap, topics, bundle, seed=30, kafka__extra=extra) as run:
        run.restart(slot=1)
        run.start(slot=0, FAILPOINT=f"before_commit:40:stall:{STALLED_S}")
        run.wait_for("struck")
        struck_s = time.monotonic()
        run.wait_for_progress(struck_s, "its transaction timed out, then its membership, and another takes over")
        assert not run.worker().events("awake"), "the other took over from one that was awake"
        run.wait_for("awake")
        run.finish()


def assert_fenced_as_a_member(run: FaultRun) -> None:
    """The broker refused its producer, and the group never took anything from it."""
    worker = run.worker()
    assert worker.process.poll() is None, run.logs()
    assert [one["remedy"] for one in worker.events("transaction void")] == ["replace"], run.logs()
    assert len(worker.events("partitions taken up anew")) == 1, run.logs()
    assert not worker.events("partitions lost") + worker.events("partitions revoked"), run.logs()
