"""Several workers: partitions change hands while one is asleep, killed, added or told to stop."""

import time
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics

ASLEEP_S = 7
"""Longer than the session of 3 s, shorter than a transaction's 10 s: the broker gives its partitions away, and would
still take its commit."""


def asleep(run: FaultRun, **env: str) -> None:
    """Slot 0 falls asleep between its outputs and their offsets, slot 1 takes over, slot 0 goes on where it was."""
    run.restart(**env, FAILPOINT=f"before_offsets:15:pause:{ASLEEP_S}")
    run.wait_for("struck")
    run.start(slot=1, **env)
    run.wait_for("partitions assigned", slot=1)
    run.wait_for_progress(time.monotonic(), "another took over")
    run.wait_for("awake")


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
    with FaultRun(kafka_bootstrap, topics, bundle, seed=7) as run:
        run.restart()
        for slot in (1, 2, 3):
            run.start(slot=slot)
            run.wait_for(r'"partitions": {"', slot=slot)
            run.wait_s(0.5)
        for slot in (2, 0, 3):
            run.stop(slot)
            run.wait_s(0.5)
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
        run.wait_for_partitions(6, slot=1, within_s=10)
        run.start(0)
        run.wait_for_partitions(3, slot=0, within_s=30)
        run.finish()


@pytest.mark.parametrize("topics", [3], indirect=True)
@pytest.mark.parametrize("mutant", ["", "accept_zombie"])
def test_one_that_slept_while_another_took_over_commits_nothing(
    kafka_bootstrap: str, topics: Topics, bundle: Path, mutant: str
) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=5) as run:
        asleep(run, MUTANT=mutant)
        assert bool(run.differences(within_s=20)) == bool(mutant), run.logs()
