"""The way of a poll's records through the stages, in order, on one thread.

    decode ─► windows ─► batch ─► inference ─► alerts ─► encode

Batches run while the next windows are collected, as many side by side as there are threads for; what becomes
of them is taken up in the order of the log, and all of it before `process` returns.

It knows the stages and the metrics, not Kafka: `process` takes raw records and returns what to publish and which
offsets are done once that is acknowledged. `worker.loop` turns it between a source and a sink.
"""

import hashlib
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from models.manifest import Manifest
from models.messages import encode
from models.runtime import Predictor
from worker import __version__
from worker.metrics import Metrics
from worker.pieces import pieces
from worker.records import (
    AlertChange,
    AlertState,
    Batch,
    DeadLetter,
    FrameBlock,
    GivenUp,
    Outgoing,
    Partition,
    PartitionState,
    Processed,
    RawRecord,
    ScanBlock,
    Scored,
)
from worker.stages.alerts import Alerts
from worker.stages.batch import Batcher
from worker.stages.decode import Decoder, ScanDecoder
from worker.stages.encode import Encoder, Write
from worker.stages.inference import Answered, Inference
from worker.stages.windows import Windows
from worker.tally import Tally

WINDOWS_UNDER_WAY = 512
"""So many that code and data of a stage stay in the processor's caches while it runs, and no more."""

DECODED_BYTES = 256 << 10
"""Of a poll that is decoded at once: some 300 scans of 20 sensors, which windows find in the processor's caches."""

Clock = Callable[[], float]
UnderWay = deque[tuple[Batch, Callable[[], Answered]]]


