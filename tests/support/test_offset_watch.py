"""Whether the watch over committed offsets notices what it is there for."""

import pytest
from confluent_kafka import Consumer, TopicPartition
from support.kafka_broker import Topics
from support.offset_watch import OffsetWatch


def test_a_broker_that_never_answers_is_complained_of() -> None:
    watch = OffsetWatch("127.0.0.1:1", Topics.unique(2), ask_s=0.2)
    watch.look()
    assert watch.answers == 0
    (text,) = watch.complaints
    assert text.startswith("committed offsets of [0, 1] were never told")
    watch.close()


@pytest.mark.parametrize(("then", "complaints"), [(5, ["committed offset of 0: 5 after 9"]), (9, []), (12, [])])
def test_an_offset_that_goes_back_is_complained_of(
    kafka_bootstrap: str, topics: Topics, then: int, complaints: list[str]
) -> None:
    """`topics` are of four partitions; of the others nothing is committed, which is an answer."""
    watch = OffsetWatch(kafka_bootstrap, topics, ask_s=10)
    group = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": topics.group_id})
    for offset in (9, then):
        group.commit(offsets=[TopicPartition(topics.sensors, 0, offset)], asynchronous=False)
        watch.look()
    assert watch.complaints == complaints
    assert watch.answers == 8
    group.close()
    watch.close()
