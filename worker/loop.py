"""The turns of the worker: poll, process, publish, commit, between a source and a sink that it knows by their ports."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from worker.health import Health
from worker.pipeline import Pipeline
from worker.records import Polled, Processed, RawRecord

PIECE_BYTES = 1 << 20
"""Of a poll that goes through the stages at once: some 1,300 scans in JSON, 13,000 in frames."""


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
        self,
        source: RecordSource,
        pipeline: Pipeline,
        sink: ResultSink,
        health: Health,
        *,
        company_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._pipeline = pipeline
        self._sink = sink
        self._health = health
        self._company_s = company_s
        self._clock = clock
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
            polled_at = self._clock()
            if (owed := self._pipeline.owed()) is not None:
                self._sink.publish(owed, polled_at)
            begun = self._clock()
            for piece in pieces(polled.replayed):
                self._pipeline.refill(piece)
            worked_s = self._clock() - begun
            for piece in pieces(polled.new):
                begun = self._clock()
                processed = self._pipeline.process(piece)
                worked_s += self._clock() - begun  # the broker may be slow to commit: fewer records would not help
                self._sink.publish(processed, polled_at)
                self._health.turned()
            if polled.replayed or polled.new:
                self._limit = self._limit_after(len(polled.replayed) + len(polled.new), worked_s)
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


def pieces(records: Sequence[RawRecord]) -> Iterator[Sequence[RawRecord]]:
    """A poll in parts of a mebibyte or little more: a thousand records may be a million scans, in frames."""
    sizes = [len(record.value or b"") for record in records]
    if sum(sizes) < PIECE_BYTES:
        if records:
            yield records
        return
    first = size = 0
    for index, more in enumerate(sizes):
        size += more
        if size >= PIECE_BYTES:
            yield records[first : index + 1]
            first, size = index + 1, 0
    if first < len(records):
        yield records[first:]
