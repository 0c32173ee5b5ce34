"""The fingerprint: one sha256 for the content of a dataset, whatever Parquet makes of the bytes.

Of a sequence: its columns as little-endian bytes (`event_time_ms` int64, `seq` int64, `strand_position_m`
float64, `values` float32, row by row; every NaN as the one quiet NaN), then the heat ids as JSON. Of the
dataset: the canonical JSON (sorted keys, no spaces) of the format's number, the period, sensors,
targets and symmetries, of [sequence_id, strand_id, split, sha256] sorted by id, and of the events sorted by id.
Configuration, seed and library versions are left out: they say how, not what.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import numpy.typing as npt

from models.features import Sensor
from trainer.datasets.records import Event, SequenceData, SequenceInfo, Symmetry

FORMAT = 2


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys and no spaces, in UTF-8; NaN as null."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _floats(column: npt.NDArray[np.floating], dtype: str) -> bytes:
    plain = column.astype(dtype, copy=True)
    plain[np.isnan(plain)] = np.nan
    return np.ascontiguousarray(plain).tobytes()


def sequence_digest(sequence: SequenceData) -> str:
    """The sha256 of one sequence's content, hexadecimal."""
    digest = hashlib.sha256(sequence.event_time_ms.astype("<i8").tobytes())
    digest.update(sequence.seq.astype("<i8").tobytes())
    digest.update(_floats(sequence.strand_position_m, "<f8"))
    digest.update(_floats(sequence.values, "<f4"))
    digest.update(canonical_json(list(sequence.heat_id)))
    return digest.hexdigest()


def _event_fields(event: Event) -> dict[str, object]:
    fields = asdict(event)
    for name in ("position_m", "recorded_position_m"):
        position = getattr(event, name)
        fields[name] = None if np.isnan(position) else float(position)
    return fields


def dataset_fingerprint(
    *,
    period_ms: int,
    sensors: Iterable[Sensor],
    targets: Iterable[str],
    sequences: Iterable[SequenceInfo],
    events: Iterable[Event],
    symmetries: Iterable[Symmetry] = (),
) -> str:
    """The sha256 of a whole dataset, hexadecimal, as the module's docstring defines it."""
    content = {
        "format": FORMAT,
        "period_ms": period_ms,
        "sensors": [[sensor.name, sensor.unit, float(sensor.low), float(sensor.high)] for sensor in sensors],
        "targets": list(targets),
        "symmetries": [[list(pair) for pair in symmetry] for symmetry in symmetries],
        "sequences": sorted([info.sequence_id, info.strand_id, info.split, info.sha256] for info in sequences),
        "events": [_event_fields(event) for event in sorted(events, key=lambda event: event.event_id)],
    }
    return hashlib.sha256(canonical_json(content)).hexdigest()
