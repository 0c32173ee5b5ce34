"""Sequences and events as Parquet files, each with one fixed schema."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import ContractError
from models.features import Sensor
from trainer.datasets.records import Event, SequenceData

_EVENT_SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("sequence_id", pa.string(), nullable=False),
        pa.field("strand_id", pa.string(), nullable=False),
        pa.field("type", pa.string(), nullable=False),
        pa.field("target", pa.string()),
        pa.field("onset_ms", pa.int64(), nullable=False),
        pa.field("detectable_ms", pa.int64(), nullable=False),
        pa.field("impact_ms", pa.int64()),
        pa.field("end_ms", pa.int64(), nullable=False),
        pa.field("ignore_until_ms", pa.int64(), nullable=False),
        pa.field("healed", pa.bool_(), nullable=False),
        pa.field("position_m", pa.float64()),
        pa.field("difficulty", pa.string()),
        pa.field("look_alike_of", pa.string()),
        pa.field("pair_id", pa.string()),
        pa.field("sensors", pa.list_(pa.string()), nullable=False),
        pa.field("recorded_type", pa.string()),
        pa.field("recorded_at_ms", pa.int64()),
        pa.field("recorded_position_m", pa.float64()),
    ]
)
_POSITIONS = ("position_m", "recorded_position_m")


def _sequence_schema(sensors: Sequence[Sensor]) -> pa.Schema:
    head = [
        pa.field("event_time_ms", pa.int64(), nullable=False),
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("heat_id", pa.string()),
        pa.field("strand_position_m", pa.float64()),
    ]
    return pa.schema(head + [pa.field(sensor.name, pa.float32()) for sensor in sensors])


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Arrow's errors of the system (a full disk) do not name the file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_sequence(path: Path, sequence: SequenceData, sensors: Sequence[Sensor]) -> None:
    """Write one sequence; missing values become nulls.

    Raises:
        OSError: the system will not take it; names the path.
    """
    schema = _sequence_schema(sensors)
    columns = [
        pa.array(sequence.event_time_ms),
        pa.array(sequence.seq),
        pa.array(sequence.heat_id, type=pa.string()),
        pa.array(sequence.strand_position_m, from_pandas=True),
        *(pa.array(column, from_pandas=True) for column in np.ascontiguousarray(sequence.values.T)),
    ]
    with _naming(path):
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), path, compression="zstd")


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ContractError(f"expected a Parquet file, got {error} at {path}: make the dataset anew") from error
    for index, field in enumerate(schema):
        found = table.schema.field(index) if index < len(table.schema) else None
        if found is None or found.name != field.name or found.type != field.type:
            got = "none" if found is None else f"`{found.name}` of {found.type}"
            raise ContractError(f"expected column `{field.name}` of {field.type}, got {got} at {path}, column {index}")
    return table


def _floats(table: pa.Table, name: str) -> np.ndarray:
    # A null becomes NaN only without zero copy; both are "missing" here.
    return np.asarray(table.column(name).to_numpy(zero_copy_only=False))


def read_sequence(path: Path, sequence_id: str, strand_id: str, sensors: Sequence[Sensor]) -> SequenceData:
    """Read one sequence.

    Raises:
        ContractError: the file is absent, no Parquet, or of other columns; names path and column.
    """
    table = _read_table(path, _sequence_schema(sensors))
    values = np.empty((table.num_rows, len(sensors)), dtype=np.float32)
    for index, sensor in enumerate(sensors):
        values[:, index] = _floats(table, sensor.name)
    return SequenceData(
        sequence_id=sequence_id,
        strand_id=strand_id,
        event_time_ms=table.column("event_time_ms").to_numpy(),
        values=values,
        seq=table.column("seq").to_numpy(),
        heat_id=tuple(table.column("heat_id").to_pylist()),
        strand_position_m=_floats(table, "strand_position_m"),
    )


def write_events(path: Path, events: Iterable[Event]) -> None:
    """Write all events of a dataset.

    Raises:
        OSError: the system will not take it; names the path.
    """
    rows = [asdict(event) for event in events]
    for row in rows:
        row |= {name: None if np.isnan(row[name]) else row[name] for name in _POSITIONS}
    with _naming(path):
        pq.write_table(pa.Table.from_pylist(rows, schema=_EVENT_SCHEMA), path, compression="zstd")


def read_events(path: Path) -> list[Event]:
    """Read all events of a dataset, in the order they were written.

    Raises:
        ContractError: the file is absent, no Parquet, of other columns, or an event's times are out of order.
    """
    events = []
    for index, row in enumerate(_read_table(path, _EVENT_SCHEMA).to_pylist()):
        row |= {name: float("nan") if row[name] is None else row[name] for name in _POSITIONS}
        row["sensors"] = tuple(row["sensors"])
        try:
            events.append(Event(**row))
        except ValueError as error:
            raise ContractError(f"{error} at {path}, row {index}") from error
    return events
