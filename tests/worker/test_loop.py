"""How many records a turn takes."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bundles import write_bundle

from models.messages import SensorScan, encode
from models.runtime import Predictor
from worker.health import Health
from worker.loop import Loop
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.records import DeadLetter, Origin, PartitionState, Polled, Processed, RawRecord, ScanBlock
from worker.stages.decode import ScanDecoder


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


PARTITION = ("t", 0)


class FullSource:
    """As many records as are asked for, of a partition that nobody takes away; the first so many come again."""

    has_joined = True

    def __init__(self, replayed: int = 0, scan: Callable[[int], bytes | None] = lambda _: None) -> None:
        self.limits: list[int] = []
        self._offset, self._replayed, self._scan = 0, replayed, scan

    @property
    def is_refilling(self) -> bool:
        return self._offset < self._replayed

    def poll(self, limit: int, wait_s: float, company_s: float) -> Polled:
        del wait_s, company_s
        self.limits.append(limit)
        offsets = range(self._offset, self._offset + limit)
        self._offset = offsets.stop
        records = [RawRecord(Origin(PARTITION, offset), b"p.c.s", self._scan(offset)) for offset in offsets]
        again = max(0, self._replayed - offsets.start)
        return Polled(records[:again], records[again:])

    def observe_lag(self) -> None:
        pass

    def look_after_group(self) -> None:
        pass


class SlowSink:
    """Takes its time for every poll, as one does that waits for a commit."""

    outstanding = 0

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.taken: list[Processed] = []
        self._clock, self._seconds = clock, seconds

    def publish(self, processed: Processed, polled_at: float) -> None:
        del polled_at
        self.taken.append(processed)
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


@dataclass
class Run:
    """Turns of a loop on a source, by a clock of its own."""

    source: FullSource
    sink: SlowSink
    loop: Loop
    pipeline: Pipeline

    def turns(self, count: int) -> list[int]:
        """So many more; what each of all of them asked for."""
        until = len(self.source.limits) + count
        self.loop.run(lambda: len(self.source.limits) == until)
        return self.source.limits


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    made: list[Pipeline] = []

    def begun(source: FullSource | None = None, *, per_poll_s: float = 0.0, per_record_s: float = 0.0) -> Run:
        clock, source = Clock(), source or FullSource()
        predictor = Predictor.load(write_bundle(tmp_path / "test"), device="cpu", batch_sizes=(1,))
        decoder = SlowDecoder(clock, per_record_s, predictor.manifest.sensor_names)
        pipeline, sink = Pipeline(predictor, Metrics(), decoder=decoder), SlowSink(clock, per_poll_s)
        made.append(pipeline)
        loop = Loop(source, pipeline, sink, Health(lambda _: None, clock), company_s=0.0, clock=clock)
        return Run(source, sink, loop, pipeline)

    yield begun
    for pipeline in made:
        pipeline.close()


Begin = Callable[..., Run]


def test_a_slow_commit_does_not_make_turns_smaller(begin: Begin) -> None:
    assert begin(per_poll_s=30.0).turns(12)[-1] == Loop.POLL_LIMIT


def test_a_slow_model_makes_turns_as_small_as_they_must_be(begin: Begin) -> None:
    assert begin(per_record_s=0.05).turns(12)[-1] == Loop.TURN_S / 0.05


def test_after_a_refill_a_slow_model_is_asked_for_a_few_and_the_others_wait_while_the_group_is_polled(
    begin: Begin,
) -> None:
    run = begin(FullSource(replayed=2500), per_record_s=0.05)
    run.pipeline.restore(PARTITION, PartitionState({}, []))
    assert run.turns(5) == [Loop.POLL_LIMIT, Loop.POLL_LIMIT, 1, 1, 1]
    taken = [processed.records for processed in run.sink.taken]
    assert taken[0] == Loop.FIRST_LIMIT
    assert set(taken[1:]) == {Loop.TURN_S / 0.05}
    offsets = [processed.next_offsets[PARTITION] for processed in run.sink.taken]
    assert offsets == list(itertools.accumulate(taken, initial=2500))[1:]  # none left out, none twice


def test_what_waits_is_left_when_its_partition_goes(begin: Begin) -> None:
    run = begin(FullSource(replayed=2500), per_record_s=0.05)
    run.pipeline.restore(PARTITION, PartitionState({}, []))
    run.turns(3)
    before = len(run.sink.taken)
    run.loop.forget([("t", 1)])
    run.turns(1)
    assert len(run.sink.taken) == before + 1
    run.loop.forget([PARTITION])
    run.turns(1)
    asked_for, newest = run.source.limits[-1], run.sink.taken[-1]
    assert (asked_for, newest.records) == (5, 5)  # nothing waits
    assert newest.next_offsets[PARTITION] == sum(run.source.limits)


def test_while_windows_are_warming_turns_do_not_grow(begin: Begin) -> None:
    """When they are full the model is asked, and may be slow."""

    def scan(offset: int) -> bytes:
        values: dict[str, float | None] = {"mould_tc_upper_left_c": 1.0}
        return encode(SensorScan(strand_id=f"p.c.s{offset}", event_time_ms=1_000, values=values))

    assert set(begin(FullSource(scan=scan)).turns(6)) == {Loop.FIRST_LIMIT}
