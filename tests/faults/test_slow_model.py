"""A model slower than its line: the worker falls behind, and is not taken for dead."""

from pathlib import Path

import pytest
from support.fault_run import FaultRun
from support.kafka_broker import Topics

MUST_POLL_EVERY = '{"max.poll.interval.ms": "3000"}'


@pytest.mark.extended
@pytest.mark.parametrize("topics", [3], indirect=True)
def test_a_slow_model_keeps_its_partitions(kafka_bootstrap: str, topics: Topics, bundle: Path) -> None:
    """A full poll of 1,000 records would take it several times as long as the group waits."""
    with FaultRun(kafka_bootstrap, topics, bundle, seed=41, per_s=5000, kafka__extra=MUST_POLL_EVERY) as run:
        run.wait_s(0.6)
        worker = run.start(MUTANT="slow_model")
        run.wait_for_committed(500)
        run.finish()
        assert not worker.events("partitions lost")
