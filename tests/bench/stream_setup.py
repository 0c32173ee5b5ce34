"""What the streaming benchmarks run on: a network of the size agreed on, and topics full of scans.

bundle = write_bundle(folder, stride=20)
with kafka() as broker:
    fill(broker.bootstrap_servers, "sensors", strands=64, count=100_000)
"""

import os
import random
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from confluent_kafka import Producer
from support.workers import WorkerProcess

from models import bundle as bundles
from models.messages import SensorScan
from trainer.architectures import build_model
from trainer.config import from_dict
from trainer.dirt.stream import Arrival
from trainer.graphs.serving_graph import ServingGraph, to_onnx
from trainer.packing import Frames, Packing, Single
from trainer.preprocess import Preprocess
from worker.brokers.apache_kafka import ApacheKafka

NEVER = 10**9
"""A stride with which no prediction is due but the first of each strand."""

BROKER_CORE, WORKER_CORE = 0, 1
NETWORK = {
    "model_type": "cnn_lstm", "hidden_size": 64, "num_layers": 1, "window_length": 240, "pooling": "last_max",
    "model": {"cnn_features": 64},
}  # fmt: skip
"""Two convolutions of 64 features and one LSTM of 64."""

_PERIOD_MS = 500
_PATTERNS = 200


def write_bundle(folder: Path, stride: int) -> Path:
    """An untrained network in a bundle like the released one, due at every `stride`-th scan."""
    torch.manual_seed(0)
    like = bundles.read("current").manifest
    sensors, targets = len(like.sensors), len(like.targets)
    zeros, ones = np.zeros(sensors, np.float32), np.ones(sensors, np.float32)
    network = build_model(from_dict(NETWORK), sensors, targets)
    graph = ServingGraph(Preprocess(zeros, ones, zeros, 8.0), network).eval()
    rules = replace(like.window, stride=stride)
    windows = np.random.default_rng(0).normal(0, 1, (4, rules.length, sensors)).astype(np.float32)
    with torch.no_grad():
        answers = graph(torch.from_numpy(windows)).numpy()
    manifest = msgspec.structs.replace(like, name=f"bench-{stride}", window=rules, files={})
    bundles.write(folder, manifest, to_onnx(graph, rules, sensors), bundles.Golden(windows, answers), {})
    return folder


@contextmanager
def kafka() -> Iterator[ApacheKafka]:
    """A broker on a core of its own, as is this process and what it starts unless told otherwise."""
    os.sched_setaffinity(0, {BROKER_CORE})
    with ApacheKafka(jvm_options=("-Xmx1g",)) as broker:
        yield broker


FRAME_SCANS = 20


@contextmanager
def on_cores(cores: Collection[int]) -> Iterator[None]:
    """What is started within stays on these cores; afterwards this process is on the broker's."""
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, {BROKER_CORE})


@contextmanager
def pinned(env: dict[str, str], cores: Collection[int] = (WORKER_CORE,)) -> Iterator[WorkerProcess]:
    """A worker on these cores."""
    with on_cores(cores):
        worker = WorkerProcess(env)
    try:
        yield worker
    finally:
        worker.kill()
        assert worker.process.stderr is not None
        worker.process.stderr.close()


def scans(strands: int, numbers: Iterable[int]) -> Iterator[SensorScan]:
    """Scans of all strands in turn, by their numbers in the whole."""
    names = bundles.read("current").manifest.sensor_names
    rng = random.Random(0)
    patterns = [{name: round(rng.gauss(0, 1), 3) for name in names} for _ in range(_PATTERNS)]
    for number in numbers:
        index, strand = divmod(number, strands)
        yield SensorScan(
            strand_id=f"plant1.c{strand // 8}.s{strand % 8}",
            event_time_ms=1_764_000_000_000 + _PERIOD_MS * index,
            seq=index,
            heat_id=f"H{index // 4000}",
            strand_position_m=round(index / 100, 2),
            values=patterns[number % _PATTERNS],
        )


def fill(bootstrap: str, topic: str, strands: int, count: int, *, packed: bool = False) -> int:
    """Publish the first scans, packed in frames of 20 or not; returns how many bytes they take."""
    names = bundles.read("current").manifest.sensor_names
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "compression.type": "lz4", "batch.size": 1_000_000,
         "partitioner": "murmur2_random", "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    packing: Packing = Frames(names, FRAME_SCANS) if packed else Single()
    size = 0
    for number, scan in enumerate(scans(strands, range(count))):
        for one in packing.take(Arrival(scan.event_time_ms, scan)):
            size += len(one.value or b"")
            producer.produce(topic, one.value, one.key)
        if number % 1000 == 0:
            producer.poll(0)
        if number % 100_000 == 0:
            producer.flush()
    producer.flush()
    return size
