"""How fast scans become predictions, against what the client, decoding and ONNX Runtime allow; a real Apache Kafka on
one core, the worker on the other."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).parents[1]))

import stream_setup
from peers import PEERS, SCRIPT, Peer, PeerError
from results import REPETITIONS, Absent, Row, row_paired, row_within
from stream_setup import BROKER_CORE, NEVER, WORKER_CORE
from support.kafka_broker import Topics
from support.workers import WorkerProcess, environment

from worker.brokers.topics import create_topics

PROGRAMS = Path(__file__).with_name("stream_programs.py")
PARTITIONS = 4
STRANDS, MANY_STRANDS = 64, 10_000
EVERY = 20
SCANS_OF_NONE = 800_000
"""Where none is due, and a second is soon over."""

PACKED_SCANS = 5_000_000
SCANS_OF_EVERY_20TH = 400_000
WARM = STRANDS * 260
"""Scans after which every window may be full: if no prediction is for want of scans any more, time counts."""

SCANS_OF_EVERY_ONE = 64 * 1000
"""Where each makes a prediction: 240 of the 1,000 of each strand warm up, and what is done is told turn by turn."""


@dataclass
class Found:
    """Figures of the repetitions, by name; and which peers have none, and why."""

    values: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, value: float) -> None:
        """One more."""
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Of all."""
        return statistics.median(self.values[name])


def rows() -> Iterator[Row | Absent]:
    """Measure."""
    affinity = os.sched_getaffinity(0)
    if len(affinity) < 2:
        yield Absent("streaming: it takes two cores, one for the broker and one for the worker")
        return
    try:
        with tempfile.TemporaryDirectory() as folder, stream_setup.kafka() as broker:
            found = _measured(broker.bootstrap_servers, Path(folder))
        yield from _rows(found)
    finally:
        os.sched_setaffinity(0, affinity)


def _measured(bootstrap: str, folder: Path) -> Found:
    names = Topics.unique(PARTITIONS)
    few, many, packed = (f"{names.sensors}.{kind}" for kind in ("few", "many", "packed"))
    create_topics(bootstrap, dict.fromkeys([*names.names, few, many, packed], PARTITIONS))
    stream_setup.fill(bootstrap, few, STRANDS, SCANS_OF_NONE)
    stream_setup.fill(bootstrap, packed, STRANDS, PACKED_SCANS, packed=True)
    stream_setup.fill(bootstrap, many, MANY_STRANDS, SCANS_OF_NONE)
    bundles = {s: stream_setup.write_bundle(folder / f"bench-{s}", s) for s in (1, EVERY, NEVER)}
    found = Found()
    for _ in range(REPETITIONS):
        # What is held against each other one after the other: the machine's speed changes by the minute.
        found.take("consume", _program("consume", bootstrap, few, SCANS_OF_NONE)["per_s"])
        found.take("decode", _program("decode", bootstrap, few, SCANS_OF_NONE)["per_s"])
        found.take("none", _worker(bootstrap, names, few, bundles[NEVER], SCANS_OF_NONE).scans)
        found.take("many strands", _worker(bootstrap, names, many, bundles[NEVER], SCANS_OF_NONE).scans)
        none = _worker(bootstrap, names, packed, bundles[NEVER], PACKED_SCANS, encoding__input="packed")
        found.take("none, packed", none.scans)
        script = SCRIPT.prepare()
        _measure(found, "script, none", SCRIPT, script, [bootstrap, few, names.predictions, bundles[NEVER]], NEVER)
        before = _program("infer", bundles[1])
        found.take("every scan", _worker(bootstrap, names, few, bundles[1], SCANS_OF_EVERY_ONE).windows)
        for size, rate in _program("infer", bundles[1]).items():
            found.take(f"infer, {size}", (rate + before[size]) / 2)
        both = _worker(bootstrap, names, few, bundles[1], SCANS_OF_EVERY_ONE, cores={BROKER_CORE, WORKER_CORE})
        found.take("every scan, two cores", both.windows)
        scans = 2 * SCANS_OF_EVERY_20TH
        packed_20th = _worker(bootstrap, names, packed, bundles[EVERY], scans, encoding__input="packed")
        found.take("every 20th, packed", packed_20th.scans)
        every_20th = _worker(bootstrap, names, few, bundles[EVERY], SCANS_OF_EVERY_20TH)
        found.take("every 20th", every_20th.scans)
        found.take("every 20th, windows", every_20th.windows / every_20th.scans)
        exact = _worker(bootstrap, names, few, bundles[EVERY], SCANS_OF_EVERY_20TH, delivery="exactly_once")
        found.take("exactly once", exact.scans)
        job = [bootstrap, few, names.predictions, bundles[EVERY]]
        _measure(found, "script", SCRIPT, script, job, EVERY)
        _measure_peers(found, job)
        found.take("memory", _program("memory", 500)["bytes"] / 1000)
        found.take("ready", _seconds_to_ready(bootstrap, names))
    return found


def _measure_peers(found: Found, arguments: Sequence[object]) -> None:
    for name, peer in PEERS.items():
        if name in found.absent:
            continue
        try:
            _measure(found, name, peer, peer.prepare(), arguments, EVERY)
        except PeerError as error:
            found.absent[name] = str(error)


def _measure(found: Found, name: str, peer: Peer, python: Path, arguments: Sequence[object], stride: int) -> None:
    with stream_setup.on_cores({WORKER_CORE}):
        found.take(name, peer.rate(python, arguments, STRANDS, stride))


