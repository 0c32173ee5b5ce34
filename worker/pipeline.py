"""The way of a poll's records through the stages, in order, on one thread.

    decode ─► windows ─► batch ─► inference ─► alerts ─► encode

`Pipeline` knows the stages and the metrics, not Kafka: `process` takes raw records and returns what to publish
and which offsets are done once that is acknowledged. `Loop` turns it between a source and a sink.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from models.manifest import Manifest
from models.runtime import Predictor
from models.windows import Outcome
from worker import __version__
from worker.health import Health
from worker.metrics import Metrics
from worker.records import (
    AlertChange,
    DeadLetter,
    GivenUp,
    Outgoing,
    Partition,
    PartitionState,
    Polled,
    Processed,
    RawRecord,
    Scored,
)
from worker.stages.alerts import Alerts
from worker.stages.batch import Batcher
from worker.stages.decode import Decoder
from worker.stages.encode import Encoder
from worker.stages.inference import Inference
from worker.stages.windows import Windows

Clock = Callable[[], float]


class Pipeline:
    """One model's stages, wired."""

    def __init__(self, predictor: Predictor, metrics: Metrics, wall_clock: Clock = time.time) -> None:
        manifest = predictor.manifest
        self.identity = identity_of(manifest)
        sensors = len(manifest.sensors)
        self._max_gap_s = manifest.window.max_gap_ms / 1000
        self._decoder = Decoder(manifest.sensor_names)
        self._windows = Windows(manifest.window, sensors)
        self._batcher = Batcher(predictor.batch_sizes, manifest.window.length, sensors)
        self._inference = Inference(predictor)
        self._alerts = Alerts(manifest.targets, manifest.alert)
        self._encoder = Encoder(manifest, __version__)
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._counted = dict.fromkeys(Outcome, 0)

    def process(self, records: Sequence[RawRecord]) -> Processed:
        """Take records in log order through all stages."""
        with self._timed("decode"):
            block, dead = self._decoder.decode(records)
        outgoing = [self._dead_letter(letter) for letter in dead]
        self._metrics.unknown_values.inc(block.unknown_values)
        begun, batching, apart = time.perf_counter(), 0.0, 0.0
        for entry in self._windows.advance(block):
            if self._batcher.is_full:
                full_at = time.perf_counter()
                outgoing += self._infer()
                apart += time.perf_counter() - full_at
            added_at = time.perf_counter()
            self._batcher.add(entry)
            batching += time.perf_counter() - added_at
        self._metrics.stage.labels("windows").observe(time.perf_counter() - begun - apart - batching)
        self._metrics.stage.labels("batch").observe(batching)
        outgoing += self._infer()
        self._count_samples()
        next_offsets: dict[Partition, int] = {}
        for record in records:
            next_offsets[record.origin.partition] = record.origin.offset + 1
        return Processed(outgoing, next_offsets)

    def state(self, partition: Partition) -> PartitionState:
        """A partition as it stands, for `restore`."""
        return PartitionState(self._windows.starts(partition), self._alerts.states(partition))

    def restore(self, partition: Partition, state: PartitionState) -> None:
        """Take a partition as it stood: its alerts at once, its windows by `refill`; what was is forgotten."""
        watched = {one.strand_id: one.last_ms or 0 for one in state.alerts}
        self._windows.begin_refill(partition, state.windows, watched, state.since)
        self._alerts.restore(partition, state.alerts)

    def refill(self, records: Sequence[RawRecord]) -> None:
        """Take records that were processed before, in log order: windows grow as they did, and nothing is published."""
        block, _ = self._decoder.decode(records)
        self._windows.refill(block)
        self._metrics.replayed.inc(len(records))

    def drop(self, partition: Partition) -> None:
        """Forget a partition: its strands and their alerts now belong to another worker."""
        self._windows.drop(partition)
        self._alerts.drop(partition)

    def observe_strands(self) -> None:
        """Refresh the gauges that are read off the strands; for now and then, not for every poll."""
        last_ms = self._windows.last_times_ms()
        newest = max(last_ms, default=None)
        self._metrics.strands.set(len(last_ms))
        if newest is not None:
            self._metrics.strands_silent.set(sum(newest - last > self._max_gap_s * 1000 for last in last_ms))
            self._metrics.event_time_lag.set(self._wall_clock() - newest / 1000)

    def _infer(self) -> list[Outgoing]:
        batch = self._batcher.take()
        if not batch.entries:
            return []
        if batch.count:
            self._metrics.batch_windows.observe(batch.count)
            with self._metrics.inference.time(), self._timed("inference"):
                scored = self._inference.run(batch)
        else:
            scored = self._inference.run(batch)
        with self._timed("alerts"):
            changes = [list(self._alerts.advance(entry)) for entry in scored]
        with self._timed("encode"):
            return [
                outgoing
                for entry, changed in zip(scored, changes, strict=True)
                for outgoing in self._publishable(entry, changed)
            ]

    def _publishable(self, entry: Scored | GivenUp, changes: Sequence[AlertChange]) -> Iterator[Outgoing]:
        if isinstance(entry, Scored):
            prediction, quality = self._encoder.prediction(entry)
            self._metrics.predictions.labels(quality).inc()
            yield prediction
        for change in changes:
            self._metrics.alerts.labels(change.target, change.transition.value, change.severity).inc()
            yield self._encoder.alert(change)

    def _dead_letter(self, letter: DeadLetter) -> Outgoing:
        self._metrics.samples.labels("invalid").inc()
        self._metrics.dead_letters.labels(letter.reason).inc()
        return self._encoder.dead_letter(letter)

    def _count_samples(self) -> None:
        for outcome, count in self._windows.outcomes.items():
            self._metrics.samples.labels(outcome.value).inc(count - self._counted[outcome])
            self._counted[outcome] = count

    def _timed(self, stage: str) -> AbstractContextManager[object]:
        return self._metrics.stage.labels(stage).time()


