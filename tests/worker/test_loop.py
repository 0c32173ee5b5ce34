"""How many records a turn takes."""

from collections.abc import Sequence
from pathlib import Path

from support.bundles import write_bundle

from models.runtime import Predictor
from worker.health import Health
from worker.loop import Loop
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.records import DeadLetter, Origin, Polled, Processed, RawRecord, ScanBlock
from worker.stages.decode import ScanDecoder


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class FullSource:
    """As many records as are asked for, of a partition that nobody takes away."""

    has_joined, is_refilling = True, False

    def __init__(self) -> None:
        self.limits: list[int] = []
        self._offset = 0

    def poll(self, limit: int, wait_s: float, company_s: float) -> Polled:
        del wait_s, company_s
        self.limits.append(limit)
        offsets = range(self._offset, self._offset + limit)
        self._offset = offsets.stop
        return Polled([], [RawRecord(Origin(("t", 0), offset), b"p.c.s", None) for offset in offsets])

    def observe_lag(self) -> None:
        pass

    def look_after_group(self) -> None:
        pass


class SlowSink:
    """Takes its time for every poll, as one does that waits for a commit."""

    outstanding = 0

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds

    def publish(self, processed: Processed, polled_at: float) -> None:
        del processed, polled_at
        self._clock.now_s += self._seconds

    def tick(self) -> None:
        pass


class SlowDecoder(ScanDecoder):
    """Takes its time for every record."""

    def __init__(self, clock: Clock, seconds: float, sensors: Sequence[str]) -> None:
        super().__init__(sensors)
        self._clock, self._seconds = clock, seconds

    def decode(self, records: Sequence[RawRecord]) -> tuple[ScanBlock, list[DeadLetter]]:
        self._clock.now_s += self._seconds * len(records)
        return super().decode(records)


def limits(tmp_path: Path, *, per_poll_s: float, per_record_s: float) -> list[int]:
    """Of twelve turns."""
    clock, source = Clock(), FullSource()
    predictor = Predictor.load(write_bundle(tmp_path / "test"), device="cpu", batch_sizes=(1,))
    decoder = SlowDecoder(clock, per_record_s, predictor.manifest.sensor_names)
    pipeline = Pipeline(predictor, Metrics(), decoder=decoder)
    health = Health(lambda _: None, clock)
    loop = Loop(source, pipeline, SlowSink(clock, per_poll_s), health, company_s=0.0, clock=clock)
    loop.run(lambda: len(source.limits) == 12)
    pipeline.close()
    return source.limits


def test_a_slow_commit_does_not_make_turns_smaller(tmp_path: Path) -> None:
    assert limits(tmp_path, per_poll_s=30.0, per_record_s=0.0)[-1] == Loop.POLL_LIMIT


def test_a_slow_model_makes_turns_as_small_as_they_must_be(tmp_path: Path) -> None:
    assert limits(tmp_path, per_poll_s=0.0, per_record_s=0.05)[-1] == Loop.TURN_S / 0.05
