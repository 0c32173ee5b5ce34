"""Which records come again: between where a partition's windows begin and where it is live."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker import logs
from worker.kafka.rewind import Resume
from worker.metrics import Metrics
from worker.records import Partition, Polled, RawRecord

log = logs.get(__name__)


@dataclass(slots=True)
class _Refill:
    begins: int
    until: int
    records: int = 0
    began_s: float = field(default_factory=time.monotonic)


class Refills:
    """Those under way, by partition.

    Args:
        metrics: told how long each took.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._under_way: dict[Partition, _Refill] = {}

    def __bool__(self) -> bool:
        """Whether any is under way."""
        return bool(self._under_way)

    def begin(self, partition: Partition, resume: Resume) -> None:
        """A partition is taken up."""
        if resume.read_from < resume.live_from:
            self._under_way[partition] = _Refill(resume.read_from, resume.live_from)

    def drop(self, partition: Partition) -> None:
        """It is given up."""
        self._under_way.pop(partition, None)

    def split(self, records: Sequence[RawRecord], next_offsets: Mapping[Partition, int]) -> Polled:
        """Tell what comes again from what is new.

        Args:
            records: of one poll.
            next_offsets: of every partition, after them.
        """
        if not self._under_way:
            return Polled([], records)
        replayed, new = [], []
        for record in records:
            refill = self._under_way.get(record.origin.partition)
            if refill is None or record.origin.offset >= refill.until:
                new.append(record)
            else:
                replayed.append(record)
                refill.records += 1
        for partition in [one for one, refill in self._under_way.items() if next_offsets[one] >= refill.until]:
            self._end(partition, self._under_way.pop(partition))
        return Polled(replayed, new)

    def _end(self, partition: Partition, refill: _Refill) -> None:
        seconds = time.monotonic() - refill.began_s
        self._metrics.refill.observe(seconds)
        log.info(
            "windows refilled",
            partition=partition[1], from_offset=refill.begins, until_offset=refill.until, records=refill.records,
            seconds=round(seconds, 3),
        )  # fmt: skip
