"""Workers killed at any moment: nothing lost, nothing twice, nothing wrong."""

import random
from pathlib import Path

import pytest
from support import fault_scenes
from support.fault_run import FaultRun
from support.kafka_broker import Topics


@pytest.mark.parametrize("topics", [3], indirect=True)
@pytest.mark.parametrize("seed", [1])
def test_a_line_survives_random_kills(kafka_bootstrap: str, topics: Topics, bundle: Path, seed: int) -> None:
    rng = random.Random(seed)
    with FaultRun(kafka_bootstrap, topics, bundle, seed=seed) as run:
        run.restart()
        for number in range(4):
            fault_scenes.kill(run, rng, number)
        run.finish()
