"""A recorded line, played to Kafka at a multiple of its own speed, looped with its times shifted."""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.messages import SensorScan, encode
from models.recording import Recording
from worker.kafka.publisher import ScanPublisher


@dataclass(frozen=True, slots=True)
class Sent:
    """One published scan."""

    strand_id: str
    event_time_ms: int


class Player(threading.Thread):
    """Plays a recording until its time is over or it is told to stop.

    Attributes:
        sent_at: when each scan was handed to the client, `time.monotonic` seconds, in order of publication.
        shift_ms: what the first round adds to the recording's times, milliseconds.
        failure: what ended it early, if anything did.
    """

    def __init__(self, recording: Recording, publisher: ScanPublisher, *, speed: float, start_ms: int) -> None:
        """`speed`: times real time; `start_ms`: the event time given to the recording's first scan."""
        super().__init__(name="player", daemon=True)
        self._recording = recording
        self._publisher = publisher
        self._speed = speed
        self.shift_ms = start_ms - int(recording.event_time_ms[0])
        self._stop_asked = threading.Event()
        self.sent_at: dict[Sent, float] = {}
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Ask to stop; `join` waits for it."""
        self._stop_asked.set()

    def run(self) -> None:
        """Play; ends when stopped or when a scan is refused."""
        try:
            self._play()
            self._publisher.flush(10.0)
        except Exception as error:
            self.failure = error

    def _play(self) -> None:
        recording = self._recording
        began = time.monotonic()
        for played_ms, repeat, row, strand in self._order():
            due = began + played_ms / 1000 / self._speed
            if self._stop_asked.wait(max(0.0, due - time.monotonic())):
                return
            scan = self._scan(repeat, row, strand)
            self.sent_at[Sent(scan.strand_id, scan.event_time_ms)] = time.monotonic()
            self._publisher.publish(recording.strands[strand], encode(scan))

    def _order(self) -> Iterator[tuple[float, int, int, int]]:
        """(milliseconds played, round, row, strand) of every scan, round after round.

        Strands scan evenly spread over the period, as gateways that know nothing of each other do.
        """
        recording = self._recording
        strands, period = len(recording.strands), recording.period_ms
        offsets = (recording.event_time_ms - recording.event_time_ms[0]).tolist()
        for repeat in itertools.count():
            for row, offset in enumerate(offsets):
                played = repeat * (offsets[-1] + period) + offset
                for strand in range(strands):
                    yield played + strand * period / strands, repeat, row, strand

    def _scan(self, repeat: int, row: int, strand: int) -> SensorScan:
        recording = self._recording
        values = recording.values[strand, row]
        return SensorScan(
            strand_id=recording.strands[strand],
            event_time_ms=int(recording.event_time_ms[row]) + self.shift_ms + repeat * recording.loop_ms,
            seq=repeat * len(recording.event_time_ms) + row,
            heat_id=recording.heat_ids[strand][row],
            strand_position_m=float(recording.strand_position_m[strand, row]),
            values={
                sensor.name: None if is_missing else round(value, 4)
                for sensor, value, is_missing in zip(
                    recording.sensors, values.tolist(), np.isnan(values).tolist(), strict=True
                )
            },
        )
