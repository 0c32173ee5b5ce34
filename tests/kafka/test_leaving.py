"""Leaving the group at any moment, also while an assignment waits unanswered: the client's own close hangs there."""

import subprocess
import sys
import time

import pytest
from confluent_kafka import ConsumerGroupState, KafkaException
from confluent_kafka.admin import AdminClient
from support.kafka_broker import Topics

LEAVES_WITHIN_S = 20.0

# A process of its own: the hang holds the interpreter's lock, so nothing could end it from within.
MEMBER = """
import sys
from worker.kafka.rewind import EMPTY, Rewind
from worker.kafka.source import Source
from worker.metrics import Metrics
from worker.settings import KafkaSettings, Settings, TopicSettings

settings = Settings.model_construct(
    kafka=KafkaSettings(bootstrap_servers=sys.argv[1], group_id=sys.argv[2], session_timeout_ms=10_000),
    topics=TopicSettings(sensors=sys.argv[3]), start_from="earliest",
)
source = Source(settings, Metrics())
source.rewind = Rewind(settings, "ab12", lambda *_: EMPTY, lambda *_: None)
source.subscribe()
print("subscribed", flush=True)
polling = sys.argv[4] == "polling"
while polling and not source.has_joined:
    source.poll(100, 0.05, 0)
sys.stdin.readline()
was_member = source.has_joined
source.close()
print("left, a member" if was_member else "left, no member", flush=True)
"""


def is_stable(admin: AdminClient, group: str) -> bool:
    try:
        described = admin.describe_consumer_groups([group])[group].result(10)
    except KafkaException:  # its coordinator is not known yet
        return False
    return bool(described.state == ConsumerGroupState.STABLE and described.members[0].assignment.topic_partitions)


@pytest.mark.parametrize("moment", ["polling", "assignment waiting", "join under way"])
def test_member_leaves_at_any_moment_of_its_join(kafka_bootstrap: str, topics: Topics, moment: str) -> None:
    member = subprocess.Popen(
        [sys.executable, "-c", MEMBER, kafka_bootstrap, topics.group_id, topics.sensors, moment],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert member.stdout is not None
        assert member.stdout.readline() == "subscribed\n"
        if moment != "join under way":
            admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
            deadline = time.monotonic() + LEAVES_WITHIN_S
            while not is_stable(admin, topics.group_id):  # the broker has given it partitions; it may not know yet
                assert time.monotonic() < deadline
        said, _ = member.communicate("leave\n", timeout=LEAVES_WITHIN_S)
        assert said.splitlines()[-1] == ("left, a member" if moment == "polling" else "left, no member")
        assert member.returncode == 0
    finally:
        member.kill()
        member.communicate()
