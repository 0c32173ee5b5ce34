"""A worker on a test's own topics."""

from pathlib import Path

import pytest
from support.kafka_broker import Topics
from support.workers import environment


@pytest.fixture
def env(kafka_bootstrap: str, topics: Topics, bundle: Path) -> dict[str, str]:
    """The environment of a worker on this test's topics, with the small bundle."""
    return environment(kafka_bootstrap, topics, bundle)
