"""Windows that were cut elsewhere (`trainer.datasets.importers.windows_file`), as a dataset.

A group is one sequence on a strand of its own, its windows one after the other at times made up from the period, with
a pause of 60 periods or more. `window.max_gap_ms` must stay below the pause (the usual 10 periods do), or windows run
into each other. Each window ends where a prediction is due at strides 1 to 10 (at any that divides 2520).

A label belongs to its window's end: a positive window is one event, positive at its last row and left out before,
because of shorter windows within it nothing is known. Train with `window_length` equal to the windows' length, and
judge by window: alerts, which want time to pass, say nothing about windows that were cut out.

All of `X` is held in memory once, and one group a second time.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.errors import UsageError
from trainer.datasets.importers.cells import LATEST_MS
from trainer.datasets.importers.names import slug, slugs
from trainer.datasets.importers.recorded import (
    FIRST_MS,
    Advance,
    ImportReport,
    Repairs,
    Run,
    due_from,
    event_between,
    write_runs,
)
from trainer.datasets.importers.windows_file import Windows, read_windows
from trainer.datasets.records import Event
from trainer.datasets.splits import assign_group_splits
from trainer.datasets.writer import DatasetWriter, refuse_occupied

PAUSE_PERIODS = 60
"""Least number of periods between two windows of a sequence: far above the usual `max_gap_periods`, 10."""

STRIDES = 2520
"""The least common multiple of 1 to 10."""


def import_windows(
    source: Path, out: Path, *, period_ms: int = 1000, seed: int = 1, advance: Advance | None = None
) -> ImportReport:
    """Import a file of windows into a dataset.

    Args:
        source: the `.npz`.
        out: a new or empty folder.
        period_ms: time between two rows of a window.
        seed: of the splits.
        advance: told of the progress.

    Raises:
        UsageError: no such file, a period too long, or the out folder is occupied.
        ContractError: an array is missing, of another shape or kind, or holds what it must not; names file, array and
            place.
    """
    refuse_occupied(out)
    windows = read_windows(source)
    members = _members(windows)
    splits = assign_group_splits({name: _positives(windows, indices) for name, indices in members.items()}, seed)
    _refuse_too_long(windows, members, period_ms)
    writer = DatasetWriter(
        out,
        line="import/windows",
        seed=seed,
        period_ms=period_ms,
        sensors=windows.sensors,
        targets=windows.targets,
        configuration={"source": source.name, "period_ms": period_ms, "apart_ms": _apart(windows) * period_ms},
    )
    return write_runs(
        writer,
        windows.targets,
        ((_run(windows, name, indices, period_ms), splits[name]) for name, indices in members.items()),
        counts={
            "windows": len(windows.y),
            "groups": len(members),
            "positive_windows": int(windows.y.any(axis=1).sum()),
            "shortest": int(windows.lengths.min()),
            "longest": int(windows.lengths.max()),
        },
        repairs=Repairs(),
        advance=lambda: advance(100 / len(members)) if advance else None,
    )


def _members(windows: Windows) -> dict[str, list[int]]:
    """Name of each group → its windows."""
    names = slugs(windows.groups)
    members: dict[str, list[int]] = {name: [] for name in names.values()}
    for index, group in enumerate(windows.groups):
        members[names[group]].append(index)
    return members


def _positives(windows: Windows, indices: list[int]) -> set[str]:
    found = np.any(windows.y[indices], axis=0).tolist()
    return {target for target, positive in zip(windows.targets, found, strict=True) if positive}


def _refuse_too_long(windows: Windows, members: dict[str, list[int]], period_ms: int) -> None:
    most = max(map(len, members.values()))
    if FIRST_MS + _apart(windows) * period_ms * (most + 2) > LATEST_MS:
        raise UsageError(
            f"expected times before the year 10000, got {most:,} windows in a group at --period-ms {period_ms}"
        )


def _run(windows: Windows, name: str, indices: list[int], period_ms: int) -> Run:
    """The windows of one group, one after the other."""
    lengths = windows.lengths[indices]
    strand = f"windows.{slug(windows.path.stem)}.{name}"
    apart_ms = _apart(windows) * period_ms
    ends = due_from(strand, FIRST_MS + apart_ms, period_ms, STRIDES) + apart_ms * np.arange(len(indices))
    begins = ends - (lengths - 1) * period_ms
    rows = [np.arange(length) for length in lengths]
    times = np.concatenate([begin + row * period_ms for begin, row in zip(begins, rows, strict=True)])
    values = np.concatenate([windows.x[index, row] for index, row in zip(indices, rows, strict=True)])
    events = list(_events(windows, name, strand, indices, begins.tolist(), ends.tolist(), period_ms))
    return Run(name, strand, name, times.astype(np.int64), values.astype(np.float32), events)


def _apart(windows: Windows) -> int:
    """Periods from the end of one window of a group to the end of the next."""
    return math.ceil((int(windows.x.shape[1]) + PAUSE_PERIODS) / STRIDES) * STRIDES


def _events(
    windows: Windows, name: str, strand: str, indices: list[int], begins: list[int], ends: list[int], period_ms: int
) -> Iterator[Event]:
    for index, begin, end in zip(indices, begins, ends, strict=True):
        for target in np.array(windows.targets)[windows.y[index]].tolist():
            event_id = f"{name}-{index}-{target}"
            yield event_between(event_id, name, strand, target, target, begin, end, end + period_ms)
