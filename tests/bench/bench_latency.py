"""How long from a scan to its prediction at a caster's pace, above a bare echo; told by a reader of its own.

One scan is published at a time, 64 a second, and each makes a prediction; a real Apache Kafka on one core with whoever
publishes and reads, the echo or the worker with its default settings on the other.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import stream_setup
from confluent_kafka import Consumer, Producer, TopicPartition
from results import REPETITIONS, Absent, Row, row, row_within
from stream_setup import WORKER_CORE
from support.kafka_broker import Topics
from support.workers import environment

from models.messages import encode
from worker.brokers.topics import create_topics

PROGRAMS = Path(__file__).with_name("stream_programs.py")
PARTITIONS = 4
STRANDS, SCANS_A_SECOND = 32, 64
BEFORE = 250 * STRANDS
"""Scans that fill every window first."""

SCANS = 8 * SCANS_A_SECOND
MOST_MS = {"at_least_once": {50: 3, 99: 10}, "exactly_once": {50: 25, 99: 60}}
WITHIN_S = 60.0


def rows() -> Iterator[Row | Absent]:
    """Measure."""
    affinity = os.sched_getaffinity(0)
    if len(affinity) < 2:
        yield Absent("latency: it takes two cores, one for the broker and one for the worker")
        return
    found: list[dict[str, np.ndarray]] = []
    try:
        with tempfile.TemporaryDirectory() as folder, stream_setup.kafka() as broker:
            bundle = stream_setup.write_bundle(Path(folder) / "bench-1", 1)
            _measured(broker.bootstrap_servers, bundle, ["echo"])  # a broker that has just begun is slow
            found += [_measured(broker.bootstrap_servers, bundle) for _ in range(REPETITIONS)]
    finally:
        os.sched_setaffinity(0, affinity)
    for percent in (50, 99):
        echoes = [float(np.percentile(one["echo"], percent)) for one in found]
        yield row(f"latency of a bare echo, p{percent}", echoes, "ms", "itself", sorted(echoes)[len(echoes) // 2], None)
    for delivery, limits in MOST_MS.items():
        for percent, most in limits.items():
            above = [
                float(np.percentile(one[delivery], percent) - np.percentile(one["echo"], percent)) for one in found
            ]
            yield row_within(f"latency above it, {delivery.replace('_', ' ')}, p{percent}", above, "ms", most)


def _measured(bootstrap: str, bundle: Path, kinds: Sequence[str] = ("echo", *MOST_MS)) -> dict[str, np.ndarray]:
    """Milliseconds of every scan from when it was handed to the client: the echo's, and the worker's by delivery."""
    times = {}
    for kind in kinds:
        names = Topics.unique(PARTITIONS)
        create_topics(bootstrap, dict.fromkeys(names.names, PARTITIONS))
        stream_setup.fill(bootstrap, names.sensors, STRANDS, BEFORE)
        with _between(kind, bootstrap, names, bundle):
            times[kind] = _latencies_ms(bootstrap, names)
    return times


def _between(kind: str, bootstrap: str, names: Topics, bundle: Path) -> AbstractContextManager[object]:
    """Whoever makes outputs of scans."""
    if kind == "echo":
        return _echo(bootstrap, names)
    return stream_setup.pinned(environment(bootstrap, names, bundle, delivery=kind, kafka__session_timeout_ms=10_000))


@contextmanager
def _echo(bootstrap: str, names: Topics) -> Iterator[None]:
    command = [sys.executable, str(PROGRAMS), "echo", bootstrap, names.sensors, names.predictions]
    with stream_setup.on_cores({WORKER_CORE}):
        program = subprocess.Popen(command)
    try:
        yield
    finally:
        program.kill()
        program.wait()


class Reader(threading.Thread):
    """Reads committed records of a topic from its beginning.

    Attributes:
        came_s: when each came, by `time.perf_counter`, under its strand and sequence number.
    """

    def __init__(self, bootstrap: str, topic: str) -> None:
        super().__init__(daemon=True)
        self.came_s: dict[tuple[str, int], float] = {}
        self._came, self._ending = threading.Condition(), threading.Event()
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "bench-reader", "isolation.level": "read_committed",
             "enable.auto.commit": False}
        )  # fmt: skip
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])

    def run(self) -> None:
        """Read until told to stop."""
        while not self._ending.is_set():
            message = self._consumer.poll(0.05)
            if message is not None and not message.error():
                now_s = time.perf_counter()
                found = json.loads(message.value())
                with self._came:
                    self.came_s.setdefault((found["strand_id"], found["seq"]), now_s)
                    self._came.notify_all()
        self._consumer.close()

    def wait_for(self, count: int) -> None:
        """Until so many have come."""
        with self._came:
            is_done = self._came.wait_for(lambda: len(self.came_s) >= count, WITHIN_S)
        assert is_done, f"expected {count} outputs, got {len(self.came_s)} in {WITHIN_S:g} s"

    def stop(self) -> None:
        """End, and wait for it."""
        self._ending.set()
        self.join()


def _latencies_ms(bootstrap: str, names: Topics) -> np.ndarray:
    reader = Reader(bootstrap, names.predictions)
    reader.start()
    try:
        reader.wait_for(BEFORE)
        sent_s = _publish(bootstrap, names.sensors)
        reader.wait_for(BEFORE + SCANS)
    finally:
        reader.stop()
    return np.array([1000 * (reader.came_s[key] - at_s) for key, at_s in sent_s.items()])


def _publish(bootstrap: str, topic: str) -> dict[tuple[str, int], float]:
    """The scans after the first, at their pace; when each was handed to the client."""
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0, "partitioner": "murmur2_random"})
    producer.list_topics(topic, timeout=10)
    sent_s: dict[tuple[str, int], float] = {}
    began_s = time.perf_counter()
    for number, scan in enumerate(stream_setup.scans(STRANDS, range(BEFORE, BEFORE + SCANS))):
        while (early_s := began_s + number / SCANS_A_SECOND - time.perf_counter()) > 0:
            producer.poll(early_s)
        sent_s[scan.strand_id, scan.seq or 0] = time.perf_counter()
        producer.produce(topic, encode(scan), scan.strand_id)
    producer.flush()
    return sent_s
