"""Long tables, CSV or Parquet: one row a scan, its meaning told by a mapping file (`importers.table_mapping`).

A run (a strand, a heat, whatever was recorded in one piece) is one sequence on a strand of its own: its id as it is
where a worker takes it for a strand's, otherwise `table.<file>.<run>`. Runs of one group share a split.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.errors import ContractError
from models.messages import is_strand_id
from trainer.datasets.importers.names import slug, slugs
from trainer.datasets.importers.recorded import (
    Advance,
    ImportReport,
    Repairs,
    Run,
    event_between,
    flagged_events,
    refuse_without_positives,
    write_runs,
)
from trainer.datasets.importers.table_events import ListedEvent, read_events
from trainer.datasets.importers.table_mapping import TableMapping, read_mapping
from trainer.datasets.importers.table_scans import Keys, Scans, read_scans
from trainer.datasets.records import Event, Split
from trainer.datasets.splits import assign_group_splits
from trainer.datasets.writer import DatasetWriter, refuse_occupied

_READING = 60.0
"""Percent of the work that is reading."""


def import_table(
    source: Path, mapping_file: Path, out: Path, *, seed: int = 1, advance: Advance | None = None
) -> ImportReport:
    """Import a long table into a dataset.

    Args:
        source: the table.
        mapping_file: what its columns mean.
        out: a new or empty folder.
        seed: of the splits.
        advance: told of the progress.

    Raises:
        UsageError: a file that is not there, a mapping that cannot be meant, or an occupied out folder.
        ContractError: the table is broken; names file, row and column. Rows out of time order are no error: like the
            worker, the import drops them, counts them and says so in the report.
    """
    refuse_occupied(out)
    tell = advance or (lambda _: None)
    mapping, repairs = read_mapping(mapping_file), Repairs()
    scans, keys = read_scans(source, mapping, repairs, lambda share: tell(_READING * share))
    listed: dict[str, list[ListedEvent]] = {}
    if mapping.events:
        times = {run: part.event_time_ms for run, part in scans.items()}
        listed = read_events(mapping_file.parent / mapping.events.file, mapping.events, mapping, times)
    targets = tuple(mapping.labels) or tuple(sorted({event.target for events in listed.values() for event in events}))
    period_ms = mapping.period_ms or _median_step(scans, source)
    runs = _runs(source, mapping, scans, keys, listed, period_ms)
    positive_rows = {f"{target}_rows": _positive_rows(scans, index) for index, target in enumerate(mapping.labels)}
    refuse_without_positives(
        {target: positive_rows[f"{target}_rows"] for target in mapping.labels},
        {target: f"{source}, column {column}" for target, column in mapping.labels.items()},
    )
    splits = _splits(runs, keys, seed)
    writer = DatasetWriter(
        out,
        line="import/table",
        seed=seed,
        period_ms=period_ms,
        sensors=[entry.sensor() for entry in mapping.sensors],
        targets=targets,
        configuration={"source": source.name},
    )
    return write_runs(
        writer,
        targets,
        ((run, splits[run.group]) for run in runs),
        counts={"runs": len(runs), "groups": len(splits), **positive_rows},
        repairs=repairs,
        advance=lambda: tell((100 - _READING) / len(runs)),
    )


def _runs(
    source: Path,
    mapping: TableMapping,
    scans: Mapping[str, Scans],
    keys: Keys,
    listed: Mapping[str, list[ListedEvent]],
    period_ms: int,
) -> list[Run]:
    names = slugs(scans)
    runs = []
    for run, part in scans.items():
        name = names[run]
        strand = run if is_strand_id(run) else f"table.{slug(source.stem)}.{name}"
        events = _flagged(name, strand, part, mapping, period_ms) + _listed(name, strand, listed.get(run, []))
        runs.append(Run(name, strand, keys.groups[run], part.event_time_ms, part.values, events))
    return runs


def _flagged(name: str, strand: str, scans: Scans, mapping: TableMapping, period_ms: int) -> list[Event]:
    flags = dict(zip(mapping.labels, scans.flags.T, strict=True))
    return flagged_events(name, strand, scans.event_time_ms, flags, period_ms)


def _listed(name: str, strand: str, listed: list[ListedEvent]) -> list[Event]:
    return [
        event_between(
            f"{name}-{number:02d}",
            name,
            strand,
            event.target,
            event.target,
            event.start_ms,
            event.start_ms,
            event.end_ms,
        )
        for number, event in enumerate(listed)
    ]


def _positive_rows(scans: Mapping[str, Scans], target: int) -> int:
    return sum(int(np.count_nonzero(part.flags[:, target])) for part in scans.values())


def _median_step(scans: Mapping[str, Scans], source: Path) -> int:
    steps = np.concatenate([np.diff(part.event_time_ms) for part in scans.values()])
    if not steps.size:
        raise ContractError(
            f"expected runs of several rows, got one row each at {source}: is the run's column the right one?"
        )
    return int(np.median(steps))


def _splits(runs: list[Run], keys: Keys, seed: int) -> Mapping[str, Split]:
    """Group → split, as the table says or as dealt."""
    if keys.splits:
        return keys.splits
    positives: dict[str, set[str]] = {run.group: set() for run in runs}
    for run in runs:
        positives[run.group].update(event.target for event in run.events if event.target is not None)
    return assign_group_splits(positives, seed)
