"""Every metric of the worker, each with what an operator should read from it.

Base units, bounded labels. One `Metrics` per worker with a registry of its own, so that two may live in one
process.
"""

import time
from collections.abc import Sequence

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from worker.histogram import BulkHistogram

_SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip


class Metrics:
    """The metrics of one worker, prefix `strandwatch_`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"strandwatch_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"strandwatch_{name}", text, labels, registry=self.registry)

        def seconds(name: str, text: str, *labels: str) -> Histogram:
            return Histogram(f"strandwatch_{name}_seconds", text, labels, buckets=_SECONDS, registry=self.registry)

        def many_seconds(name: str, text: str) -> BulkHistogram:
            return BulkHistogram(f"strandwatch_{name}_seconds", text, _SECONDS, self.registry)

        self.samples = counter(
            "samples", "Scans taken in, by what became of them; invalid: records, each a dead letter", "outcome"
        )
        self.unknown_values = counter("unknown_sensor_values", "Values of sensors the model does not read, ignored")
        self.replayed = counter("replayed_samples", "Scans read again, to refill windows; nothing comes of them")
        self.refill = seconds("refill", "Windows of one partition, taken up to whole again")
        self.predictions = counter("predictions", "Predictions published; warming ones carry no probability", "quality")
        self.alerts = counter("alerts", "Alerts opened and closed", "target", "state", "severity")
        self.dead_letters = counter(
            "dead_letters", "Records set aside; any lasting rate is a broken producer", "reason"
        )
        self.batch_windows = BulkHistogram(
            "strandwatch_batch_windows",
            "Windows inferred in one run of the model, without padding",
            (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
            self.registry,
        )
        self.inference = many_seconds("inference", "One run of the model on one batch")
        self.stage = seconds("stage", "One pass of a stage over one poll's records", "stage")
        self.end_to_end = many_seconds("end_to_end", "Event time to acknowledged prediction; needs synchronised clocks")
        self.consume_to_publish = many_seconds("consume_to_publish", "Poll returned to prediction acknowledged")
        self.commit = seconds("commit", "One commit of offsets, request to answer")
        self.lag = gauge("consumer_lag_records", "Records in the log not yet taken in", "partition")
        self.event_time_lag = gauge("event_time_lag_seconds", "Now minus the newest event time taken in")
        self.strands = gauge("strands", "Strands with a window in memory")
        self.strands_silent = gauge("strands_silent", "Strands over max_gap_ms behind the newest event time taken in")
        self.rebalances = counter("rebalances", "Partitions were assigned, revoked or lost")
        self.model_info = gauge(
            "model_info",
            "1 for the model served, on the execution provider in use",
            "name",
            "version",
            "sha256",
            "provider",
        )
        self.ready = gauge("ready", "1 while /readyz says 200")

    def published(self, polled_at: float, event_times_ms: Sequence[int], at: float | None = None) -> None:
        """Predictions are safe, since `at`, or now; their scans were taken in `polled_at`; both by `time.monotonic`."""
        if event_times_ms:
            now = time.monotonic()
            at = now if at is None else at
            self.consume_to_publish.observe(np.full(len(event_times_ms), at - polled_at))
            self.end_to_end.observe(np.maximum(0.0, time.time() - (now - at) - np.asarray(event_times_ms) / 1000))
