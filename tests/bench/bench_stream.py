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
from results import REPETITIONS, Row, row
from stream_setup import BROKER_CORE, NEVER, WORKER_CORE
from support.kafka_broker import Topics
from support.workers import WorkerProcess, environment

from worker.brokers.topics import create_topics

PROGRAMS = Path(__file__).with_name("stream_programs.py")
PARTITIONS = 4
STRANDS, MANY_STRANDS = 64, 10_000
EVERY = 20
SCANS = 200_000
PACKED_SCANS = 2_000_000
SCANS_OF_EVERY_ONE = 64 * 500
"""Where each makes a prediction: 240 of the 500 of each strand warm up, and a poll of a thousand is told at once."""


@dataclass
class Found:
    """Figures of the repetitions, by name."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def take(self, name: str, value: float) -> None:
        """One more."""
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """Of all."""
        return statistics.median(self.values[name])


def rows() -> Iterator[Row]:
    """Measure."""
    affinity = os.sched_getaffinity(0)
    if len(affinity) < 2:
        return
    try:
        with tempfile.TemporaryDirectory() as folder, stream_setup.kafka() as broker:
            yield from _rows(_measured(broker.bootstrap_servers, Path(folder)))
    finally:
        os.sched_setaffinity(0, affinity)


ABSENT = "streaming: it takes two cores, one for the broker and one for the worker"


def _measured(bootstrap: str, folder: Path) -> Found:
    names = Topics.unique(PARTITIONS)
    few, many, packed = (f"{names.sensors}.{kind}" for kind in ("few", "many", "packed"))
    create_topics(bootstrap, dict.fromkeys([*names.names, few, many, packed], PARTITIONS))
    stream_setup.fill(bootstrap, few, STRANDS, SCANS)
    stream_setup.fill(bootstrap, packed, STRANDS, PACKED_SCANS, packed=True)
    stream_setup.fill(bootstrap, many, MANY_STRANDS, SCANS)
    bundles = {s: stream_setup.write_bundle(folder / f"bench-{s}", s) for s in (1, EVERY, NEVER)}
    found = Found()
    for _ in range(REPETITIONS):
        found.take("consume", _program("consume", bootstrap, few, SCANS)["per_s"])
        found.take("decode", _program("decode", bootstrap, few, SCANS)["per_s"])
        at = _program("infer", bundles[1])
        found.take("infer", max(at.values()))
        found.take("every scan", _worker(bootstrap, names, few, bundles[1], SCANS_OF_EVERY_ONE).windows)
        both = _worker(bootstrap, names, few, bundles[1], SCANS_OF_EVERY_ONE, cores={BROKER_CORE, WORKER_CORE})
        found.take("every scan, two cores", both.windows)
        every_20th = _worker(bootstrap, names, few, bundles[EVERY], SCANS)
        found.take("every 20th", every_20th.scans)
        found.take("every 20th, windows", every_20th.windows / every_20th.scans)
        found.take("none", _worker(bootstrap, names, few, bundles[NEVER], SCANS).scans)
        none = _worker(bootstrap, names, packed, bundles[NEVER], PACKED_SCANS, encoding__input="packed")
        found.take("none, packed", none.scans)
        packed_20th = _worker(bootstrap, names, packed, bundles[EVERY], SCANS, encoding__input="packed")
        found.take("every 20th, packed", packed_20th.scans)
        found.take("many strands", _worker(bootstrap, names, many, bundles[NEVER], SCANS).scans)
        exact = _worker(bootstrap, names, few, bundles[EVERY], SCANS, delivery="exactly_once")
        found.take("exactly once", exact.scans)
        for name, stride, scans in (("script", EVERY, SCANS // 3), ("script, none", NEVER, SCANS // 2)):
            script = _program("script", bootstrap, few, scans, bundles[stride], names.predictions)
            found.take(name, script["per_s"])
        found.take("memory", 1 / _program("memory", 500)["bytes"])
        found.take("ready", 1 / _seconds_to_ready(bootstrap, names))
    return found


def _rows(found: Found) -> Iterator[Row]:
    windows_a_scan = found.median("every 20th, windows")
    bound = 1 / (1 / found.median("decode") + windows_a_scan / found.median("infer"))
    decode, infer = found.median("decode"), found.median("infer")

    def of(name: str, key: str, unit: str, against: str, value: float, target: float | None) -> Row:
        return row(name, found.values[key], unit, f"{value:,.0f} {against}", value, target)

    yield of("scans fetched and decoded", "decode", "scans/s", "fetched", found.median("consume"), None)
    yield of("a prediction on every scan", "every scan", "windows/s", "by ONNX Runtime at its best batch", infer, 0.9)
    one_core = found.median("every scan")
    yield of("on every scan, two cores", "every scan, two cores", "windows/s", "on one core", one_core, 1.5)
    yield of("on every 20th, JSON", "every 20th", "scans/s", "by the additive bound", bound, 0.85)
    yield of("on none, JSON", "none", "scans/s", "fetched and decoded", decode, 0.7)
    every_20th, none = found.median("every 20th"), found.median("none")
    yield of("on every 20th, exactly once", "exactly once", "scans/s", "at least once", every_20th, 0.85)
    yield of("on none, frames of 20", "none, packed", "scans/s", "as JSON", none, 8.0)
    yield of("on every 20th, frames of 20", "every 20th, packed", "scans/s", "as JSON", every_20th, None)
    yield of(f"{MANY_STRANDS:,} strands", "many strands", "scans/s", f"of {STRANDS} strands", none, 0.8)
    script = found.median("script")
    yield of("on every 20th, JSON", "every 20th", "scans/s", "by a script that polls and predicts", script, 2.3)
    in_a_gigabyte = [1e9 * value for value in found.values["memory"]]
    yield row("full strands in 1 GB", in_a_gigabyte, "", "of 60 kB", 1e9 / 60e3, 1.0)
    yield row("starts to ready a minute", [60 * value for value in found.values["ready"]], "", "of 3 s", 20, 1.0)
    alone = found.median("script, none")
    yield of("on none, JSON", "none", "scans/s", "by a script that polls and predicts", alone, 5.0)


def _program(name: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, str(PROGRAMS), name, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=_on_the_workers_core)
    return json.loads(done.stdout)


def _on_the_workers_core() -> None:
    os.sched_setaffinity(0, {WORKER_CORE})


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
    os.sched_setaffinity(0, cores)
    worker = WorkerProcess(env)
    os.sched_setaffinity(0, {BROKER_CORE})
    try:
        points = list(_points(worker, scans))
    finally:
        worker.kill()
        assert worker.process.stderr is not None
        worker.process.stderr.close()
    assert len(points) > 1, f"expected {scans:,} scans to last for more than one sample, got none between"
    first, last = points[0], points[-1]
    seconds = last[0] - first[0]
    return Rates((last[1] - first[1]) / seconds, (last[2] - first[2]) / seconds)


def _seconds_to_ready(bootstrap: str, names: Topics) -> float:
    """With the released default bundle, from the start of the process."""
    began_s = time.monotonic()
    worker = WorkerProcess(environment(bootstrap, names, "current", kafka__group_id=f"bench-{uuid4().hex}"))
    try:
        worker.wait_ready()
        return time.monotonic() - began_s
    finally:
        worker.kill()
        assert worker.process.stderr is not None
        worker.process.stderr.close()


def _points(worker: WorkerProcess, scans: int) -> Iterator[tuple[float, float, float]]:
    """Moments, scans taken in and windows answered until then; of the part that counts."""
    from_scans = min(STRANDS * 260, scans // 2)
    while True:
        time.sleep(0.5)  # between two samples: each costs the worker some milliseconds
        page = worker.get("/metrics")[1]
        taken = _sum(page, 'strandwatch_samples_total{outcome="used"}')
        if taken >= 0.98 * scans:
            return
        if taken >= from_scans:
            yield time.monotonic(), taken, _sum(page, 'strandwatch_predictions_total{quality="good"}')


def _sum(page: str, name: str) -> float:
    values: Sequence[str] = [line for line in page.splitlines() if line.startswith(name + " ")]
    return sum(float(line.rpartition(" ")[2]) for line in values)
