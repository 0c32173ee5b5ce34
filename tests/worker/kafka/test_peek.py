"""Where a log was cut off and written anew, by the leader epochs of single records."""

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.peek import Peek
from worker.settings import KafkaSettings


@dataclass(frozen=True)
class Record:
    at: int
    epoch: int

    def offset(self) -> int:
        return self.at

    def leader_epoch(self) -> int:
        return self.epoch


class Log(Peek):
    """A partition in memory; offsets have holes, where markers stand."""

    def __init__(self, records: list[Record]) -> None:
        super().__init__(KafkaSettings(bootstrap_servers="x"))
        self._records = records

    def first(self, topic: str, number: int, offset: int, until_s: float) -> Any | None:
        del topic, number, until_s
        return next((record for record in self._records if record.at >= offset), None)


STEPS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 1)), min_size=1, max_size=40)


def log_of(steps: list[tuple[int, int]], offset: int, epoch: int) -> list[Record]:
    records = []
    for step, rise in steps:
        records.append(Record(offset, epoch))
        offset, epoch = offset + step, epoch + rise
    return records


@given(STEPS, st.integers(0, 39), STEPS, st.integers(0, 39))
def test_everything_after_the_cut_is_new_and_nothing_before(
    steps: list[tuple[int, int]], cut: int, anew: list[tuple[int, int]], taken: int
) -> None:
    before = log_of(steps, 7, 0)
    last = before[min(taken, len(before) - 1)]
    kept = before[: min(cut, len(before))]
    begin = before[min(cut, len(before) - 1)].at
    after = [*kept, *log_of(anew, begin, before[-1].epoch + 1)]
    found = Log(after).cut("t", 0, 7, last.at + 1, last.epoch, 1e9)
    if last in kept:
        assert found is None
    else:
        assert found is not None
        assert all(record.at < found for record in kept)
        assert all(record.at >= found for record in after[len(kept) :])
