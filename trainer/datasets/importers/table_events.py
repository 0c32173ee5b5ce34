"""The events of a long table: flags in its rows, or a second table with one row an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import ContractError
from trainer.datasets.importers.cells import Ints
from trainer.datasets.importers.table_mapping import EventTable, TableMapping
from trainer.datasets.importers.table_reader import Chunk, read_table


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """One row of a table of events; `end_ms` is the first instant after it."""

    target: str
    start_ms: int
    end_ms: int


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
    for chunk in read_table(path, [table.run, table.target, table.start, table.end], mapping.delimiter):
        _add(found, chunk, table, mapping, times)
    if not found:
        raise ContractError(f"expected at least one event, got none at {path}: a model cannot learn without")
    return found


def _add(
    found: dict[str, list[ListedEvent]],
    chunk: Chunk,
    table: EventTable,
    mapping: TableMapping,
    times: Mapping[str, Ints],
) -> None:
    columns = chunk.columns
    starts, ends = columns[table.start].times(mapping.time_unit), columns[table.end].times(mapping.time_unit)
    cells = zip(columns[table.run].texts(), columns[table.target].texts(), starts.tolist(), ends.tolist(), strict=True)
    for index, (run, target, start, end) in enumerate(cells):
        if run not in times:
            raise columns[table.run].place.refuse(index, "a run of the table", run)
        if not target:
            raise columns[table.target].place.refuse(index, "a target's name", target)
        if end <= start:
            raise columns[table.end].place.refuse(index, "an end after its start", columns[table.end].texts()[index])
        scans = times[run]
        if scans.searchsorted(start) == scans.searchsorted(end):
            got = columns[table.start].texts()[index]
            raise columns[table.start].place.refuse(index, f"an event with scans of run {run} in it", got)
        found.setdefault(run, []).append(ListedEvent(target, start, end))
