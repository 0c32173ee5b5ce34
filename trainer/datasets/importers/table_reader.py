"""Long tables chunk by chunk, from CSV or Parquet, as columns that convert themselves and name what does not fit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import ContractError, UsageError
from trainer.datasets.importers.cells import (
    MS_OF,
    Flags,
    Floats,
    Ints,
    Place,
    TextColumn,
    TimeUnit,
    of_width,
    text_lines,
)

_CHUNK_ROWS = 50_000
_PARQUET = {".parquet", ".pq"}
_TEXT = {".csv": ",", ".tsv": "\t", ".txt": ","}


class Column(Protocol):
    """Some rows of one column."""

    @property
    def place(self) -> Place:
        """Where its cells stand."""

    def texts(self) -> list[str]:
        """As text."""

    def numbers(self, missing: Sequence[str] = (), decimal: str = ".") -> Floats:
        """As numbers, NaN = missing."""

    def flags(self) -> Flags:
        """As labels of 0 and 1."""

    def times(self, unit: TimeUnit) -> Ints:
        """As milliseconds since 1970."""


@dataclass(frozen=True, slots=True)
class ArrowColumn:
    """A column of typed values out of a Parquet file.

    Attributes:
        place: where they stand; rows are counted from 1, as there is no header.
        values: not of text.
    """

    place: Place
    values: Any

    def texts(self) -> list[str]:
        """The values as text, empty where there is none."""
        return ["" if value is None else str(value) for value in self.values.to_pylist()]

    def numbers(self, missing: Sequence[str] = (), decimal: str = ".") -> Floats:  # noqa: ARG002 (numbers need neither)
        """The values as numbers, NaN where there is none.

        Raises:
            ContractError: they are no numbers, or one is infinite.
        """
        kind = self.values.type
        if not any(
            check(kind)
            for check in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
        ):
            raise ContractError(f"expected numbers, got {kind} at {self.place.path}, column {self.place.column}")
        if pa.types.is_boolean(kind):
            numbers = self.values.cast(pa.uint8()).cast(pa.float64())
        else:
            numbers = self.values.cast(pa.float64(), safe=False)
        found = np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64)
        return self.place.finite(found, found)

    def flags(self) -> Flags:
        """The values as labels.

        Raises:
            ContractError: one is not 0 or 1.
        """
        numbers = self.numbers()
        for index in np.flatnonzero(~np.isin(numbers, (0, 1))).tolist():
            raise self.place.refuse(index, "0 or 1", f"{numbers[index]:g}")
        return np.asarray(numbers == 1)

    def times(self, unit: TimeUnit) -> Ints:
        """The values as milliseconds since 1970; the unit counts only where they are no timestamps.

        Raises:
            ContractError: one is missing, or they are neither timestamps nor numbers.
        """
        kind = self.values.type
        if pa.types.is_timestamp(kind):
            whole = self.values.cast(pa.timestamp("ms", tz=kind.tz), safe=False).cast(pa.int64())
            return self.place.moments(np.asarray(whole.to_numpy(zero_copy_only=False), np.float64), self.texts())
        if unit == "iso":
            where = f"{self.place.path}, column {self.place.column}"
            raise ContractError(f"expected timestamps or text, got {kind} at {where}: set time_unit in the mapping")
        return self.place.moments(self.numbers() * MS_OF[unit], self.texts())


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table.

    Attributes:
        columns: those that were asked for.
        share: of the whole file, about.
    """

    columns: Mapping[str, Column]
    share: float


def read_table(path: Path, wanted: Sequence[str], delimiter: str | None = None) -> Iterator[Chunk]:
    """Read some columns of a table.

    Args:
        path: `.csv`, `.tsv`, `.txt` or `.parquet`.
        wanted: the columns.
        delimiter: of a text; None for comma, or tab in `.tsv`.

    Raises:
        UsageError: no such file, or of another kind.
        ContractError: it is broken, or lacks a column.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise UsageError(f"expected a table, got no such file at {path}")
    if suffix not in _PARQUET and suffix not in _TEXT:
        raise UsageError(f"expected a file of .csv, .tsv, .txt or .parquet, got `{path.suffix}` at {path}")
    if suffix in _PARQUET:
        yield from _parquet_chunks(path, wanted)
    else:
        yield from _text_chunks(path, wanted, delimiter or _TEXT[suffix])


def _check_columns(found: Sequence[str], wanted: Sequence[str], path: Path, remedy: str) -> None:
    for column in wanted:
        if column not in found:
            have = ", ".join(f"`{name}`" for name in found) or "none"
            raise ContractError(f"expected column `{column}`, got {have} at {path}: {remedy}")
        if list(found).count(column) > 1:
            raise ContractError(f"expected column `{column}` once, got it twice at {path}: rename one of them")


def _text_chunks(path: Path, wanted: Sequence[str], delimiter: str) -> Iterator[Chunk]:
    size = max(path.stat().st_size, 1)
    lines = text_lines(path, delimiter)
    header = next(lines, (0, []))[1]
    _check_columns(header, wanted, path, "name the columns of row 1 in the mapping, and the delimiter")
    body = of_width(lines, len(header), path)
    while chunk := list(islice(body, _CHUNK_ROWS)):
        rows, cells = [number for number, _ in chunk], list(zip(*(cells for _, cells in chunk), strict=True))
        named = {name: TextColumn(Place(path, name, rows), cells[header.index(name)]) for name in wanted}
        characters = sum(sum(map(len, column)) + len(column) for column in cells)
        yield Chunk(named, characters / size)


def _parquet_chunks(path: Path, wanted: Sequence[str]) -> Iterator[Chunk]:
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(file.schema_arrow.names, wanted, path, "name the file's columns in the mapping")
            total, first = max(file.metadata.num_rows, 1), 1
            for batch in file.iter_batches(_CHUNK_ROWS, columns=list(wanted)):
                rows = range(first, first + batch.num_rows)
                named = {name: _arrow_column(Place(path, name, rows), batch.column(name)) for name in wanted}
                yield Chunk(named, batch.num_rows / total)
                first += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        what = " ".join(str(error).split())
        raise ContractError(f"expected a Parquet file, got {what} at {path}: write it anew") from error


def _arrow_column(place: Place, values: Any) -> Column:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return TextColumn(place, ["" if value is None else value for value in values.to_pylist()])
    return ArrowColumn(place, values)
