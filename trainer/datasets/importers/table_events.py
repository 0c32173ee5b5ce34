"""The events of a long table: flags in its rows, or a second table with one row an event."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import ContractError
from trainer.datasets.importers.cells import Ints, TimeUnit
from trainer.datasets.importers.table_mapping import EventTable, TableMapping
from trainer.datasets.importers.table_reader import Chunk, Column, read_table


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """One row of a table of events; `end_ms` is the first instant after it."""

    target: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event and where it stands.

    Attributes:
        run: what it happened in.
        event: what happened.
        chunk: the rows it was read with.
        index: its row among them.
    """

    run: str
    event: ListedEvent
    chunk: Chunk
    index: int

    def refuse(self, column: str, expected: str) -> ContractError:
        """The error that names one cell of the row; for the caller to raise."""
        cells = self.chunk.columns[column]
        return cells.place.refuse(self.index, expected, cells.texts()[self.index])


def read_events(
    path: Path, table: EventTable, mapping: TableMapping, times: Mapping[str, Ints]
) -> dict[str, list[ListedEvent]]:
    """Read a table of events.

    Args:
        path: the table.
        table: its columns.
        mapping: time unit and delimiter.
        times: run → [n] event times of its scans.

    Returns:
        Run → its events, in the order of the table.

    Raises:
        UsageError: no such file.
        ContractError: the table is broken, or an event has no scan of its run in it; names file, row and column.
    """
    found: dict[str, list[ListedEvent]] = {}
    for row in event_rows(path, table, mapping.time_unit, mapping.delimiter):
        if row.run not in times:
            raise row.refuse(table.run, "a run of the table")
        scans = times[row.run]
        if scans.searchsorted(row.event.start_ms) == scans.searchsorted(row.event.end_ms):
            raise row.refuse(table.start, f"an event with scans of run {row.run} in it")
        found.setdefault(row.run, []).append(row.event)
    return found


def event_rows(
    path: Path, table: EventTable, unit: TimeUnit | None = None, delimiter: str | None = None
) -> Iterator[EventRow]:
    """The rows of a table of events, each with a target and an end after its start.

    Args:
        path: the table.
        table: its columns.
        unit: of its times; None for ISO 8601 or whole milliseconds since 1970, whichever stands there.
        delimiter: of a text; None for comma, or tab in `.tsv`.

    Raises:
        UsageError: no such file.
        ContractError: the table is broken or empty; names file, row and column.
    """
    empty = True
    for chunk in read_table(path, [table.run, table.target, table.start, table.end], delimiter):
        columns = chunk.columns
        starts, ends = (_times(columns[name], unit).tolist() for name in (table.start, table.end))
        cells = zip(columns[table.run].texts(), columns[table.target].texts(), starts, ends, strict=True)
        for index, (run, target, start, end) in enumerate(cells):
            row = EventRow(run, ListedEvent(target, start, end), chunk, index)
            if not target:
                raise row.refuse(table.target, "a target's name")
            if end <= start:
                raise row.refuse(table.end, "an end after its start")
            empty = False
            yield row
    if empty:
        raise ContractError(f"expected at least one event, got none at {path}: a model cannot learn without")


def _times(column: Column, unit: TimeUnit | None) -> Ints:
    if unit is not None:
        return column.times(unit)
    texts = column.texts()
    return column.times("ms" if texts and texts[0].isdecimal() else "iso")
