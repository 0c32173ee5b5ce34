"""The rows of a long table, sorted into runs.

The file is read in chunks, but the numbers of all rows are held in memory, for a while twice: 4 bytes for each value of
a sensor, and about 30 for each row. Rows of several runs may lie mixed. Within a run they must rise in time: those that
do not are dropped and counted.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from models.errors import ContractError
from trainer.datasets.importers.cells import Flags, Ints, refuse_empty_sensors
from trainer.datasets.importers.recorded import Repairs
from trainer.datasets.importers.table_mapping import TableMapping
from trainer.datasets.importers.table_reader import Chunk, Column, read_table
from trainer.datasets.records import SPLITS, Split

Text = TypeVar("Text", bound=str)


@dataclass(frozen=True, slots=True, eq=False)
class Scans:
    """Rows of a table.

    Attributes:
        event_time_ms: int64 [row].
        values: float32 [row, sensor], NaN = missing.
        flags: bool [row, target], in the order of the mapping's labels; no columns where events are a second table.
    """

    event_time_ms: Ints
    values: npt.NDArray[np.float32]
    flags: Flags

    def __getitem__(self, rows: "Flags | Ints | slice") -> "Scans":
        return Scans(self.event_time_ms[rows], self.values[rows], self.flags[rows])


@dataclass(slots=True)
class Keys:
    """What a table says of its runs.

    Attributes:
        numbers: run → number, in the order of the table.
        groups: run → group, the run itself where the table has none.
        splits: group → split; empty where the table does not say.
    """

    numbers: dict[str, int] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)

    def add(self, chunk: Chunk, mapping: TableMapping) -> Ints:
        """Take in a chunk's rows, and give the number of each one's run."""
        runs = _filled(chunk.columns[mapping.run], "a strand or run id")
        groups = runs
        if mapping.group:
            groups = _filled(chunk.columns[mapping.group], "a group")
            _tell_once(self.groups, runs, groups, chunk.columns[mapping.group])
        else:
            self.groups.update(zip(runs, runs, strict=True))
        if mapping.split:
            column = chunk.columns[mapping.split]
            known: dict[str, Split] = {name: name for name in SPLITS}
            splits = column.texts()
            for index, split in enumerate(splits):
                if split not in known:
                    raise column.place.refuse(index, f"one of {', '.join(SPLITS)}", split)
            _tell_once(self.splits, groups, [known[split] for split in splits], column)
        return np.array([self.numbers.setdefault(run, len(self.numbers)) for run in runs], np.int64)


def _filled(column: Column, expected: str) -> list[str]:
    texts = column.texts()
    if "" in texts:
        raise column.place.refuse(texts.index(""), expected, "")
    return texts


def _tell_once(known: dict[str, Text], keys: list[str], texts: list[Text], column: Column) -> None:
    """Each key must have one and the same text throughout the table."""
    for index, (key, text) in enumerate(zip(keys, texts, strict=True)):
        if known.setdefault(key, text) != text:
            raise column.place.refuse(index, f"`{known[key]}` for `{key}` as in an earlier row", text)


def read_scans(
    source: Path, mapping: TableMapping, repairs: Repairs, advance: Callable[[float], None]
) -> tuple[dict[str, Scans], Keys]:
    """Read a table.

    Args:
        source: the table.
        mapping: what its columns mean.
        repairs: takes what was dropped.
        advance: told of the share read since the last call.

    Returns:
        Run → its scans, strictly rising in time, in the order in which the table names the runs; and what it says of
        them.

    Raises:
        UsageError: no such file, or of another kind.
        ContractError: it is broken; names file, row and column.
    """
    keys = Keys()
    numbers, parts, told = [], [], 0.0
    for chunk in read_table(source, mapping.columns(), mapping.delimiter):
        numbers.append(keys.add(chunk, mapping))
        parts.append(_scans(chunk, mapping))
        advance(chunk.share)
        told += chunk.share
    advance(1 - told)
    if not parts:
        raise ContractError(f"expected rows below the header, got none at {source}")
    scans = Scans(
        np.concatenate([part.event_time_ms for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.flags for part in parts]),
    )
    refuse_empty_sensors(scans.values, [entry.column for entry in mapping.sensors], source)
    run_of_row = np.concatenate(numbers)
    scans = scans[np.argsort(run_of_row, kind="stable")]
    ends = np.cumsum(np.bincount(run_of_row)).tolist()
    found = {}
    for run, first, after in zip(keys.numbers, [0, *ends], ends, strict=False):
        part = scans[slice(first, after)]
        keep = repairs.in_order(part.event_time_ms, run, f"{source}, column {mapping.time}")
        found[run] = part if keep.all() else part[keep]
    return found, keys


def _scans(chunk: Chunk, mapping: TableMapping) -> Scans:
    columns = chunk.columns
    values = [columns[entry.column].numbers(mapping.missing, mapping.decimal) for entry in mapping.sensors]
    times = columns[mapping.time].times(mapping.time_unit)
    flags = np.empty((times.size, len(mapping.labels)), np.bool_)
    for index, column in enumerate(mapping.labels.values()):
        flags[:, index] = columns[column].flags()
    return Scans(times, np.stack(values, axis=1).astype(np.float32), flags)