def identity_of(manifest: Manifest) -> str:
    """Of a model's windows and alerts: what is committed of them is of no use to another."""
    said = [manifest.model_sha256, manifest.targets, manifest.sensor_names, manifest.window]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:12]


class RecordSource(Protocol):
    """Where records come from; `worker.kafka.source` is one."""

    @property
    def has_joined(self) -> bool:
        """Whether the group has answered."""

    @property
    def is_refilling(self) -> bool:
        """Whether windows of any partition are not yet whole."""

    def poll(self, limit: int, wait_s: float, company_s: float) -> Polled:
        """The next records in log order."""

    def observe_lag(self) -> None:
        """Refresh the lag gauges."""

    def look_after_group(self) -> None:
        """See to it that every partition is somebody's."""


class ResultSink(Protocol):
    """Where outputs go; `worker.kafka.sink` is one."""

    @property
    def outstanding(self) -> int:
        """Outputs not yet acknowledged."""

    def publish(self, processed: Processed, polled_at: float) -> None:
        """Send a poll's outputs."""

    def tick(self) -> None:
        """Take acknowledgements; commit if it is time."""


class Loop:
    """Turns until told to stop: poll, process, publish, commit."""

    POLL_LIMIT = 1000
    FIRST_LIMIT = 50
    IDLE_WAIT_S = 0.05
    BUSY_WAIT_S = 0.002
    """While outputs are under way their acknowledgements, and the commit behind them, should not wait."""
    OBSERVE_EVERY_S = 1.0
    TURN_S = 0.5
    """What a turn may take where the model is slow: a worker that does not poll is taken for dead by its group."""

    def __init__(
        self, source: RecordSource, pipeline: Pipeline, sink: ResultSink, health: Health, *, company_s: float
    ) -> None:
        self._source = source
        self._pipeline = pipeline
        self._sink = sink
        self._health = health
        self._company_s = company_s
        self._observe_at = 0.0
        self._limit = min(self.FIRST_LIMIT, self.POLL_LIMIT)
        self._was_joined = self._was_refilling = False

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Work until told to stop.

        Raises:
            DeliveryError: source or sink cannot go on.
        """
        while not should_stop():
            wait_s = self.BUSY_WAIT_S if self._sink.outstanding else self.IDLE_WAIT_S
            polled = self._source.poll(self._limit, wait_s, self._company_s)
            polled_at = time.monotonic()
            if polled.replayed:
                self._pipeline.refill(polled.replayed)
            if polled.new:
                self._sink.publish(self._pipeline.process(polled.new), polled_at)
            if polled.replayed or polled.new:
                records = len(polled.replayed) + len(polled.new)
                self._limit = self._limit_after(records, time.monotonic() - polled_at)
            self._sink.tick()
            self._health.turned()
            self._tell_readiness()
            if polled_at >= self._observe_at:
                self._observe_at = polled_at + self.OBSERVE_EVERY_S
                self._observe()

    def _limit_after(self, records: int, seconds: float) -> int:
        """As many records as a turn has time for, by the last; at most twice as many as before."""
        in_time = int(records * self.TURN_S / seconds) if seconds > 0 else self.POLL_LIMIT
        return max(1, min(in_time, 2 * self._limit, self.POLL_LIMIT))

    def _observe(self) -> None:
        self._pipeline.observe_strands()
        self._source.observe_lag()
        self._source.look_after_group()

    def _tell_readiness(self) -> None:
        if self._source.is_refilling != self._was_refilling:
            self._was_refilling = self._source.is_refilling
            if self._was_refilling:
                self._health.wait_for("windows", "windows are being refilled from the log")
            else:
                self._health.have("windows")
        if self._source.has_joined != self._was_joined:
            self._was_joined = self._source.has_joined
            if self._was_joined:
                self._health.have("kafka")
            else:
                self._health.wait_for("kafka", "its partitions were lost; joining the group again")
