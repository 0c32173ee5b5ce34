"""Struck at each place where something may be half done: killed, put to sleep beyond its session, or failing."""

import time
from pathlib import Path

import pytest
from support.failpoints import PLACES
from support.fault_run import STOPPING, FaultRun
from support.kafka_broker import Topics

pytestmark = [pytest.mark.extended, pytest.mark.parametrize("topics", [3], indirect=True)]

SLEEPS_S = 5
"""Beyond the session of 3 s: nobody else is there to take over, and it must come back by itself."""


@pytest.mark.parametrize("place", [place for place in PLACES if place != "in_revoke"])
def test_killed_at(kafka_bootstrap: str, topics: Topics, bundle: Path, place: str) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=21) as run:
        run.restart()
        run.kill()  # so that the next refills
        run.start(FAILPOINT=f"{place}:{1 if place == 'mid_refill' else 7}:kill")
        run.wait_for_end()
        run.restart()
        run.finish()


@pytest.mark.parametrize("place", ["after_poll", "before_offsets", "before_commit", "after_commit", "mid_refill"])
def test_asleep_beyond_its_session_at(kafka_bootstrap: str, topics: Topics, bundle: Path, place: str) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=22) as run:
        run.restart()
        run.kill()
        run.start(FAILPOINT=f"{place}:{1 if place == 'mid_refill' else 7}:pause:{SLEEPS_S}")
        run.wait_for("awake")
        run.finish()


@pytest.mark.parametrize("place", ["mid_produce", "before_commit"])
def test_asleep_beyond_its_transaction_at(kafka_bootstrap: str, topics: Topics, bundle: Path, place: str) -> None:
    """The broker ends the transaction after 10 s and fences its producer: the worker goes on with another."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=25) as run:
        run.start(FAILPOINT=f"{place}:40:pause:13")
        run.wait_for("awake")
        run.finish()


@pytest.mark.parametrize(
    ("action", "place"),
    [
        *[("raise", one) for one in ("after_poll", "mid_produce", "before_offsets", "before_commit", "after_commit")],
        *[("abort", one) for one in ("mid_produce", "before_offsets", "before_commit")],  # where a transaction is open
    ],
)
def test_failing_at(kafka_bootstrap: str, topics: Topics, bundle: Path, place: str, action: str) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=23) as run:
        run.start(FAILPOINT=f"{place}:9:{action}")
        if action == "raise":  # it ends, having said why, and another goes on
            run.wait_for_end()
            run.start()
        else:
            run.wait_for("taken up anew")
        run.finish()


@pytest.mark.parametrize("action", ["kill", "raise"])
def test_struck_while_it_hands_over(kafka_bootstrap: str, topics: Topics, bundle: Path, action: str) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=24) as run:
        run.restart(FAILPOINT=f"in_revoke:1:{action}")
        run.start(slot=1)
        run.wait_for_end()
        run.restart()
        run.finish()


def test_asleep_beyond_its_session_while_it_hands_over(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=28) as run:
        run.restart(FAILPOINT=f"in_revoke:1:pause:{SLEEPS_S}")
        run.start(slot=1)
        run.wait_for("awake")
        run.finish()


def test_failing_amid_the_refill(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=29) as run:
        run.restart()
        run.kill()
        run.start(FAILPOINT="mid_refill:1:raise")
        run.wait_for_end()
        run.start()
        run.finish()


def test_commits_that_take_a_second_while_others_come_and_go(
    kafka_bootstrap: str, topics: Topics, bundle: Path
) -> None:
    """Partitions are taken away, and the worker told to stop, in the middle of a commit."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=26) as run:
        run.restart(MUTANT="slow_commit")
        run.start(slot=1, MUTANT="slow_commit")
        run.wait_for("partitions revoked")
        run.wait_for_progress(time.monotonic(), "another has joined, commits of a second")
        run.stop(1)
        run.finish()


def test_one_that_leaves_as_the_group_changes_leaves_in_peace(
    kafka_bootstrap: str, topics: Topics, bundle: Path
) -> None:
    """Its last commit comes to nothing; what that was of is read by the next owner, to whom it hands over."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=27) as run:
        run.restart(MUTANT="last_commit_void")
        run.start(slot=1)
        run.wait_for(r'"partitions": {"', slot=1)
        leaving = run.worker()
        run.stop(0)
        assert leaving.events("partitions handed over")
        run.finish()
        assert run.aborted(since=STOPPING)  # as a graceful handover has none


def test_what_was_aborted_shows(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    """In the log and in the topics; of both, other tests ask that it be nothing."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=23) as run:
        run.start(FAILPOINT="before_commit:9:abort")
        run.wait_for("taken up anew")
        run.finish()
        assert len(run.aborted()) == 1
        assert run.aborted_records()
