"""Every test of this directory needs a real Kafka."""

from pathlib import Path

import pytest
from support.bundles import write_bundle


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("kafka") is None:
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small exact bundle of tests/support/bundles.py."""
    return write_bundle(tmp_path_factory.mktemp("bundles") / "test")
