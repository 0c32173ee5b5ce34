"""Brokers are killed, or stopped and started: the line goes on."""

from pathlib import Path

import pytest
from support import fault_scenes
from support.mutants_apart import APART

pytestmark = [pytest.mark.extended, pytest.mark.kafka(own=True), pytest.mark.timeout(300)]


@pytest.mark.alone
def test_every_role_of_three_is_killed_once(bundle: Path) -> None:
    with fault_scenes.line(3, 3, bundle, seed=51) as (kafka, run):
        fault_scenes.every_role(kafka, run)
        run.finish(120)


@pytest.mark.alone
def test_all_of_three_are_stopped_and_started_in_turn(bundle: Path) -> None:
    with fault_scenes.line(3, 3, bundle, seed=52) as (kafka, run):
        fault_scenes.rolling(kafka, run)
        run.finish(120)


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "idle"])
def test_the_only_one_is_down(bundle: Path, busy: bool) -> None:
    with fault_scenes.line(1, 2, bundle, seed=61) as (kafka, run):
        fault_scenes.down(kafka, run, 15, busy=busy)
        run.finish(120)


def test_without_the_remedy_a_call_hangs_once_the_broker_is_back(bundle: Path) -> None:
    """librdkafka 5456: five times of six. That there is progress with it is the test above."""
    assert APART["trusts_its_producer"](bundle, 0), "four outages, and no call hung: is the remedy needed any more?"
