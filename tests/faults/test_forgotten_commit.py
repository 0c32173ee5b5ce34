"""The only broker is killed between the decision to commit and the markers, and forgets to write them.

Which moment that is nobody is told: so many producers commit one transaction after the other when it is killed.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import compress
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from support.fault_scenes import AS_USUAL
from support.kafka_broker import Topics
from support.workers import environment, running

from worker.brokers.apache_kafka import ApacheKafka
from worker.brokers.topics import COMPACTED, create_topics

pytestmark = [pytest.mark.extended, pytest.mark.kafka(own=True), pytest.mark.timeout(300)]

_COMMITTERS = 24
_COMMITS = 10
_BEGUN_WITHIN_S = 10.0
_ROUNDS = 4


class Committer:
    """Commits offsets of a group of its own, one transaction after the other, under the name of its worker's producer.

    Attributes:
        group_id: of the group.
        tried: the last offset it tried to commit.
        done: the last of a commit that was acknowledged: before the markers, as Kafka does.
        stood: what the broker shows whoever does not wait for transactions, once it is back.
        is_under_way: set once it has committed a few.
        is_over: to be set for it to end.
    """

    def __init__(self, bootstrap: str, sensors: str, group_id: str) -> None:
        self.group_id = group_id
        self.tried = self.done = self.stood = 0
        self.is_under_way = threading.Event()
        self.is_over = threading.Event()
        self._bootstrap, self._sensors = bootstrap, sensors
        threading.Thread(target=self._work, daemon=True).start()  # a call may hang once the broker is gone

    def _producer(self, **more: int) -> Producer:
        name = f"{self.group_id}-0"
        producer = Producer({"bootstrap.servers": self._bootstrap, "transactional.id": name, "log_level": 0, **more})
        producer.init_transactions(30)
        return producer

    def _consumer(self, isolation: str) -> Consumer:
        return Consumer(
            {"bootstrap.servers": self._bootstrap, "group.id": self.group_id, "isolation.level": isolation,
             "log_level": 0}
        )  # fmt: skip

    def _work(self) -> None:
        with suppress(KafkaException):  # the broker is gone
            # Commit after commit; whoever waits longer, for a broker that ends what was open, must not ask so often.
            producer = self._producer(**{"retry.backoff.ms": 1})
            consumer = self._consumer("read_committed")
            consumer.committed([TopicPartition(self._sensors, 0)], 30)  # has a coordinator, or `send_offsets` may hang
            group = consumer.consumer_group_metadata()
            while not self.is_over.is_set():
                producer.begin_transaction()
                self.tried += 1
                producer.send_offsets_to_transaction([TopicPartition(self._sensors, 0, self.tried)], group, 10)
                producer.commit_transaction(10)
                self.done = self.tried
                if self.tried >= _COMMITS:
                    self.is_under_way.set()

    def is_forgotten(self) -> bool:
        """Whether offsets are withheld although no transaction is open: the next producer would have ended it."""
        where = [TopicPartition(self._sensors, 0)]
        try:
            self._producer()
            self.stood = self._consumer("read_uncommitted").committed(where, 30)[0].offset
        except KafkaException:
            return False  # it may be, but is not known to
        patient = self._consumer("read_committed")
        return all(_times_out(patient, where) for _ in range(2))


def _times_out(consumer: Consumer, where: list[TopicPartition]) -> bool:
    try:
        consumer.committed(where, 3)
    except KafkaException as error:
        return bool(error.args[0].code() == KafkaError._TIMED_OUT)
    return False


@contextmanager
def _forgotten() -> Iterator[tuple[ApacheKafka, Topics, Committer | None]]:
    """A broker that was killed and is back, and a committer whose last commit it forgot, if there is one."""
    with ApacheKafka(extra=dict(AS_USUAL)) as kafka:
        topics = Topics.unique(1)
        create_topics(kafka.bootstrap_servers, dict.fromkeys(topics.names, 1), configs={topics.worker_state: COMPACTED})
        committers = [
            Committer(kafka.bootstrap_servers, topics.sensors, f"{topics.group_id}-{number}")
            for number in range(_COMMITTERS)
        ]
        until_s = time.monotonic() + _BEGUN_WITHIN_S  # a few may hang from the start
        committers = [one for one in committers if one.is_under_way.wait(until_s - time.monotonic())]
        (broker,) = kafka.nodes
        broker.kill()
        for one in committers:
            one.is_over.set()
        broker.start()
        with ThreadPoolExecutor(_COMMITTERS) as threads:
            forgotten = list(threads.map(Committer.is_forgotten, committers))
        yield kafka, topics, next(compress(committers, forgotten), None)


@pytest.mark.alone  # two dozen producers that commit without a pause leave others no processor
def test_a_worker_ends_what_the_broker_forgot_to_end(bundle: Path) -> None:
    for _ in range(_ROUNDS):
        with _forgotten() as (kafka, topics, committer):
            if committer is None:
                continue
            env = environment(kafka.bootstrap_servers, topics, bundle, kafka__group_id=committer.group_id)
            with running(env) as worker:
                worker.wait_for("ending what the broker may have forgotten")
                # It goes on at what was decided, not at what stood before. The log is shorter by this test's doing.
                said = json.loads(worker.wait_for("the log was cut off below our offset"))
            assert said["wanted"] in {committer.done, committer.tried} - {committer.stood}
            return
    pytest.skip(f"{_ROUNDS} kills amid the commits of {_COMMITTERS} producers, and nothing was forgotten")
