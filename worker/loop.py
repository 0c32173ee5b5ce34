"""The turns of the worker: poll, process, publish, commit, between a source and a sink that it knows by their ports."""

import time
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from worker.health import Health
from worker.pieces import pieces
from worker.pipeline import Pipeline
from worker.records import Partition, Polled, Processed, RawRecord

PIECE_BYTES = 2 << 20
"""Of a poll that is answered at once: all of it with scans of 20 sensors in JSON; of 2,000 frames, which may hold two
million scans, some 26,000 scans."""


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

    POLL_LIMIT = 2000
    """Decoding and the model take the processor's caches from each other, in longer turns less often."""
    FIRST_LIMIT = 50
    """Before anything is known of how long the model takes."""
    IDLE_WAIT_S = 0.05
    BUSY_WAIT_S = 0.002
    """While outputs are under way their acknowledgements, and the commit behind them, should not wait."""
    OBSERVE_EVERY_S = 1.0
    TURN_S = 0.25
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
        self._waiting: list[RawRecord] = []
        self._was_joined = self._was_refilling = False

    def run(self, should_stop: Callable[[], bool]) -> None:
        """Work until told to stop.

        Raises:
            DeliveryError: source or sink cannot go on.
        """
        while not should_stop():
            polled = self._poll()
            polled_at = self._clock()
            if (owed := self._pipeline.owed()) is not None:
                self._sink.publish(owed, polled_at)
            for piece in pieces(polled.replayed, PIECE_BYTES):
                self._pipeline.refill(piece)
            self._waiting += polled.new
            records, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
            self._process(records, polled_at)
            self._sink.tick()
            self._health.turned()
            self._tell_readiness()
            if polled_at >= self._observe_at:
                self._observe_at = polled_at + self.OBSERVE_EVERY_S
                self._observe()

    def forget(self, partitions: Collection[Partition]) -> None:
        """Leave what was polled of partitions that are taken away, and is not processed yet."""
        self._waiting = [record for record in self._waiting if record.origin.partition not in partitions]

    def _poll(self) -> Polled:
        """The next records; while some wait, one at most: who does not ask for records loses its partitions."""
        if self._waiting:
            return self._source.poll(1, 0.0, 0.0)
        wait_s = self.BUSY_WAIT_S if self._sink.outstanding else self.IDLE_WAIT_S
        # What comes again costs no inference; the new ones that come with it wait.
        limit = self.POLL_LIMIT if self._source.is_refilling else self._limit
        return self._source.poll(limit, wait_s, self._company_s)

    def _process(self, records: Sequence[RawRecord], polled_at: float) -> None:
        answered = warming = 0
        worked_s = 0.0
        for piece in pieces(records, PIECE_BYTES):
            begun = self._clock()
            processed = self._pipeline.process(piece)
            worked_s += self._clock() - begun  # the broker may be slow to commit: fewer records would not help
            answered, warming = answered + processed.answered, warming + processed.warming
            self._sink.publish(processed, polled_at)
            self._health.turned()
        if records:
            self._limit = self._limit_after(len(records), worked_s, knows_model=answered >= warming)

    def _limit_after(self, records: int, seconds: float, *, knows_model: bool) -> int:
        """As many records as a turn has time for, by the last; at most twice as many as before.

        Not more than before after a turn whose windows were mostly warming: when they are full the model is asked, and
        nobody knows yet how long it takes.
        """
        in_time = int(records * self.TURN_S / seconds) if seconds > 0 else self.POLL_LIMIT
        return max(1, min(in_time, 2 * self._limit if knows_model else self._limit, self.POLL_LIMIT))

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
