"""Text tables, line by line and cell by cell; whatever does not fit is named with file, row and column.

Rows are lines of the file, counted from 1 with the header.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from models.errors import ContractError, mismatch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

TimeUnit = Literal["iso", "s", "ms", "us", "ns"]
TIME_UNITS = get_args(TimeUnit)
MS_OF: dict[str, float] = {"s": 1e3, "ms": 1.0, "us": 1e-3, "ns": 1e-6}
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, as `models.messages.EventTime` has it."""

_FLAGS = {"0": False, "0.0": False, "1": True, "1.0": True}
_COMMA_FOR_POINT = str.maketrans(",.", ".,")
FLOAT32_MAX = float(np.finfo(np.float32).max)


def text_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells of a text file in UTF-8, header and all.

    Raises:
        ContractError: the file cannot be read as such.
    """
    shown = "tab" if delimiter == "\t" else f"`{delimiter}`"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"expected a {shown}-separated text in UTF-8, got {error} at {path}") from error


def of_width(lines: Iterable[tuple[int, list[str]]], width: int, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines, each of which must have so many cells.

    Raises:
        ContractError: a ragged row.
    """
    blank: int | None = None
    for number, cells in lines:
        if not cells:  # blank lines are let pass at the end of a file, where editors leave them
            blank = number if blank is None else blank
            continue
        if blank is not None or len(cells) != width:
            row, got = (number, len(cells)) if blank is None else (blank, 0)
            raise ContractError(f"expected {width} columns, got {got} at {path}, row {row}: mend that row or drop it")
        yield number, cells


def check_header(found: Sequence[str], expected: Sequence[str], path: Path) -> None:
    """Refuse a header that is not exactly the expected one.

    Raises:
        ContractError: names the first column that differs.
    """
    for index in range(max(len(expected), len(found))):
        want = expected[index] if index < len(expected) else "no further column"
        got = found[index] if index < len(found) else "nothing"
        if want != got:
            raise ContractError(f"expected `{want}`, got `{got}` at {path}, row 1, column {index + 1}: mend the header")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a column's cells stand.

    Attributes:
        path: the file.
        column: its name or number.
        rows: the row of each cell.
    """

    path: Path
    column: str
    rows: Sequence[int]

    def refuse(self, index: int, expected: str, got: object) -> ContractError:
        """The error that names one cell; for the caller to raise."""
        where = f"{self.path}, row {self.rows[index]}, column {self.column}"
        return ContractError(f"{mismatch(expected, f'`{got}`', where)}: mend that cell or drop its row")

    def finite(self, values: Floats, shown: Sequence[object] | Floats) -> Floats:
        """The values, NaN among them, if each fits a float32; `shown` is how the file writes them.

        Raises:
            ContractError: one is infinite or too large.
        """
        for index in np.flatnonzero(np.abs(values) > FLOAT32_MAX).tolist():
            raise self.refuse(index, "a number", shown[index])
        return values

    def moments(self, milliseconds: Floats, shown: Sequence[object]) -> Ints:
        """Whole milliseconds, if each lies between the years 1970 and 9999.

        Raises:
            ContractError: one does not (most likely it has another unit), or is missing.
        """
        for index in np.flatnonzero(~((milliseconds >= 0) & (milliseconds <= LATEST_MS))).tolist():
            raise self.refuse(index, "a time between the years 1970 and 9999", shown[index])
        return np.rint(milliseconds).astype(np.int64)


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of text cells.

    Attributes:
        place: where they stand.
        cells: the texts.
    """

    place: Place
    cells: Sequence[str]

    def texts(self) -> list[str]:
        """The cells without the space around them."""
        return [cell.strip() for cell in self.cells]

    def numbers(self, missing: Sequence[str] = (), decimal: str = ".") -> Floats:
        """Numbers, NaN where a cell is empty, `nan`, or one of `missing`.

        Raises:
            ContractError: a cell is neither.
        """
        cells, empty = self.texts(), {"", *missing}
        plain = ["nan" if cell in empty else cell for cell in cells]
        if decimal == ",":
            # A point then becomes a comma, and no number: 1.234 would be a thousand to one and a fraction to another.
            plain = [cell.translate(_COMMA_FOR_POINT) for cell in plain]
        try:
            values = np.fromiter(map(float, plain), np.float64, len(plain))
        except ValueError:
            values = np.array([self._number(index, cell) for index, cell in enumerate(plain)])
        return self.place.finite(values, cells)

    def _number(self, index: int, cell: str) -> float:
        try:
            return float(cell)
        except ValueError:
            raise self.place.refuse(index, "a number", self.cells[index].strip()) from None

    def flags(self) -> Flags:
        """Labels.

        Raises:
            ContractError: one is not 0 or 1.
        """
        for index, cell in enumerate(self.texts()):
            if cell not in _FLAGS:
                raise self.place.refuse(index, "0 or 1", cell)
        return np.array([_FLAGS[cell] for cell in self.texts()], dtype=np.bool_)

    def times(self, unit: TimeUnit) -> Ints:
        """Milliseconds since 1970; a date and time without a zone is taken as UTC.

        Raises:
            ContractError: a cell is no time, or lies before 1970 or after 9999.
        """
        cells = self.texts()
        if unit != "iso":
            return self.place.moments(self.numbers() * MS_OF[unit], cells)
        return self.place.moments(np.array([self._moment(index, cell) for index, cell in enumerate(cells)]), cells)

    def _moment(self, index: int, cell: str) -> float:
        try:
            stamp = datetime.fromisoformat(cell)
        except ValueError:
            raise self.place.refuse(index, "a date and time", cell) from None
        return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1000


def text_columns(lines: Sequence[tuple[int, list[str]]], names: Sequence[str], path: Path) -> dict[str, TextColumn]:
    """Lines of equal width as named columns."""
    rows = [number for number, _ in lines]
    columns = zip(*(cells for _, cells in lines), strict=True) if lines else ([] for _ in names)
    return {name: TextColumn(Place(path, name, rows), cells) for name, cells in zip(names, columns, strict=True)}


def refuse_empty_sensors(values: npt.NDArray[np.floating], columns: Sequence[str], place: object) -> None:
    """Refuse sensors without a single value.

    Args:
        values: [row, sensor], NaN = missing, all of one source.
        columns: what the source calls the sensors.
        place: the source.

    Raises:
        ContractError: names the first such sensor.
    """
    for index in np.flatnonzero(np.isnan(values).all(axis=0)).tolist():
        raise ContractError(
            f"expected values of each sensor, got only missing ones at {place}, column {columns[index]}: "
            "leave the sensor out, or mend its column"
        )
