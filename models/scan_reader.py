"""Scans to rows of numbers; in JSON faster where they name their sensors as others before them did.

    reader = ScanReader(sensor_names)
    found, rows, unknown = reader.read([record.value for record in records])

A scan's values become a dictionary where nothing is known of them. Senders repeat themselves: a `Layout` is learnt, and
scans with the same sensors are read into its slots, in 60 % of the time (EXPERIMENTS.md). All others are read as ever,
after a vain try that takes as long as half a scan, and all with the same result.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import astuple

from models.errors import MessageError
from models.messages import (
    MAX_SCAN_BYTES,
    ScanFacts,
    SensorScan,
    decode_scan,
    is_strand_id,
    no_strand_id,
)
from models.scan_rows import ScanRows
from models.windows import Float32Array

ReadScan = Callable[[bytes | None], SensorScan]
Found = list[ScanFacts | MessageError]

MOST_SLOTS = 24
"""msgspec looks for a name slot by slot, from the last one on: in the worst order, more of them are slower than a
dictionary."""

PATIENCE = 16
"""So many more scans are unlike a layout than like it when, among many records, it is no longer tried, and when another
is learnt; for that, twice as many each time, for a line may have scans of many kinds."""

_MOST_PATIENCE = 1 << 16
_NOT_ALIKE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ScansRead(NamedTuple):
    """What many records hold.

    Attributes:
        found: of each record a scan, or an error with the dead letter's reason and a one-line detail.
        rows: [scan, sensor] float32 of the scans among them, NaN where a value is absent, null or bad.
        unknown: how many of their values are of other sensors.
    """

    found: Found
    rows: Float32Array
    unknown: int


class ScanReader:
    """Of a model's sensors.

    Args:
        sensors: their names, in the order of the model.
        decode: reads one scan that is not in JSON, or raises a `MessageError`; None for JSON.
    """

    def __init__(self, sensors: Sequence[str], decode: ReadScan | None = None) -> None:
        self._sensors = tuple(sensors)
        self._rows = ScanRows(sensors)
        self._decode = decode or decode_scan
        self._learns = decode is None
        self._layout: Layout | None = None
        self._unlike, self._patience = 0, PATIENCE

    def read(self, values: Sequence[bytes | None]) -> ScansRead:
        """Read the values of many records."""
        layout = self._layout
        found = self._found(values, layout)
        scans = _scans(found)
        rows, unknown = self._read(scans, layout)
        is_too_large = np.isinf(rows).any(axis=1)
        if is_too_large.any():
            places = [place for place, one in enumerate(found) if not isinstance(one, MessageError)]
            for index in np.flatnonzero(is_too_large).tolist():
                found[places[index]] = self._rows.too_large(self._decode(values[places[index]]))
            rows, unknown = self._read(_scans(found), layout)
        if self._learns:
            self._learn(scans)
        return ScansRead(found, rows, unknown)

    def _found(self, values: Sequence[bytes | None], layout: "Layout | None") -> Found:
        """Scans and errors; the layout is tried until it was in vain too often."""
        found: Found = []
        chances = PATIENCE
        for value in values:
            if layout is not None and value and len(value) <= MAX_SCAN_BYTES:
                try:
                    found.append(layout.decode(value))
                    chances += 1
                    continue
                except _NOT_ALIKE:
                    chances -= 1
                    layout = layout if chances else None
            try:
                found.append(self._decode(value))
            except MessageError as error:
                found.append(error)
        return _named(found)

    def _read(self, scans: Sequence[ScanFacts], layout: "Layout | None") -> tuple[Float32Array, int]:
        plain = [scan for scan in scans if type(scan) is SensorScan]
        if layout is None or len(plain) == len(scans):
            return self._rows.read(plain)
        if not plain:
            return layout.read(scans)
        is_plain = np.fromiter((type(scan) is SensorScan for scan in scans), bool, len(scans))
        rows = np.empty((len(scans), len(self._sensors)), np.float32)
        rows[is_plain], unknown = self._rows.read(plain)
        rows[~is_plain], more = layout.read([scan for scan in scans if type(scan) is not SensorScan])
        return rows, unknown + more

    def _learn(self, scans: Sequence[ScanFacts]) -> None:
        """Take the layout that most scans would have been alike to, once it is plain that the present one is not it."""
        plain = [scan for scan in scans if type(scan) is SensorScan]
        self._unlike = max(0, self._unlike + 2 * len(plain) - len(scans))
        if self._unlike < self._patience:
            return
        ((names, _),) = Counter(tuple(scan.values) for scan in plain).most_common(1)
        self._layout = Layout.of(names, self._sensors)
        self._unlike, self._patience = 0, min(2 * self._patience, _MOST_PATIENCE)


class Layout:
    """Scans whose values are of certain sensors, in a certain order.

    Args:
        names: of the values, in that order.
        sensors: that are read; a scan may lack some of them, but none of the others.

    Attributes:
        decode: reads a scan's bytes; raises an error of msgspec, or of the bytes, for what is no scan or none of these.
    """

    def __init__(self, names: Sequence[str], sensors: Sequence[str]) -> None:
        wanted = set(sensors)
        slots = {f"s{number}": name for number, name in enumerate(names)}
        fields: list[Any] = [
            (slot, float | None, None) if name in wanted else (slot, float | None) for slot, name in slots.items()
        ]
        kind: Any = {"frozen": True, "kw_only": True, "gc": False}
        values = msgspec.defstruct("Values", fields, rename=slots, forbid_unknown_fields=True, **kind)
        scan = msgspec.defstruct("Scan", [("values", values)], bases=(SensorScan,), **kind)  # all else as it is there
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(scan).decode
        self._places = {name: place for place, name in enumerate(names) if name in wanted}
        self._width = len(names)
        columns = [self._places[name] for name in sensors]
        self._columns = None if columns == list(range(len(names))) else columns

    @classmethod
    def of(cls, names: Sequence[str], sensors: Sequence[str]) -> "Layout | None":
        """That of values with these names, and of the sensors that are not among them; None if they cannot have one."""
        known = set(names)
        names = [*names, *(name for name in sensors if name not in known)]
        try:
            return cls(names, sensors) if len(names) <= MOST_SLOTS else None
        except ValueError:  # a name that JSON would escape
            return None

    def read(self, scans: Sequence[Any]) -> tuple[Float32Array, int]:
        """Rows of scans that it decoded, and how many of their values are not read: as `ScanRows.read`."""
        values: list[float | None] = []
        for scan in scans:
            row = astuple(scan.values)
            values += self._without_bad(row, scan.quality) if scan.quality else row
        with np.errstate(over="ignore"):
            rows = np.fromiter(values, np.float32, len(values)).reshape(len(scans), self._width)  # None becomes NaN
        unknown = len(scans) * (self._width - len(self._places))
        return rows if self._columns is None else rows[:, self._columns], unknown

    def _without_bad(self, row: Sequence[float | None], qualities: dict[str, str]) -> Sequence[float | None]:
        bad = {self._places.get(name) for name, quality in qualities.items() if quality == "bad"}
        return [None if place in bad else value for place, value in enumerate(row)]


def _named(found: Found) -> Found:
    """The same; scans whose strand id is none, which a layout does not look at, as errors."""
    strange = {text for text in {scan.strand_id for scan in _scans(found)} if not is_strand_id(text)}
    if not strange:
        return found
    return [
        no_strand_id(one.strand_id) if not isinstance(one, MessageError) and one.strand_id in strange else one
        for one in found
    ]


def _scans(found: Found) -> list[ScanFacts]:
    return [one for one in found if not isinstance(one, MessageError)]
