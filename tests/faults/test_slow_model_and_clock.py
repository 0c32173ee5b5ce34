"""A model slower than its line, and a wall clock that jumps: nothing of it shows but in the latency figures."""

import itertools
from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics
from support.uneven_line import uneven_line

MUST_POLL_EVERY = '{"max.poll.interval.ms": "3000"}'


@pytest.mark.extended
@pytest.mark.parametrize("topics", [3], indirect=True)
def test_a_slow_model_keeps_its_partitions(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    """A full poll, half of them due, would take it longer than the group waits."""
    line = itertools.islice(uneven_line(41), 4000)
    with FaultRun(kafka_bootstrap, topics, bundle, line=line, per_s=5000, kafka__extra=MUST_POLL_EVERY) as run:
        run.wait_s(0.6)
        worker = run.start(MUTANT="slow_model")
        run.wait_for_committed(500)
        run.finish()
        assert not worker.events("partitions lost")


@pytest.mark.extended
@pytest.mark.parametrize("topics", [3], indirect=True)
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_wall_clock_may_jump(kafka_bootstrap: str, topics: Topics, bundle: Path, delivery: str) -> None:
    """As the worker reads it, for latency figures only; what librdkafka and the broker do by theirs is not tried."""
    line = uneven_line(42, is_orderly=True)  # set back, a strand's clock may make the name of an alert a second time
    with FaultRun(kafka_bootstrap, topics, bundle, seed=42, line=line, delivery=delivery) as run:
        run.restart(MUTANT="clock_jumps")
        run.wait_s(5.0)
        run.restart(MUTANT="clock_jumps")
        run.finish()
        assert run.worker().process.poll() is None
