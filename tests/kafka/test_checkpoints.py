"""Checkpoints read back from the topic, and what is made of those that are gone."""

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from support.kafka_broker import Topics
from support.kafka_io import publish

from worker.kafka.checkpoints import Checkpoints
from worker.kafka.committed import Committed, Pointer, pack
from worker.kafka.peek import Peek
from worker.records import AlertState, PartitionState, Reached
from worker.settings import KafkaSettings, Settings, TopicSettings

THEN = AlertState("p.c.a", "sticker", 1, None, 1, None, 1, 0.9, None, None, None, 0.9, "critical", "m@1", "ab")
NOW = AlertState("p.c.a", "sticker", 1, None, 1, None, 2, 0.9, None, None, None, 0.9, "critical", "m@1", "ab")
REACHED = {"p.c.a": Reached(1_000_000, 79)}
KEPT = PartitionState({"p.c.a": 60}, [THEN], reached=REACHED)

pytestmark = pytest.mark.parametrize("topics", [1], indirect=True)


def whole(
    bootstrap: str, topics: Topics, pointer: Pointer, offset: int = 100, alerts: Sequence[AlertState] = (NOW,)
) -> PartitionState:
    settings = Settings.model_construct(
        kafka=KafkaSettings(bootstrap_servers=bootstrap, group_id="g"),
        topics=TopicSettings(worker_state=topics.worker_state),
    )
    checkpoints = Checkpoints(
        settings, "ab12", lambda _: KEPT, lambda _: KEPT.alerts, lambda _: (6, -1), Peek(settings.kafka)
    )
    return checkpoints.whole(
        ("t", 3), offset, Committed("ab12", 6, PartitionState({}, list(alerts)), pointer), time.monotonic() + 10
    )


def test_comes_back_with_the_alerts_that_were_committed_last(kafka_bootstrap: str, topics: Topics) -> None:
    publish(kafka_bootstrap, topics.worker_state, [("g/t/2", b"?"), ("g/t/3", pack(Committed("ab12", 6, KEPT)))])
    assert whole(kafka_bootstrap, topics, Pointer(0, 1, at=100), alerts=()) == KEPT
    assert whole(kafka_bootstrap, topics, Pointer(0, 1, at=100)) == PartitionState({"p.c.a": 60}, [NOW], None, REACHED)
    assert whole(kafka_bootstrap, topics, Pointer(0, 1, at=80)) == PartitionState({"p.c.a": 60}, [NOW], 80, REACHED)


@pytest.mark.parametrize("number", [0, 2, 7])
def test_what_is_another_or_gone_leaves_the_alerts(
    kafka_bootstrap: str, topics: Topics, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    topics = replace(topics, worker_state=topics.alerts)  # from a compacted one nothing can be deleted at will
    publish(kafka_bootstrap, topics.worker_state, [("g/t/2", pack(Committed("ab12", 6, KEPT)))] * 3)
    partition = TopicPartition(topics.worker_state, 0, 2)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    if number == 0:
        admin.delete_records([partition])[partition].result(10)
    assert whole(kafka_bootstrap, topics, Pointer(0, number, at=80)) == PartitionState({}, [NOW])
    assert whole(kafka_bootstrap, topics, Pointer(0, number, at=100)) == PartitionState({}, [NOW])
    assert "the checkpoint cannot be read; windows start warming" in capsys.readouterr().out
