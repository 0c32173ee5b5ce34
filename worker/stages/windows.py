"""Scans to windows: one rolling window a strand, by the rules of `models.windows`.

A strand belongs to the partition its scans come from; when the partition goes, so do its strands. Nothing
outside this file and `models` assumes that a strand's state is a window.
"""

import sys
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from models.strand_window import StrandWindow
from models.windows import ORDINARY, Outcome, WindowRules
from worker.records import PLACES, DueWindow, FrameBlock, GivenUp, Origin, Partition, Reached, ScanBlock
from worker.strand_steps import through, told

EVICT_AFTER_RECORDS = 100_000
"""A strand without a scan for this many offsets of its partition is forgotten: memory stays bounded."""


class _Strand(StrandWindow):
    """A strand's window, and the offset of its last record."""

    __slots__ = ("last_offset",)
    last_offset: int


@dataclass(slots=True)
class _Refill:
    """As `Windows.begin_refill` was told, and the strands whose window was begun."""

    starts: Mapping[str, int]
    since: int | None
    reached: Mapping[str, Reached]
    begun: set[str] = field(default_factory=set)


class Windows:
    """The rolling windows of all strands of this worker."""

    def __init__(self, rules: WindowRules, sensors: int, evict_after_records: int = EVICT_AFTER_RECORDS) -> None:
        self._rules = rules
        self._sensors = sensors
        self._evict_after = evict_after_records
        self._cell_records = max(1, evict_after_records // 10)
        self._partitions: dict[Partition, dict[str, _Strand]] = {}
        self._swept: dict[Partition, int] = {}
        self._refills: dict[Partition, _Refill] = {}
        self._watched: dict[Partition, Mapping[str, int]] = {}
        self.outcomes = dict.fromkeys(Outcome, 0)

    def advance(self, block: ScanBlock | FrameBlock) -> Iterator[DueWindow | GivenUp]:
        """Take the scans in log order; yield what is due, and the strands that are given up.

        A yielded window is a view: use it before asking for the next.
        """
        if isinstance(block, FrameBlock):
            yield from self._advance_frames(block)
            return
        partition, sweep_at, ordinary = None, 0, 0
        strands: dict[str, _Strand] = {}
        for origin, scan, row, missing in zip(block.origins, block.scans, block.rows, block.missing, strict=True):
            offset = origin.offset
            if origin.partition is not partition or offset >= sweep_at:
                partition, sweep_at = origin.partition, self._next_cell_at(origin)
                yield from self._begin_cell(origin)
                strands = self._partitions.setdefault(partition, {})
            strand = strands.get(scan.strand_id) or self._window(origin, scan.strand_id)
            strand.last_offset = offset
            before = strand.timeline.last_ms
            verdict = strand.push(scan.event_time_ms, row, offset * PLACES, missing)
            if verdict is ORDINARY:
                ordinary += 1
                continue
            self.outcomes[verdict.outcome] += 1
            if verdict.due or verdict.restarted:
                yield from told(origin, scan, strand, before, verdict)
        self.outcomes[Outcome.USED] += ordinary

    def drop(self, partition: Partition) -> None:
        """Forget a partition's strands: it belongs to another worker now."""
        self._swept.pop(partition, None)
        self._partitions.pop(partition, None)
        self._refills.pop(partition, None)
        self._watched.pop(partition, None)

    def starts(self, partition: Partition) -> dict[str, int]:
        """The place of the oldest scan in every strand's window; of those that hold any."""
        strands = self._partitions.get(partition, {})
        return {strand_id: place for strand_id, strand in strands.items() if (place := strand.start_place) is not None}

    def reached(self, partition: Partition) -> dict[str, Reached]:
        """How far every strand has come."""
        return {
            strand_id: Reached(last_ms, strand.last_offset, strand.timeline.late)
            for strand_id, strand in self._partitions.get(partition, {}).items()
            if (last_ms := strand.timeline.last_ms) is not None
        }

    def begin_refill(
        self, partition: Partition, starts: Mapping[str, int], watched: Mapping[str, int], since: int | None = None,
        reached: Mapping[str, Reached] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Forget what was; from now on `refill` takes the scans of these strands, each from its place on.

        Args:
            partition: whose.
            starts: by strand, the place of its window's oldest scan.
            watched: by strand, the event time of its last prediction: strands with an alert, for which their windows
                were full. Those that the log cannot fill any more are given up with the partition's next scan.
            since: offset at which the starts were so, and from which on the scans of every strand count; None if it is
                where the refill ends.
            reached: by strand, how far it had come when the starts were so. One that the log does not refill goes on
                from there with an empty window: its scans are refused or due as they would have been.
        """
        self.drop(partition)
        self._refills[partition] = _Refill(starts, since, reached)
        self._watched[partition] = watched
        if reached:
            self._partitions[partition] = {one: self._gone_on(one, at) for one, at in reached.items()}
            self._swept[partition] = max(at.offset for at in reached.values()) // self._cell_records

    def refill(self, block: ScanBlock | FrameBlock) -> None:
        """Take scans that were taken before, in silence: windows grow as they did, and nothing comes of it.

        A strand's scans before its start are passed over: a late one among them, which was refused when it came, would
        be taken now for the first. So are those after it, if its start is not in the log any more.
        """
        if isinstance(block, FrameBlock):
            for origin, frame, lacking in zip(block.origins, block.frames, block.missing, strict=True):
                first = self._first_taken(origin, frame.strand_id, len(frame))
                if first < len(frame):
                    _exhaust(through(self._window(origin, frame.strand_id), origin, frame, lacking, first))
            return
        partition, plain_until = None, 0
        strands: dict[str, _Strand] = {}
        begun: set[str] = set()
        for origin, scan, row, missing in zip(block.origins, block.scans, block.rows, block.missing, strict=True):
            strand_id, offset = scan.strand_id, origin.offset
            if origin.partition is partition and offset < plain_until and strand_id in begun:  # nearly all
                strand = strands[strand_id]
                strand.last_offset = offset
                strand.push(scan.event_time_ms, row, offset * PLACES, missing)
                continue
            if self._first_taken(origin, strand_id, 1) == 0:
                self._window(origin, strand_id).push(scan.event_time_ms, row, origin.place(), missing)
            partition, refill = origin.partition, self._refills[origin.partition]
            strands, begun = self._partitions.setdefault(partition, {}), refill.begun
            plain_until = min(self._next_cell_at(origin), sys.maxsize if refill.since is None else refill.since)

    def _first_taken(self, origin: Origin, strand_id: str, count: int) -> int:
        """The first of a record's scans that is taken, `count` if none is; evicts as when the record first came."""
        refill = self._refills[origin.partition]
        if refill.since is not None and origin.offset >= refill.since:
            self._go_on_where_broken(origin.partition)
            _exhaust(self._sweep(origin))
            return 0
        self._swept[origin.partition] = self._cell(origin)
        if strand_id in refill.begun:
            return 0
        first = refill.starts.get(strand_id, -1) - origin.place()
        if not 0 <= first < count:
            return count
        refill.begun.add(strand_id)
        self._partitions.get(origin.partition, {}).pop(strand_id, None)
        return first

    def _go_on_where_broken(self, partition: Partition) -> None:
        """A strand that has not come as far as it had, because the log lacks scans of it, begins anew there."""
        refill = self._refills.get(partition)
        if refill is None or not refill.reached:
            return
        strands = self._partitions[partition]
        for strand_id, at in refill.reached.items():
            if strands[strand_id].timeline.last_ms != at.event_time_ms:
                strands[strand_id] = self._gone_on(strand_id, at)
        refill.reached = {}

    def _gone_on(self, strand_id: str, at: Reached) -> _Strand:
        """A strand that has come so far, with an empty window."""
        strand = _Strand(self._rules, strand_id, self._sensors)
        strand.timeline.go_on_from(at.event_time_ms, at.late)
        strand.last_offset = at.offset
        return strand

    def last_times_ms(self) -> list[int]:
        """The newest event time of every strand."""
        return [
            last
            for strands in self._partitions.values()
            for strand in strands.values()
            if (last := strand.timeline.last_ms) is not None
        ]

    def _advance_frames(self, block: FrameBlock) -> Iterator[DueWindow | GivenUp]:
        partition, sweep_at = None, 0
        for origin, frame, missing in zip(block.origins, block.frames, block.missing, strict=True):
            if origin.partition is not partition or origin.offset >= sweep_at:
                partition, sweep_at = origin.partition, self._next_cell_at(origin)
                yield from self._begin_cell(origin)
            window = self._window(origin, frame.strand_id)
            refused = 0
            for index, before, verdict in through(window, origin, frame, missing):
                if verdict.outcome is not Outcome.USED:
                    self.outcomes[verdict.outcome] += 1
                    refused += 1
                elif verdict.due or verdict.restarted:
                    yield from told(origin, frame.scan(index), window, before, verdict)
            self.outcomes[Outcome.USED] += len(frame) - refused

    def _window(self, origin: Origin, strand_id: str) -> _Strand:
        """The window of the strand that a record is of; it is noted that the strand had one."""
        strands = self._partitions.setdefault(origin.partition, {})
        strand = strands.get(strand_id)
        if strand is None:
            strand = strands[strand_id] = _Strand(self._rules, strand_id, self._sensors)
        strand.last_offset = origin.offset
        return strand

    def _cell(self, origin: Origin) -> int:
        """The stretch of its partition, of which the first record evicts."""
        return origin.offset // self._cell_records

    def _next_cell_at(self, origin: Origin) -> int:
        return (self._cell(origin) + 1) * self._cell_records

    def _begin_cell(self, origin: Origin) -> Iterator[GivenUp]:
        """What is due at a cell's first record; at any other it is nothing, and only takes time."""
        self._go_on_where_broken(origin.partition)
        yield from self._give_up_broken(origin)
        yield from self._sweep(origin)

    def _give_up_broken(self, origin: Origin) -> Iterator[GivenUp]:
        for strand_id, last_ms in self._watched.pop(origin.partition, {}).items():
            strand = self._partitions.get(origin.partition, {}).get(strand_id)
            if strand is None or not strand.is_full:
                why = "its earlier scans are gone from the log"
                yield GivenUp(origin, strand_id, last_ms, why, is_evicted=strand is None)

    def _sweep(self, origin: Origin) -> Iterator[GivenUp]:
        """Evict silent strands. Decided by offsets alone, so that a replay of the log decides the same."""
        partition = origin.partition
        if self._swept.get(partition) == self._cell(origin):
            return
        self._swept[partition] = self._cell(origin)
        strands = self._partitions.get(partition, {})
        silent = [s for s, strand in strands.items() if origin.offset - strand.last_offset > self._evict_after]
        for strand_id in sorted(silent):  # the order of their first scans is another after a refill
            last = strands.pop(strand_id).timeline.last_ms
            why = f"no scan in the last {self._evict_after} records of its partition"
            yield GivenUp(origin, strand_id, last or 0, why, is_evicted=True)


def _exhaust(steps: Iterator[object]) -> None:
    deque(steps, maxlen=0)
