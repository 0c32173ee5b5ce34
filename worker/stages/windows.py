"""Scans to windows: one rolling window a strand, by the rules of `models.windows`.

A strand belongs to the partition its scans come from; when the partition goes, so do its strands. Nothing
outside this file and `models` assumes that a strand's state is a window.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from models.messages import SensorScan
from models.windows import Float32Array, Outcome, StrandWindow, Verdict, WindowRules
from worker.records import DueScan, DueWindow, GivenUp, Origin, Partition, ScanBlock

EVICT_AFTER_RECORDS = 100_000
"""A strand without a scan for this many offsets of its partition is forgotten: memory stays bounded."""


class _Strand:
    __slots__ = ("last_offset", "window")

    def __init__(self, window: StrandWindow) -> None:
        self.window = window
        self.last_offset = 0


@dataclass(frozen=True, slots=True)
class _Refill:
    starts: Mapping[str, int]
    since: int | None


class Windows:
    """The rolling windows of all strands of this worker."""

    def __init__(self, rules: WindowRules, sensors: int, evict_after_records: int = EVICT_AFTER_RECORDS) -> None:
        self._rules = rules
        self._sensors = sensors
        self._evict_after = evict_after_records
        self._partitions: dict[Partition, dict[str, _Strand]] = {}
        self._swept: dict[Partition, int] = {}
        self._refills: dict[Partition, _Refill] = {}
        self._watched: dict[Partition, Mapping[str, int]] = {}
        self.outcomes = dict.fromkeys(Outcome, 0)

    def advance(self, block: ScanBlock) -> Iterator[DueWindow | GivenUp]:
        """Take the scans in log order; yield what is due, and the strands that are given up.

        A yielded window is a view: use it before asking for the next.
        """
        for origin, scan, row in zip(block.origins, block.scans, block.rows, strict=True):
            yield from self._give_up_broken(origin)
            yield from self._sweep(origin)
            yield from self._take(origin, scan, row)

    def drop(self, partition: Partition) -> None:
        """Forget a partition's strands: it belongs to another worker now."""
        self._swept.pop(partition, None)
        self._partitions.pop(partition, None)
        self._refills.pop(partition, None)
        self._watched.pop(partition, None)

    def starts(self, partition: Partition) -> dict[str, int]:
        """The offset of the oldest scan in every strand's window: all that `refill` needs beside the log."""
        strands = self._partitions.get(partition, {})
        return {strand_id: strand.window.start_place for strand_id, strand in strands.items()}

    def begin_refill(
        self, partition: Partition, starts: Mapping[str, int], watched: Mapping[str, int], since: int | None = None
    ) -> None:
        """Forget what was; from now on `refill` takes the scans of these strands, each from its offset on.

        Args:
            partition: whose.
            starts: by strand, the offset of its window's oldest scan.
            watched: by strand, the event time of its last prediction: strands with an alert, for which their windows
                were full. Those that the log cannot fill any more are given up with the partition's next scan.
            since: offset at which the starts were so, and from which on the scans of every strand count; None if it is
                where the refill ends.
        """
        self.drop(partition)
        self._refills[partition] = _Refill(starts, since)
        self._watched[partition] = watched

    def refill(self, block: ScanBlock) -> None:
        """Take scans that were taken before, in silence: windows grow as they did, and nothing comes of it.

        A strand's scans before its start are passed over: a late one among them, which was refused when it came, would
        be taken now for the first.
        """
        for origin, scan, row in zip(block.origins, block.scans, block.rows, strict=True):
            refill = self._refills[origin.partition]
            if refill.since is not None and origin.offset >= refill.since:
                deque(self._sweep(origin), maxlen=0)
                self._push(origin, scan, row)
                continue
            self._swept[origin.partition] = self._cell(origin)
            start = refill.starts.get(scan.strand_id)
            if start is not None and origin.offset >= start:
                self._push(origin, scan, row)

    def last_times_ms(self) -> list[int]:
        """The newest event time of every strand."""
        return [
            last
            for strands in self._partitions.values()
            for strand in strands.values()
            if (last := strand.window.timeline.last_ms) is not None
        ]

    def _take(self, origin: Origin, scan: SensorScan, row: Float32Array) -> Iterator[DueWindow | GivenUp]:
        window, before, verdict = self._push(origin, scan, row)
        self.outcomes[verdict.outcome] += 1
        if verdict.restarted and before is not None:
            yield GivenUp(origin, scan.strand_id, scan.event_time_ms, _why_restarted(before, scan.event_time_ms))
        if verdict.due:
            yield DueWindow(_due_scan(origin, scan, window), window.rows)

    def _push(self, origin: Origin, scan: SensorScan, row: Float32Array) -> tuple[StrandWindow, int | None, Verdict]:
        """Offer a scan to its strand's window; returns the window, the newest event time before, and the verdict."""
        strands = self._partitions.setdefault(origin.partition, {})
        strand = strands.get(scan.strand_id)
        if strand is None:
            strand = _Strand(StrandWindow(self._rules, scan.strand_id, self._sensors))
            strands[scan.strand_id] = strand
        strand.last_offset = origin.offset
        before = strand.window.timeline.last_ms
        return strand.window, before, strand.window.push(scan.event_time_ms, row, origin.offset)

    def _cell(self, origin: Origin) -> int:
        """The stretch of its partition, of which the first record evicts."""
        return origin.offset // max(1, self._evict_after // 10)

    def _give_up_broken(self, origin: Origin) -> Iterator[GivenUp]:
        for strand_id, last_ms in self._watched.pop(origin.partition, {}).items():
            strand = self._partitions.get(origin.partition, {}).get(strand_id)
            if strand is None or not strand.window.is_full:
                why = "its earlier scans are gone from the log"
                yield GivenUp(origin, strand_id, last_ms, why, is_evicted=strand is None)

    def _sweep(self, origin: Origin) -> Iterator[GivenUp]:
        """Evict silent strands. Decided by offsets alone, so that a replay of the log decides the same."""
        partition = origin.partition
        if self._swept.get(partition) == self._cell(origin):
            return
        self._swept[partition] = self._cell(origin)
        strands = self._partitions.get(partition, {})
        for strand_id in [s for s, strand in strands.items() if origin.offset - strand.last_offset > self._evict_after]:
            last = strands.pop(strand_id).window.timeline.last_ms
            why = f"no scan in the last {self._evict_after} records of its partition"
            yield GivenUp(origin, strand_id, last or 0, why, is_evicted=True)


def _due_scan(origin: Origin, scan: SensorScan, window: StrandWindow) -> DueScan:
    return DueScan(
        origin=origin,
        strand_id=scan.strand_id,
        seq=scan.seq,
        event_time_ms=scan.event_time_ms,
        heat_id=scan.heat_id,
        strand_position_m=scan.strand_position_m,
        window_start_ms=window.start_ms,
        missing_fraction=window.missing_fraction,
        is_full=window.is_full,
    )


def _why_restarted(before_ms: int, now_ms: int) -> str:
    step = (now_ms - before_ms) / 1000
    return f"a gap of {step:.1f} s in its scans" if step > 0 else f"its clock was set back by {-step:.1f} s"
