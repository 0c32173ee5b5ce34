"""Records of a sensors topic, in log order, cut into casting sequences.

What is kept is what a worker would have taken in: the decoding of `models.messages`, the acceptance of
`models.windows`. Two things differ, because a dataset's times must rise. Where a strand's clock was set back (the tenth
late scan in a row), what had been accepted from there on is left out in favour of what was accepted after. And what
does not lie a silence away from a sequence that is already finished (a buffer sent after a long outage, when the scans
before it are written already; a strand that two partitions carry) is left out.

A casting sequence ends at a silence longer than a window's largest gap and than a window: within shorter ones windows
start anew by themselves, and two sequences that lie closer could not be given to different splits.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.encodings import Encoding
from models.errors import MessageError
from models.frames import decode_frame, sensor_set
from models.messages import SensorScan, decode_scan
from models.scan_rows import scan_row
from models.windows import Outcome, StrandTimeline, WindowRules
from trainer.datasets.importers.names import slug
from trainer.datasets.records import SequenceData

UNKNOWN_SEQ = -1

_Scans = list[tuple[SensorScan, Sequence[float]]]
"""Each with its values in the order of the sensors, NaN for what is missing or bad."""


@dataclass(frozen=True, slots=True)
class EventTimeRange:
    """Event times from `from_ms` up to, and without, `to_ms`; milliseconds since 1970, None without a bound."""

    from_ms: int
    to_ms: int | None = None

    def __contains__(self, event_time_ms: int) -> bool:
        return self.from_ms <= event_time_ms and (self.to_ms is None or event_time_ms < self.to_ms)


class _Strand:
    """A strand's rules, and the sequence that is open: some hundred bytes a scan."""

    __slots__ = ("heat_ids", "positions", "seqs", "timeline", "times", "values")

    def __init__(self, rules: WindowRules, strand_id: str) -> None:
        self.timeline = StrandTimeline(rules, strand_id)
        self.clear()

    def clear(self) -> None:
        self.times = array("q")
        self.values = array("f")
        self.seqs = array("q")
        self.positions = array("d")
        self.heat_ids: list[str | None] = []

    def add(self, scan: SensorScan, row: Sequence[float]) -> None:
        self.times.append(scan.event_time_ms)
        self.values.extend(row)
        self.seqs.append(UNKNOWN_SEQ if scan.seq is None else scan.seq)
        self.positions.append(np.nan if scan.strand_position_m is None else scan.strand_position_m)
        heat = scan.heat_id
        # Each decoded scan brings a text of its own; one a heat is enough.
        self.heat_ids.append(self.heat_ids[-1] if self.heat_ids and self.heat_ids[-1] == heat else heat)

    def drop_first(self, rows: int, sensors: int) -> None:
        """Drop the first rows."""
        del self.times[:rows], self.values[: rows * sensors], self.seqs[:rows], self.positions[:rows]
        del self.heat_ids[:rows]

    def cut_from(self, event_time_ms: int, sensors: int) -> int:
        """Drop the rows from a time on; how many those were."""
        keep, had = bisect_left(self.times, event_time_ms), len(self.times)
        del self.times[keep:], self.values[keep * sensors :], self.seqs[keep:], self.positions[keep:]
        del self.heat_ids[keep:]
        return had - keep


