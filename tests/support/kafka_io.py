"""Scans in and outputs back, by clients that know nothing of the worker."""

import time
from collections.abc import Callable, Iterable, Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from models.messages import SensorScan, encode


def publish(bootstrap: str, topic: str, records: Iterable[tuple[str, bytes | None]]) -> None:
    """Publish (key, value) records in order and wait until all are acknowledged."""
    refused: list[object] = []
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "enable.idempotence": True, "message.max.bytes": 64 << 20,
         "partitioner": "murmur2_random", "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=lambda error, _: refused.append(error) if error else None)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert refused == []


def publish_scans(bootstrap: str, topic: str, scans: Iterable[SensorScan]) -> None:
    """Publish scans keyed by strand."""
    publish(bootstrap, topic, ((scan.strand_id, encode(scan)) for scan in scans))


def read_back(
    bootstrap: str,
    topic: str,
    enough: Callable[[Sequence[Message]], bool],
    within_s: float = 60.0,
    *,
    settle: bool = True,
) -> list[Message]:
    """Everything in a topic, from its beginning until it is `enough`, and with `settle` until nothing more comes."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "independent-reader", "enable.auto.commit": False,
         "isolation.level": "read_committed"}
    )  # fmt: skip
    found: list[Message] = []
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        deadline = time.monotonic() + within_s
        while True:
            messages = consumer.consume(10_000, 0.5) if settle else consumer.consume(1, 0.5)
            assert all(message.error() is None for message in messages)
            found += messages
            if enough(found) and not (settle and messages):
                return found
            assert time.monotonic() < deadline, f"only {len(found)} records came to {topic} within {within_s:g} s"
    finally:
        consumer.close()


def at_least(count: int) -> Callable[[Sequence[Message]], bool]:
    """Enough is this many."""
    return lambda found: len(found) >= count


def aborted_records(bootstrap: str, topics: Iterable[str], within_s: float = 30.0) -> list[str]:
    """Records that stand in these topics and that no reader of committed records is given, as `topic/partition@offset`.

    Of transactions that were aborted, if none is open. Whatever the topics hold at the call is read twice.
    """
    stands, shows = (_places(bootstrap, topics, isolation, within_s) for isolation in ("uncommitted", "committed"))
    return sorted(stands - shows)


def _places(bootstrap: str, topics: Iterable[str], isolation: str, within_s: float) -> set[str]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "independent-reader", "enable.auto.commit": False,
         "isolation.level": f"read_{isolation}", "enable.partition.eof": True}
    )  # fmt: skip
    found: set[str] = set()
    try:
        known = consumer.list_topics(timeout=10).topics
        left = {(topic, partition) for topic in topics for partition in known[topic].partitions}
        consumer.assign([TopicPartition(*one, OFFSET_BEGINNING) for one in left])
        deadline = time.monotonic() + within_s
        while left:
            for message in consumer.consume(10_000, 0.2):
                where = (str(message.topic()), message.partition() or 0)
                if message.error() is None:
                    found.add(f"{where[0]}/{where[1]}@{message.offset()}")
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    left.discard(where)
            assert time.monotonic() < deadline, f"not read to their ends within {within_s:g} s: {left}"
        return found
    finally:
        consumer.close()


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """The offset after the last record of every partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "independent-reader"})
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
    finally:
        consumer.close()


def committed_offsets(bootstrap: str, group: str, topic: str, partitions: int) -> dict[int, int]:
    """What a group has committed; -1001 for nothing."""
    return {tp.partition: tp.offset for tp in committed(bootstrap, group, topic, partitions)}


def committed(bootstrap: str, group: str, topic: str, partitions: int) -> list[TopicPartition]:
    """The same with metadata; what a dead worker left open must have been ended, which takes some 10 s."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group})
    try:
        return consumer.committed([TopicPartition(topic, partition) for partition in range(partitions)], timeout=30)
    finally:
        consumer.close()
