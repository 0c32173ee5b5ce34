"""Scans to rows of numbers; in JSON fast where they name their sensors as one before did.

    reader = ScanReader(sensor_names)
    found, rows, unknown = reader.read([record.value for record in records])

A scan's values become a dictionary where nothing is known of them. Senders repeat themselves: from the first scan that
is unlike those before a `Layout` is learnt, and scans with the same sensors are read into its slots, in half the time
and memory. All others are read as ever, with the same result.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import astuple

from models.errors import MessageError
from models.messages import MAX_SCAN_BYTES, ScanRows, SensorScan, decode_scan, is_strand_id, no_strand_id
from models.windows import Float32Array

ReadScan = Callable[[bytes | None], SensorScan]
Found = list[SensorScan | MessageError]

_MOST_NAMES = 1000
_LAYOUTS_KEPT = 8
_NOT_ALIKE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ScansRead(NamedTuple):
    """What many records hold.

    Attributes:
        found: of each record a scan, or an error with the dead letter's reason and a one-line detail. What a scan
            measured is in `rows`; its `values` may have another form.
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

    def read(self, values: Sequence[bytes | None]) -> ScansRead:
        """Read the values of many records."""
        found, layout = self._found(values)
        scans = _scans(found)
        rows, unknown = self._read(scans, layout)
        is_too_large = np.isinf(rows).any(axis=1)
        if is_too_large.any():
            places = [place for place, one in enumerate(found) if isinstance(one, SensorScan)]
            for index in np.flatnonzero(is_too_large).tolist():
                found[places[index]] = self._rows.too_large(self._decode(values[places[index]]))
            rows, unknown = self._read(_scans(found), layout)
        return ScansRead(found, rows, unknown)

    def _found(self, values: Sequence[bytes | None]) -> tuple[Found, "Layout | None"]:
        """Scans and errors, and the layout that some of the scans were read by."""
        found: Found = []
        used = layout = self._layout
        alike, unlike = 0, 0
        for value in values:
            if layout is not None and value and len(value) <= MAX_SCAN_BYTES:
                try:
                    found.append(layout.decode(value))
                    alike += 1
                    continue
                except _NOT_ALIKE:
                    pass
            try:
                scan = self._decode(value)
            except MessageError as error:
                found.append(error)
                continue
            found.append(scan)
            unlike += 1
            if self._learns and unlike == alike + 1:  # most are: to try costs more than it saves, and another is due
                layout, self._layout = None, layout_of(tuple(scan.values), self._sensors)
        return _named(found), used

    def _read(self, scans: Sequence[SensorScan], layout: "Layout | None") -> tuple[Float32Array, int]:
        is_alike = np.fromiter((type(scan) is not SensorScan for scan in scans), bool, len(scans))
        if layout is None or not is_alike.any():
            return self._rows.read(scans)
        if is_alike.all():
            return layout.read(scans)
        rows = np.empty((len(scans), len(self._sensors)), np.float32)
        rows[is_alike], unknown = layout.read([scan for scan in scans if type(scan) is not SensorScan])
        rows[~is_alike], more = self._rows.read([scan for scan in scans if type(scan) is SensorScan])
        return rows, unknown + more


class Layout:
    """Scans whose values are of certain sensors, in a certain order.

    Args:
        names: of the values, in that order.
        sensors: that are read; a scan may lack some of them, but none of the others.

    Raises:
        ValueError: a name that JSON would escape.

    Attributes:
        decode: reads a scan's bytes; raises an error of msgspec, or of the bytes, for what is no scan or none of these.
    """

    def __init__(self, names: Sequence[str], sensors: Sequence[str]) -> None:
        wanted, known = set(sensors), set(names)
        names = [*names, *(name for name in sensors if name not in known)]
        slots = {f"s{number}": name for number, name in enumerate(names)}
        fields: list[Any] = [
            (slot, float | None, None) if name in wanted else (slot, float | None) for slot, name in slots.items()
        ]
        kind: Any = {"frozen": True, "kw_only": True, "gc": False}
        values = msgspec.defstruct("Values", fields, rename=slots, forbid_unknown_fields=True, **kind)
        scan = msgspec.defstruct("Scan", [("values", values)], bases=(SensorScan,), **kind)
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(scan).decode
        self._places = {name: place for place, name in enumerate(names) if name in wanted}
        self._width = len(names)
        columns = [self._places[name] for name in sensors]
        self._columns = None if columns == list(range(len(names))) else columns

    def read(self, scans: Sequence[SensorScan]) -> tuple[Float32Array, int]:
        """Rows of scans that it decoded, and how many of their values are not read: as `ScanRows.read`."""
        values: list[float | None] = []
        for scan in scans:
            in_slots: Any = scan.values
            row = astuple(in_slots)
            values += self._without_bad(row, scan) if scan.quality else row
        with np.errstate(over="ignore"):
            rows = np.fromiter(values, np.float32, len(values)).reshape(len(scans), self._width)  # None becomes NaN
        unknown = len(scans) * (self._width - len(self._places))
        return rows if self._columns is None else rows[:, self._columns], unknown

    def _without_bad(self, row: Sequence[float | None], scan: SensorScan) -> Sequence[float | None]:
        bad = {self._places.get(name) for name, quality in scan.quality.items() if quality == "bad"}
        return [None if place in bad else value for place, value in enumerate(row)]


@lru_cache(_LAYOUTS_KEPT)
def layout_of(names: tuple[str, ...], sensors: tuple[str, ...]) -> Layout | None:
    """The layout of a scan's values; None if they cannot have one."""
    try:
        return Layout(names, sensors) if len(names) <= _MOST_NAMES else None
    except ValueError:
        return None


def _named(found: Found) -> Found:
    """The same; scans whose strand id is none, which a layout does not look at, as errors."""
    strange = {text for text in {scan.strand_id for scan in _scans(found)} if not is_strand_id(text)}
    if not strange:
        return found
    return [
        no_strand_id(one.strand_id) if isinstance(one, SensorScan) and one.strand_id in strange else one
        for one in found
    ]


def _scans(found: Found) -> list[SensorScan]:
    return [one for one in found if isinstance(one, SensorScan)]
