"""Where a scan's time goes in the worker's pipeline, without Kafka: microseconds a scan by stage, on one core.

OMP_NUM_THREADS=1 python tests/bench/stage_times.py [STRIDE ...]

Median over full polls, and the fastest tenth: on shared hardware the latter says more.
"""

import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import stream_setup

from models import bundle as bundles
from models.messages import SensorScan, encode
from models.runtime import Predictor
from worker.app import CPU_WINDOWS, batch_sizes
from worker.loop import Loop
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.records import Origin, RawRecord
from worker.tally import STAGES

STRANDS, POLL = 64, Loop.POLL_LIMIT
STRIDES = (1, 20, stream_setup.NEVER)
POLLS = {1: 20}
MORE_POLLS = 80


def main() -> None:
    """Measure each stride and print."""
    os.sched_setaffinity(0, {stream_setup.WORKER_CORE})
    strides = [int(argument) for argument in sys.argv[1:]] or STRIDES
    print(f"{'stride':>12} {'whole':>14}" + "".join(f"{stage:>14}" for stage in STAGES))
    for stride in strides:
        found = _measured(stride)
        told = [f"{statistics.median(one):6.1f} ({np.quantile(one, 0.1):5.1f})" for one in found.values()]
        print(f"{stride:>12} " + " ".join(told))


def _measured(stride: int) -> Mapping[str, list[float]]:
    """Microseconds a scan, poll by poll."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = bundles.read(stream_setup.write_bundle(Path(folder) / f"bench-{stride}", stride))
    predictor = Predictor(bundle, device="cpu", batch_sizes=batch_sizes(CPU_WINDOWS))
    metrics = Metrics()
    pipeline = Pipeline(predictor, metrics)
    warm = -(-STRANDS * (predictor.window.length + 1) // POLL)
    found: dict[str, list[float]] = defaultdict(list)
    for number, records in enumerate(_polls(predictor, warm + POLLS.get(stride, MORE_POLLS))):
        before = _seconds(metrics)
        began = time.perf_counter()
        pipeline.process(records)
        whole = time.perf_counter() - began
        if number >= warm:
            found["whole"].append(whole / POLL * 1e6)
            for stage, seconds in _seconds(metrics).items():
                found[stage].append((seconds - before[stage]) / POLL * 1e6)
    return found


def _seconds(metrics: Metrics) -> dict[str, float]:
    name = "strandwatch_stage_seconds_sum"
    return {stage: metrics.registry.get_sample_value(name, {"stage": stage}) or 0.0 for stage in STAGES}


def _polls(predictor: Predictor, count: int) -> Iterator[list[RawRecord]]:
    """Scans of all strands in turn, partition by partition as the client hands them out; freed as the worker's are."""
    partitions = [("bench", number) for number in range(4)]
    names, rng = predictor.manifest.sensor_names, np.random.default_rng(0)
    patterns = [dict(zip(names, row, strict=True)) for row in np.round(rng.normal(0, 1, (200, len(names))), 3).tolist()]
    for first in range(0, count * POLL, POLL):
        yield [
            RawRecord(
                Origin(partitions[number % STRANDS % 4], number),
                b"",
                encode(
                    SensorScan(
                        strand_id=f"plant1.c1.s{number % STRANDS}",
                        event_time_ms=1_764_000_000_000 + number // STRANDS * predictor.window.period_ms,
                        values=patterns[number % len(patterns)],
                        seq=number // STRANDS,
                    )
                ),
            )
            for number in sorted(range(first, first + POLL), key=lambda number: number % STRANDS % 4)
        ]


if __name__ == "__main__":
    main()
