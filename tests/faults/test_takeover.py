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
    run.wait_for_output(time.monotonic())
    run.wait_for("awake")


@pytest.mark.parametrize("topics", [3], indirect=True)
@pytest.mark.parametrize("mutant", ["", "accept_zombie"])
def test_one_that_slept_while_another_took_over_commits_nothing(
    kafka_bootstrap: str, topics: Topics, bundle: Path, mutant: str
) -> None:
    with FaultRun(kafka_bootstrap, topics, bundle, seed=5) as run:
        asleep(run, MUTANT=mutant)
        assert bool(run.differences(within_s=20)) == bool(mutant), run.logs()
