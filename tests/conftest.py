"""What every test may use; the fixtures for a real Kafka come from tests/support/kafka_broker.py."""

import signal
from pathlib import Path

import pytest

pytest_plugins = ["support.kafka_broker"]

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them the processes they start, whose
# answer to it is what some tests look at.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small exact bundle of tests/support/bundles.py."""
    from support.bundles import write_bundle

    return write_bundle(tmp_path_factory.mktemp("bundles") / "test")