class CastingSequences:
    """Takes a partition's records one after another and yields each casting sequence as soon as it has ended.

    Memory is that of the sequences still open, one a strand.

    Args:
        sensors: names of the values' columns.
        rules: of the windows to be cut out of the sequences.
        within: event times that are kept; the rules see the scans outside too.
        encoding: of the records.

    Attributes:
        counts: scans by what became of them; `records` and `invalid` are records, `unknown_values` are values.
        invalid: the rubbish among them by reason, as a worker's dead letters have it.
        observed: [sensor] number of values that are there.
    """

    def __init__(
        self, sensors: Sequence[str], rules: WindowRules, within: EventTimeRange, encoding: Encoding = "json"
    ) -> None:
        self._sensors = tuple(sensors)
        self._set = sensor_set(self._sensors)
        self._read = self._read_json if encoding == "json" else self._read_frame
        self._known = frozenset(sensors)
        self._rules = rules
        self._within = within
        self.pause_ms = max(rules.max_gap_ms, rules.length * rules.period_ms)
        self._open: dict[str, _Strand] = {}
        self._spans: dict[str, list[tuple[int, int]]] = {}
        self._names: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.invalid: Counter[str] = Counter()
        self.observed = np.zeros(len(self._sensors), np.int64)

    @property
    def strands(self) -> int:
        """How many strands have a sequence that was yielded."""
        return len(self._spans)

    def take(self, value: bytes | None) -> Iterator[SequenceData]:
        """Take the partition's next record; the sequences that end by it."""
        self.counts["records"] += 1
        try:
            scans = self._read(value)
        except MessageError as error:
            self.counts["invalid"] += 1
            self.invalid[error.reason] += 1
            return
        for scan, row in scans:
            yield from self._take(scan, row)

    def _read_json(self, value: bytes | None) -> _Scans:
        scan = decode_scan(value)
        row = scan_row(scan, self._sensors)
        self.counts["unknown_values"] += len(scan.values) - sum(map(self._known.__contains__, scan.values))
        return [(scan, row)]

    def _read_frame(self, value: bytes | None) -> _Scans:
        frame = decode_frame(value, self._set, len(self._sensors))
        return [(frame.scan(index), row) for index, row in enumerate(frame.rows.tolist())]

    def _take(self, scan: SensorScan, row: Sequence[float]) -> Iterator[SequenceData]:
        strand = self._open.get(scan.strand_id)
        if strand is None:
            strand = self._open[scan.strand_id] = _Strand(self._rules, scan.strand_id)
        verdict = strand.timeline.observe(scan.event_time_ms)
        if verdict.outcome is not Outcome.USED:
            self.counts[verdict.outcome.value] += 1
        elif scan.event_time_ms not in self._within:
            self.counts["outside"] += 1
        else:
            yield from self._accept(strand, scan, row)

    def _accept(self, strand: _Strand, scan: SensorScan, row: Sequence[float]) -> Iterator[SequenceData]:
        now = scan.event_time_ms
        if strand.times and now <= strand.times[-1]:
            self.counts["set_back"] += strand.cut_from(now, len(self._sensors))
        if strand.times and now - strand.times[-1] > self.pause_ms:
            yield from self._finish(scan.strand_id, strand)
        strand.add(scan, row)

    def end_partition(self) -> Iterator[SequenceData]:
        """No more records come of this partition: its open sequences end, and its strands are forgotten."""
        for strand_id, strand in self._open.items():
            yield from self._finish(strand_id, strand)
        self._open = {}

    def _finish(self, strand_id: str, strand: _Strand) -> Iterator[SequenceData]:
        self._drop_overlap(strand_id, strand)
        rows = len(strand.times)
        if rows < self._rules.length:
            self.counts["short"] += rows
        else:
            self._spans.setdefault(strand_id, []).append((strand.times[0], strand.times[-1]))
            self.counts["used"] += rows
            yield self._sequence(strand_id, strand)
        strand.clear()

    def _drop_overlap(self, strand_id: str, strand: _Strand) -> None:
        """Drop all rows up to a silence after the last finished sequence that the open one runs into."""
        if not strand.times:
            return
        begin, end = strand.times[0], strand.times[-1]
        met = [
            other_end + self.pause_ms
            for other_begin, other_end in self._spans.get(strand_id, ())
            if begin <= other_end + self.pause_ms and other_begin <= end + self.pause_ms
        ]
        if met:
            overlap = bisect_right(strand.times, max(met))
            strand.drop_first(overlap, len(self._sensors))
            self.counts["overlapping"] += overlap

    def _sequence(self, strand_id: str, strand: _Strand) -> SequenceData:
        times, seqs = np.array(strand.times, np.int64), np.array(strand.seqs, np.int64)
        values = np.array(strand.values, np.float32).reshape(times.size, len(self._sensors))
        self.observed += np.count_nonzero(~np.isnan(values), axis=0)
        return SequenceData(
            sequence_id=self._name(strand_id, int(times[0])),
            strand_id=strand_id,
            event_time_ms=times,
            values=values,
            seq=np.arange(times.size, dtype=np.int64) if (seqs == UNKNOWN_SEQ).any() else seqs,
            heat_id=tuple(strand.heat_ids),
            strand_position_m=np.array(strand.positions, np.float64),
        )

    def _name(self, strand_id: str, begin_ms: int) -> str:
        name = wanted = f"{slug(strand_id)}-{begin_ms}"
        number = 2
        while name in self._names:
            name, number = f"{wanted}-{number}", number + 1
        self._names.add(name)
        return name
