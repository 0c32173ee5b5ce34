"""The group as a real broker tells it: members, partitions of nobody, and no answer of the past."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import Consumer
from support.kafka_broker import Topics

from worker.kafka.group_view import GroupView
from worker.settings import KafkaSettings

PARTITIONS = 3
WITHIN_S = 30.0

pytestmark = pytest.mark.parametrize("topics", [PARTITIONS], indirect=True)


@pytest.fixture
def view(kafka_bootstrap: str, topics: Topics) -> GroupView:
    return GroupView(KafkaSettings(bootstrap_servers=kafka_bootstrap, group_id=topics.group_id), lambda _: None)


@contextmanager
def member(bootstrap: str, topics: Topics) -> Iterator[None]:
    """A static member of the group that has all partitions while the context lasts, and then leaves its name behind."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": topics.group_id, "group.instance.id": "first", "log_level": 0}
    )
    try:
        consumer.subscribe([topics.sensors])
        until_s = time.monotonic() + WITHIN_S
        while len(consumer.assignment()) < PARTITIONS:
            consumer.poll(0.1)
            assert time.monotonic() < until_s, f"expected {PARTITIONS} partitions, got {consumer.assignment()}"
        yield
    finally:
        consumer.close()


def test_a_group_of_one_has_everything_but_without_that_one_nothing(
    view: GroupView, kafka_bootstrap: str, topics: Topics
) -> None:
    with member(kafka_bootstrap, topics):
        assert view.members(WITHIN_S) == 1
        assert view.partitions_of_nobody(topics.sensors, PARTITIONS, within_s=WITHIN_S) == []
        assert view.partitions_of_nobody(topics.sensors, PARTITIONS + 1, within_s=WITHIN_S) == [PARTITIONS]
        others = view.partitions_of_nobody(topics.sensors, PARTITIONS, but="first", within_s=WITHIN_S)
        assert others == list(range(PARTITIONS))


def test_a_group_without_members_is_not_settled(view: GroupView, topics: Topics) -> None:
    assert view.partitions_of_nobody(topics.sensors, PARTITIONS, within_s=WITHIN_S) is None


def test_nothing_is_told_before_it_was_asked_or_an_answer_came(view: GroupView, topics: Topics) -> None:
    assert view.partitions_of_nobody(topics.sensors, PARTITIONS) is None
    assert view.members(within_s=0.0) is None


def test_an_answer_that_nobody_took_is_of_the_past(view: GroupView, kafka_bootstrap: str, topics: Topics) -> None:
    assert not view.members(WITHIN_S)
    view.ask()
    view._asked.exception(WITHIN_S)  # it is there, says that there is no member, and nobody takes it
    with member(kafka_bootstrap, topics):
        assert view.members(WITHIN_S) == 1


def test_an_answer_is_taken_once(view: GroupView, kafka_bootstrap: str, topics: Topics) -> None:
    with member(kafka_bootstrap, topics):
        view.ask()
        view._asked.exception(WITHIN_S)
        assert view.partitions_of_nobody(topics.sensors, PARTITIONS) == []
        assert view.partitions_of_nobody(topics.sensors, PARTITIONS) is None