class Pipeline:
    """One model's stages, wired.

    Args:
        predictor: the model.
        metrics: told what is done.
        decoder: of the records; of scans in JSON if none is given.
        write: how predictions and alerts are written.
        side_by_side: batches that may run at once.
        wall_clock: seconds since 1970.
    """

    def __init__(
        self,
        predictor: Predictor,
        metrics: Metrics,
        *,
        decoder: Decoder | None = None,
        write: Write = encode,
        side_by_side: int = 1,
        wall_clock: Clock = time.time,
    ) -> None:
        manifest = predictor.manifest
        self.identity = identity_of(manifest)
        sensors = len(manifest.sensors)
        self._max_gap_s = manifest.window.max_gap_ms / 1000
        self._decoder = decoder or ScanDecoder(manifest.sensor_names)
        self._windows = Windows(manifest.window, sensors)
        self._batcher = Batcher(predictor.batch_sizes, manifest.window.length, sensors)
        self._inference = Inference(predictor, side_by_side)
        self._most_under_way = max(2 * side_by_side, WINDOWS_UNDER_WAY // predictor.batch_sizes[-1])
        self._alerts = Alerts(manifest)
        self._encoder = Encoder(manifest, __version__, predictor.provider, write)
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._tally = Tally(metrics)
        self._owed: dict[Partition, Processed] = {}

    def process(self, records: Sequence[RawRecord]) -> Processed:
        """Take records in log order through all stages."""
        outgoing: list[Outgoing] = []
        under_way: UnderWay = deque()
        for piece in pieces(records, DECODED_BYTES):
            begun = time.perf_counter()
            block, dead = self._decoder.decode(piece)
            begun = self._tally.spent("decode", begun)
            outgoing += [self._dead_letter(letter) for letter in dead]
            self._metrics.unknown_values.inc(block.unknown_values)
            self._tally.spent("encode", begun)
            outgoing += self._collect(block, under_way)
        self._begin(under_way)
        outgoing += self._finish(under_way, at_most=0)
        answered, warming = self._tally.answered, self._tally.qualities["warming"]
        self._tally.tell(self._windows.outcomes)
        last = {record.origin.partition: record.origin for record in records}
        reached = {partition: origin.offset + 1 for partition, origin in last.items()}
        return Processed(outgoing, reached, len(records), answered, warming)

    def close(self) -> None:
        """Leave what is not yet answered."""
        self._inference.close()

    def state(self, partition: Partition) -> PartitionState:
        """A partition as it stands, for `restore`."""
        windows = self._windows
        return PartitionState(windows.starts(partition), self.alerts(partition), reached=windows.reached(partition))

    def alerts(self, partition: Partition) -> list[AlertState]:
        """A partition's alerts as they stand."""
        return self._alerts.states(partition)

    def restore(self, partition: Partition, state: PartitionState) -> None:
        """Take a partition as it stood: its alerts at once, its windows by `refill`; what was is forgotten."""
        watched = {one.strand_id: one.last_ms or 0 for one in state.alerts}
        self._windows.begin_refill(partition, state.windows, watched, state.since, state.reached)
        self._alerts.restore(partition, state.alerts)

    def close_former(self, partition: Partition, offset: int, former: Sequence[AlertState]) -> None:
        """Have `owed` close what another model left open in a partition that is taken up at this offset."""
        changes = list(self._alerts.closings(former))
        if changes:
            self._owed[partition] = Processed([self._alert(change) for change in changes], {partition: offset})

    def owed(self) -> Processed | None:
        """What is to be published without a record that caused it; None if there is nothing."""
        if not self._owed:
            return None
        every = list(self._owed.values())
        self._owed.clear()
        outgoing = [out for one in every for out in one.outgoing]
        return Processed(outgoing, {place: offset for one in every for place, offset in one.next_offsets.items()})

    def refill(self, records: Sequence[RawRecord]) -> None:
        """Take records that were processed before, in log order: windows grow as they did, and nothing is published."""
        for piece in pieces(records, DECODED_BYTES):
            block, _ = self._decoder.decode(piece)
            self._windows.refill(block)
            self._metrics.replayed.inc(block.size)

    def drop(self, partition: Partition) -> None:
        """Forget a partition: its strands and their alerts now belong to another worker."""
        self._owed.pop(partition, None)
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

    def _collect(self, block: ScanBlock | FrameBlock, under_way: UnderWay) -> list[Outgoing]:
        """Take scans through their windows into batches; what comes of the batches that are finished on the way."""
        outgoing: list[Outgoing] = []
        begun, batching, apart = time.perf_counter(), 0.0, 0.0
        for entry in self._windows.advance(block):
            if self._batcher.is_full:
                full_at = time.perf_counter()
                self._begin(under_way)
                if len(under_way) >= self._most_under_way:
                    outgoing += self._finish(under_way, at_most=self._most_under_way // 2)
                apart += time.perf_counter() - full_at
            added_at = time.perf_counter()
            self._batcher.add(entry)
            batching += time.perf_counter() - added_at
        self._tally.seconds["windows"] += time.perf_counter() - begun - apart - batching
        self._tally.seconds["batch"] += batching
        return outgoing

    def _begin(self, under_way: UnderWay) -> None:
        batch = self._batcher.take()
        under_way.append((batch, self._inference.begin(batch)))

    def _finish(self, under_way: UnderWay, at_most: int) -> list[Outgoing]:
        """What comes of the oldest batches, until no more than so many are under way."""
        entries: list[Scored | GivenUp] = []
        while len(under_way) > at_most:
            batch, answered = under_way.popleft()
            found, seconds = answered()
            entries += found
            if batch.count:
                self._tally.ran(batch.count, seconds)
            self._batcher.give_back(batch)
        begun = time.perf_counter()
        changes = [self._alerts.advance(entry) for entry in entries]
        begun = self._tally.spent("alerts", begun)
        outgoing: list[Outgoing] = []
        for entry, changed in zip(entries, changes, strict=True):
            if isinstance(entry, Scored):
                prediction, quality = self._encoder.prediction(entry)
                outgoing.append(prediction)
                self._tally.qualities[quality] += 1
            outgoing += [self._alert(change) for change in changed]
        self._tally.spent("encode", begun)
        return outgoing

    def _alert(self, change: AlertChange) -> Outgoing:
        self._metrics.alerts.labels(change.target, change.transition.value, change.severity).inc()
        return self._encoder.alert(change)

    def _dead_letter(self, letter: DeadLetter) -> Outgoing:
        self._metrics.samples.labels("invalid").inc()
        self._metrics.dead_letters.labels(letter.reason).inc()
        return self._encoder.dead_letter(letter)


def identity_of(manifest: Manifest) -> str:
    """Of a model's windows and alerts: what is committed of them is of no use to another."""
    said = [manifest.model_sha256, manifest.targets, manifest.sensor_names, manifest.window]
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:12]
