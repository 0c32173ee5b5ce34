"""Condition monitoring of hydraulic systems (UCI): a test rig that repeats a load cycle of 60 seconds.

Each file is a channel, each of its lines a cycle, each cell of that a second. Only the eight channels of 1 Hz are read;
those of 10 and 100 Hz may lie beside them. `profile.txt` tells each cycle's condition. Targets, for all of a cycle:
`valve`, a valve below 100 % of its switching behaviour, and `accumulator`, one at 90 bar, close to total failure.

Neighbouring cycles of one condition are nearly alike, so a *block*, the longest run of cycles with the same cooler,
valve, pump and accumulator, goes to one split whole; there are 194. (The flag `stable` changes within none of them:
it makes no further blocks.) A block is one sequence, on a strand of its own, and one event of each target it is
positive of.

The files tell no time of day; the rig repeats its cycles without a pause, so a block is one recording without a gap.
It begins at such a second of a made-up minute that with `window_length=60` and `stride=60` a window is due at the last
row of each cycle: one window is one cycle, scores by window are scores by cycle, and the time watched is the rig's.
With a smaller stride the windows between, of two cycles of one condition, count too.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import ContractError, UsageError
from models.features import Sensor
from trainer.datasets.importers.cells import Ints, of_width, refuse_empty_sensors, text_columns, text_lines
from trainer.datasets.importers.recorded import (
    FIRST_MS,
    Advance,
    ImportReport,
    Repairs,
    Run,
    due_from,
    event_between,
    refuse_without_positives,
    write_runs,
)
from trainer.datasets.records import Event
from trainer.datasets.splits import assign_group_splits
from trainer.datasets.writer import DatasetWriter, refuse_occupied

PERIOD_MS = 1000
CYCLE_ROWS = 60
TARGETS = ("valve", "accumulator")

# File → sensor. Units as the description tells them; the plausible ranges are assumed.
CHANNELS: dict[str, Sensor] = {
    "TS1": Sensor("temperature_1_c", "°C", 0.0, 100.0),
    "TS2": Sensor("temperature_2_c", "°C", 0.0, 100.0),
    "TS3": Sensor("temperature_3_c", "°C", 0.0, 100.0),
    "TS4": Sensor("temperature_4_c", "°C", 0.0, 100.0),
    "VS1": Sensor("vibration_mm_s", "mm/s", 0.0, 10.0),
    "CE": Sensor("cooling_efficiency_pct", "%", 0.0, 100.0),
    "CP": Sensor("cooling_power_kw", "kW", 0.0, 10.0),
    "SE": Sensor("efficiency_factor_pct", "%", 0.0, 120.0),
}
PROFILE = "profile.txt"
CONDITIONS: dict[str, tuple[int, ...]] = {
    "cooler": (3, 20, 100),
    "valve": (73, 80, 90, 100),
    "pump": (0, 1, 2),
    "accumulator": (90, 100, 115, 130),
    "stable": (0, 1),
}
_KEPT_WHOLE = ("cooler", "valve", "pump", "accumulator")
_KINDS = {
    ("valve", 90): "valve_small_lag",
    ("valve", 80): "valve_severe_lag",
    ("valve", 73): "valve_close_to_failure",
    ("accumulator", 90): "accumulator_close_to_failure",
}


def import_hydraulic(source: Path, out: Path, *, seed: int = 1, advance: Advance | None = None) -> ImportReport:
    """Import the data set's folder into a dataset.

    Args:
        source: the folder that holds `TS1.txt` and the other channels, and `profile.txt`.
        out: a new or empty folder.
        seed: of the splits.
        advance: told of the progress.

    Raises:
        UsageError: the source lacks a file, or the out folder is occupied.
        ContractError: a file is broken; names file, row and column.
    """
    refuse_occupied(out)
    report_progress = advance or (lambda _: None)
    _refuse_absent(source)
    profile = _read_profile(source / PROFILE)
    cycles = len(profile["valve"])
    values = np.empty((cycles, CYCLE_ROWS, len(CHANNELS)), np.float32)
    for index, channel in enumerate(CHANNELS):
        values[:, :, index] = _read_channel(source / f"{channel}.txt", cycles)
        report_progress(50 / len(CHANNELS))
    positive = {"valve": profile["valve"] < 100, "accumulator": profile["accumulator"] == 90}
    counts = {f"{target}_cycles": int(flags.sum()) for target, flags in positive.items()}
    refuse_without_positives(
        {target: int(flags.sum()) for target, flags in positive.items()},
        {target: f"{source / PROFILE}, column {target}" for target in TARGETS},
    )
    blocks = _blocks(profile)
    runs = [_run(number, first, after, values, profile) for number, (first, after) in enumerate(blocks, start=1)]
    splits = assign_group_splits({run.group: [event.target or "" for event in run.events] for run in runs}, seed)
    writer = DatasetWriter(
        out,
        line="import/hydraulic",
        seed=seed,
        period_ms=PERIOD_MS,
        sensors=tuple(CHANNELS.values()),
        targets=TARGETS,
        configuration={"source": "UCI, condition monitoring of hydraulic systems"},
    )
    return write_runs(
        writer,
        TARGETS,
        ((run, splits[run.group]) for run in runs),
        counts={"cycles": cycles, "blocks": len(blocks), **counts, "unstable_cycles": int(profile["stable"].sum())},
        repairs=Repairs(),
        advance=lambda: report_progress(50 / len(runs)),
    )


def _refuse_absent(source: Path) -> None:
    for name in (PROFILE, *(f"{channel}.txt" for channel in CHANNELS)):
        if not (source / name).is_file():
            raise UsageError(f"expected {name}, got no such file at {source}: name the folder of the UCI data set")


def _read_profile(path: Path) -> dict[str, Ints]:
    columns = text_columns(list(of_width(text_lines(path, "\t"), len(CONDITIONS), path)), list(CONDITIONS), path)
    profile = {}
    for name, column in columns.items():
        allowed = {str(value): value for value in CONDITIONS[name]}
        for index, cell in enumerate(column.texts()):
            if cell not in allowed:
                raise column.place.refuse(index, f"one of {', '.join(allowed)}", cell)
        profile[name] = np.array([allowed[cell] for cell in column.texts()], np.int64)
    if not len(profile["valve"]):
        raise ContractError(f"expected one row a cycle, got none at {path}: fetch the file anew")
    return profile


def _read_channel(path: Path, cycles: int) -> npt.NDArray[np.float64]:
    """Values [cycle, second] of one file, NaN = missing."""
    lines = list(of_width(text_lines(path, "\t"), CYCLE_ROWS, path))
    if len(lines) != cycles:
        raise ContractError(
            f"expected {cycles} rows, one a cycle as in {PROFILE}, got {len(lines)} at {path}, row {len(lines)}: "
            "fetch the files anew"
        )
    columns = text_columns(lines, [str(second) for second in range(1, CYCLE_ROWS + 1)], path)
    values = np.stack([column.numbers() for column in columns.values()], axis=1)
    refuse_empty_sensors(values.reshape(-1, 1), [f"1 to {CYCLE_ROWS}"], path)
    return values


def _blocks(profile: dict[str, Ints]) -> list[tuple[int, int]]:
    """First cycle, and first after, of each block."""
    condition = np.stack([profile[name] for name in _KEPT_WHOLE], axis=1)
    changes = np.flatnonzero((condition[1:] != condition[:-1]).any(axis=1)) + 1
    return list(pairwise([0, *changes.tolist(), len(condition)]))


def _run(number: int, first: int, after: int, values: npt.NDArray[np.float32], profile: dict[str, Ints]) -> Run:
    name = f"block-{number:03d}"
    strand = f"hydraulic.rig.{name}"
    ahead_ms = (CYCLE_ROWS - 1) * PERIOD_MS
    end_ms = due_from(strand, FIRST_MS + first * CYCLE_ROWS * PERIOD_MS + ahead_ms, PERIOD_MS, CYCLE_ROWS)
    times = end_ms - ahead_ms + np.arange((after - first) * CYCLE_ROWS) * PERIOD_MS
    condition = {target: int(profile[target][first]) for target in TARGETS}
    return Run(
        name,
        strand,
        name,
        times,
        values[first:after].reshape(times.size, -1),
        list(_events(name, strand, times, condition)),
    )


def _events(name: str, strand: str, times: Ints, condition: dict[str, int]) -> Iterator[Event]:
    for target, value in condition.items():
        kind = _KINDS.get((target, value))
        if kind:
            start, end = int(times[0]), int(times[-1]) + PERIOD_MS
            yield event_between(f"{name}-{target}", name, strand, kind, target, start, start, end)
