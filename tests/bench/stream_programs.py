"""Programs that a streaming benchmark runs on the worker's core, one at a time; each prints what it measured as JSON.

python tests/bench/stream_programs.py consume BOOTSTRAP TOPIC RECORDS
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from models import bundle as bundles
from models.runtime import Predictor
from models.strand_window import StrandWindow
from worker.kafka import config
from worker.loop import Loop
from worker.pieces import pieces
from worker.pipeline import DECODED_BYTES
from worker.records import Origin, RawRecord
from worker.settings import KafkaSettings
from worker.stages.decode import ScanDecoder

FETCHED = 100_000
"""Records after which the client has fetched ahead as far as it goes: 20,000 of each of four partitions."""


def consume(bootstrap: str, topic: str, records: str) -> dict[str, float]:
    """The client as the worker sets it, counting bytes."""
    size = 0

    def take(messages: list) -> None:
        nonlocal size
        for message in messages:
            size += len(message.value())

    return {"per_s": _consumed(bootstrap, topic, int(records), take), "bytes": size}


def decode(bootstrap: str, topic: str, records: str) -> dict[str, float]:
    """And the worker's own decode stage, into its float32 block."""
    decode = ScanDecoder(bundles.read("current").manifest.sensor_names).decode

    def take(messages: list) -> None:
        polled = [RawRecord(Origin((m.topic(), m.partition()), m.offset()), m.key(), m.value()) for m in messages]
        for piece in pieces(polled, DECODED_BYTES):
            decode(piece)

    return {"per_s": _consumed(bootstrap, topic, int(records), take)}


def infer(bundle: str) -> dict[str, float]:
    """ONNX Runtime alone: windows a second at every batch size."""
    predictor = Predictor(bundles.read(bundle), device="cpu", batch_sizes=(1, 8, 16, 32, 64, 256))
    rules = predictor.manifest.window
    rng = np.random.default_rng(0)
    found = {}
    for size in predictor.batch_sizes:
        windows = rng.normal(0, 1, (size, rules.length, len(predictor.manifest.sensors))).astype(np.float32)
        runs, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < 0.4:
            predictor.run(windows)
            runs += 1
        found[str(size)] = runs * size / seconds
    return found


def memory(strands: str) -> dict[str, float]:
    """Resident bytes a strand with a full window of the released default, above the base."""
    manifest = bundles.read("current").manifest
    sensors, rules = len(manifest.sensors), manifest.window
    row, held = np.zeros(sensors, np.float32), []
    before = _resident_bytes()
    for number in range(int(strands)):
        window = StrandWindow(rules, f"plant1.c1.s{number}", sensors)
        for index in range(2 * rules.length):
            window.push(index * rules.period_ms, row, index, 0)
        held.append(window)
    return {"bytes": (_resident_bytes() - before) / len(held), "length": rules.length, "sensors": sensors}


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def echo(bootstrap: str, topic: str, output: str) -> dict[str, float]:
    """Each record as it comes into another topic, offsets afterwards; until it is killed."""
    consumer = _consumer(bootstrap, topic)
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    commit_at = time.monotonic()
    while True:
        message = consumer.poll(0.05)
        if message is not None and not message.error():
            producer.produce(output, message.value(), message.key())
        producer.poll(0)
        if message is not None and time.monotonic() >= commit_at:
            consumer.commit(message, asynchronous=True)
            commit_at = time.monotonic() + 0.1


def _consumer(bootstrap: str, topic: str) -> Consumer:
    kafka = KafkaSettings(bootstrap_servers=bootstrap, group_id=f"bench-{time.time_ns()}")
    consumer = Consumer(config.consumer(kafka, lambda _: None, lambda *_: None))
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    return consumer


def _consumed(bootstrap: str, topic: str, records: int, take: Callable[[list], None]) -> float:
    """Records a second, from when as many lie fetched as will at the end."""
    consumer = _consumer(bootstrap, topic)
    taken = 0
    counted_from, began = 0, 0.0
    for messages in _polls(consumer, records):
        take(messages)
        taken += len(messages)
        if not began and taken >= FETCHED:
            counted_from, began = taken, time.perf_counter()
    seconds = time.perf_counter() - began
    consumer.close()
    return (taken - counted_from) / seconds


def _polls(consumer: Consumer, records: int) -> Iterator[list]:
    while records > 0:
        messages = consumer.consume(Loop.POLL_LIMIT, 0.002)
        records -= len(messages)
        yield messages


PROGRAMS: dict[str, Callable[..., dict[str, float]]] = {
    program.__name__: program for program in (consume, decode, echo, infer, memory)
}

if __name__ == "__main__":
    print(json.dumps(PROGRAMS[sys.argv[1]](*sys.argv[2:])))