def _rows(found: Found) -> Iterator[Row | Absent]:
    values = found.values
    sizes = [name for name in values if name.startswith("infer, ")]
    best = max(sizes, key=found.median)
    spent_s = zip(values["decode"], values["every 20th, windows"], values[best], strict=True)
    values["bound"] = [1 / (1 / decode + windows / infer) for decode, windows, infer in spent_s]
    by_ort, by_script = f"by ONNX Runtime at its best batch, {best[7:]}", "by a script that polls and predicts"
    for name, ours, unit, against, other, target in (
        ("scans fetched and decoded", "decode", "scans/s", "fetched", "consume", None),
        ("a prediction on every scan", "every scan", "windows/s", by_ort, best, 0.9),
        ("on every scan, two cores", "every scan, two cores", "windows/s", "on one core", "every scan", 1.5),
        ("on every 20th, JSON", "every 20th", "scans/s", "by the additive bound", "bound", 0.85),
        ("on none, JSON", "none", "scans/s", "fetched and decoded", "decode", 0.7),
        ("on none, frames of 20", "none, packed", "scans/s", "as JSON", "none", 8.0),
        ("on every 20th, frames of 20", "every 20th, packed", "scans/s", "as JSON", "every 20th", None),
        ("on every 20th, exactly once", "exactly once", "scans/s", "at least once", "every 20th", 0.85),
        (f"on none, {MANY_STRANDS:,} strands", "many strands", "scans/s", f"of {STRANDS} strands", "none", 0.8),
        ("on every 20th, JSON", "every 20th", "scans/s", by_script, "script", 2.3),
        ("on none, JSON", "none", "scans/s", by_script, "script, none", 5.0),
    ):
        yield row_paired(name, values[ours], unit, against, values[other], target)
    for size in sizes:
        name = f"ONNX Runtime alone, batch {size[7:]}"
        yield row_paired(name, values[size], "windows/s", f"at batch {best[7:]}", values[best], None)
    yield from _peer_rows(found)
    yield row_within("memory of a strand with a full window", values["memory"], "kB", 60)
    yield row_within("start to ready, released default", values["ready"], "s", 3)


def _peer_rows(found: Found) -> Iterator[Row | Absent]:
    """Against each peer; the best of each kind has the target."""
    yield from (Absent(f"{name}: {why}") for name, why in found.absent.items())
    for name, ours, is_durable, target in (
        ("on every 20th, JSON", "every 20th", False, 2.0),
        ("on every 20th, exactly once", "exactly once", True, 15.0),
    ):
        peers = [peer for peer in PEERS if PEERS[peer].is_durable == is_durable and peer in found.values]
        for peer in sorted(peers, key=found.median, reverse=True):
            wanted = target if peer == max(peers, key=found.median) else None
            yield row_paired(name, found.values[ours], "scans/s", f"by {peer}", found.values[peer], wanted)


def _program(name: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, str(PROGRAMS), name, *map(str, arguments)]
    with stream_setup.on_cores({WORKER_CORE}):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Rates:
    """A second, of one worker."""

    scans: float
    windows: float


def _worker(
    bootstrap: str,
    names: Topics,
    topic: str,
    bundle: Path,
    scans: int,
    *,
    delivery: str = "at_least_once",
    cores: Collection[int] = (WORKER_CORE,),
    **more: str,
) -> Rates:
    """A worker that finds a topic full; measured while every strand's window is whole, to before the end."""
    env = environment(
        bootstrap, names, bundle, topics__sensors=topic, kafka__group_id=f"bench-{uuid4().hex}", delivery=delivery,
        kafka__session_timeout_ms=10_000, **more,
    )  # fmt: skip
    with stream_setup.pinned(env, cores) as worker:
        points = list(_points(worker, scans))
    assert len(points) > 1, f"expected {scans:,} scans to last for more than one sample, got none between"
    first, last = points[0], points[-1]
    seconds = last[0] - first[0]
    return Rates((last[1] - first[1]) / seconds, (last[2] - first[2]) / seconds)


def _seconds_to_ready(bootstrap: str, names: Topics) -> float:
    """With the released default bundle, from the start of the process."""
    began_s = time.monotonic()
    with stream_setup.pinned(
        environment(bootstrap, names, "current", kafka__group_id=f"bench-{uuid4().hex}")
    ) as worker:
        worker.wait_ready()
        return time.monotonic() - began_s


def _points(worker: WorkerProcess, scans: int) -> Iterator[tuple[float, float, float]]:
    """Moments, scans taken in and windows answered until then; of the part that counts."""
    warming = 0.0
    while True:
        time.sleep(0.5)  # between two samples: each costs the worker some milliseconds
        page = worker.get("/metrics")[1]
        taken = _sum(page, 'strandwatch_samples_total{outcome="used"}')
        if taken >= 0.98 * scans:
            return
        before, warming = warming, _sum(page, 'strandwatch_predictions_total{quality="warming"}')
        if taken >= WARM and warming == before:
            yield time.monotonic(), taken, _sum(page, 'strandwatch_predictions_total{quality="good"}')


def _sum(page: str, name: str) -> float:
    values: Sequence[str] = [line for line in page.splitlines() if line.startswith(name + " ")]
    return sum(float(line.rpartition(" ")[2]) for line in values)
