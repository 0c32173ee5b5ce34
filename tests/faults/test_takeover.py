"""Several workers: partitions change hands while one is killed, added or told to stop."""

import time
from pathlib import Path

import pytest
from support import fault_scenes
from support.fault_run import STOPPING, FaultRun
from support.kafka_broker import Topics


@pytest.mark.extended
@pytest.mark.parametrize("topics", [6], indirect=True)
def test_a_peer_takes_over_from_one_that_was_killed(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=6) as run:
        run.restart()
        run.start(slot=1)
        run.wait_for(r'"partitions": {"', slot=1)
        run.wait_s(1.0)
        run.kill()
        run.finish()


@pytest.mark.extended
@pytest.mark.parametrize("topics", [6], indirect=True)
def test_workers_come_and_go(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=7, per_s=2000) as run:
        run.restart()
        fault_scenes.scale(run)
        run.finish()


@pytest.mark.extended
@pytest.mark.parametrize("topics", [6], indirect=True)
def test_all_are_told_to_stop_and_leave_in_time(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    """Nobody is left to hand over to; and one that comes back alone finds a group that waits for the others."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=10, kafka__session_timeout_ms=10_000) as run:
        run.restart()
        run.start(slot=1)
        run.wait_for(r'"partitions": {"', slot=1)
        run.stop_all()
        run.start(slot=0)
        run.wait_for(r'"partitions": {"')
        run.stop(0)
        run.start(slot=0)
        run.finish(120)


@pytest.mark.extended
@pytest.mark.parametrize("topics", [6], indirect=True)
def test_one_that_comes_and_goes_all_the_time(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=9) as run:
        run.restart()
        fault_scenes.restless(run, seconds=12)
        run.finish()


@pytest.mark.parametrize("topics", [6], indirect=True)
def test_one_that_leaves_hands_over_at_once_and_gets_its_share_when_it_is_back(
    kafka_bootstrap: str, topics: Topics, bundle: Path
) -> None:
    """The session is longer than the test waits: what happens does not happen by its end."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=8, kafka__session_timeout_ms=20_000) as run:
        run.restart()
        run.start(slot=1)
        run.wait_for(r'"partitions": {"', slot=1)
        run.stop(0)
        assert run.aborted(since=STOPPING) == [], run.logs()
        run.wait_for_partitions(6, slot=1, within_s=10)
        run.start(0)
        run.wait_for_partitions(3, slot=0, within_s=30)
        run.finish()


@pytest.mark.extended
@pytest.mark.parametrize("topics", [3], indirect=True)
def test_one_alone_that_is_told_to_stop_aborts_nothing(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=12) as run:
        for _ in range(3):
            run.start()
            run.wait_for_progress(time.monotonic(), "told to stop, and started again")
            run.stop()
        run.start()
        run.finish()
        assert run.aborted() == []
        assert run.aborted_records() == []
