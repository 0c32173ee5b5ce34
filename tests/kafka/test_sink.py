"""The sink on a real broker: no offset is committed before everything it caused has been acknowledged."""

import time
from collections.abc import Callable, Iterator

import pytest
from support.kafka_broker import Topics
from support.kafka_io import at_least, committed_offsets, publish, read_back

from worker.brokers.topics import create_topics
from worker.errors import DeliveryError
from worker.kafka.rewind import EMPTY, Rewind
from worker.kafka.sink import AtLeastOnceSink
from worker.kafka.source import Source
from worker.metrics import Metrics
from worker.records import Outgoing, Processed, RawRecord
from worker.settings import KafkaSettings, Settings, TopicSettings

WITHIN_S = 20.0


class Door:
    """Source and sink as the worker wires them, turned by hand."""

    def __init__(self, bootstrap: str, topics: Topics) -> None:
        self.late_topic = f"{topics.alerts}.later"
        self.settings = Settings.model_construct(
            kafka=KafkaSettings(bootstrap_servers=bootstrap, group_id=topics.group_id, session_timeout_ms=3000),
            topics=TopicSettings(
                sensors=topics.sensors,
                predictions=topics.predictions,
                alerts=self.late_topic,
                dead_letters=topics.dead_letters,
            ),
            start_from="earliest",
            commit_interval_ms=10,
        )
        self.source = Source(self.settings, Metrics())
        self.sink = AtLeastOnceSink(self.settings, self.source, Metrics())
        self.source.on_assigned = self.sink.begin
        self.sink.state_text = lambda partition, *_: f"{partition[1]}"
        self.source.rewind = Rewind(self.settings, "ab12", lambda *_: EMPTY, lambda *_: None)
        self.source.subscribe()

    def take(self, count: int) -> list[RawRecord]:
        records: list[RawRecord] = []
        self.turn_until(lambda: len(records) >= count, lambda: records.extend(self.source.poll(100, 0.05, 0).new))
        return records

    def turn_until(self, done: Callable[[], bool], also: Callable[[], object] = lambda: None) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not done():
            assert time.monotonic() < deadline
            self.sink.tick()
            also()

    def turn(self, times: int) -> None:
        for _ in range(times):
            self.source.poll(100, 0.01, 0)
            self.sink.tick()


@pytest.fixture
def door(kafka_bootstrap: str, topics: Topics) -> Iterator[Door]:
    made = Door(kafka_bootstrap, topics)
    made.turn_until(lambda: made.source.has_joined, lambda: made.source.poll(100, 0.05, 0))
    yield made
    made.source.close()


@pytest.mark.parametrize("topics", [1], indirect=True)
def test_offset_waits_for_the_last_of_its_outputs(kafka_bootstrap: str, topics: Topics, door: Door) -> None:
    def committed() -> int:
        return committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, 1)[0]

    publish(kafka_bootstrap, topics.sensors, [("k", b"one"), ("k", b"two")])
    first, second = door.take(2)
    door.sink.publish(
        Processed(
            [Outgoing("predictions", b"k", b"first"), Outgoing("alerts", b"k", b"to a topic that is not there yet")],
            {first.origin.partition: first.origin.offset + 1},
        ),
        time.monotonic(),
    )
    door.sink.publish(
        Processed([Outgoing("predictions", b"k", b"second")], {second.origin.partition: second.origin.offset + 1}),
        time.monotonic(),
    )
    read_back(kafka_bootstrap, topics.predictions, at_least(2))
    door.turn(30)
    assert door.sink.outstanding == 1
    assert committed() == 0
    create_topics(kafka_bootstrap, {door.late_topic: 1})
    door.turn_until(lambda: committed() == 2, lambda: door.turn(1))
    assert door.sink.outstanding == 0


@pytest.mark.parametrize("topics", [1], indirect=True)
@pytest.mark.parametrize(("lost", "expected"), [(False, 1), (True, 0)])
def test_released_partition_is_committed_unless_it_is_lost_already(
    kafka_bootstrap: str, topics: Topics, door: Door, lost: bool, expected: int
) -> None:
    publish(kafka_bootstrap, topics.sensors, [("k", b"one")])
    (record,) = door.take(1)
    partition = record.origin.partition
    door.turn_until(lambda: committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, 1)[0] == 0)
    door.sink.publish(Processed([Outgoing("predictions", b"k", b"first")], {partition: 1}), time.monotonic())
    door.sink.release([partition], lost=lost)
    door.turn(20)
    assert committed_offsets(kafka_bootstrap, topics.group_id, topics.sensors, 1)[0] == expected


def test_output_that_is_refused_for_good_ends_the_worker(kafka_bootstrap: str, topics: Topics, door: Door) -> None:
    create_topics(kafka_bootstrap, {door.late_topic: 1}, configs={door.late_topic: {"max.message.bytes": "100"}})
    door.sink.publish(Processed([Outgoing("alerts", b"k", bytes(range(256)) * 8)], {}), time.monotonic())
    with pytest.raises(DeliveryError, match=r"expected .* to take a record of 2048 bytes"):
        door.turn_until(lambda: False)


def test_undrained_close_says_so(door: Door) -> None:
    door.sink.publish(Processed([Outgoing("alerts", b"k", b"nowhere to go")], {}), time.monotonic())
    assert door.sink.close(0.5) is False
