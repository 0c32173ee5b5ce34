"""SKAB, the Skoltech Anomaly Benchmark: runs of a water-circulation testbed at about 1 Hz (github.com/waico/SKAB).

Each file is one run: one casting sequence of its own strand. Rows with `anomaly` 1 are positives of the target
`defect`, at once detectable and with no zone left out. Labelled runs are dealt 60/20/20 by file within each of
their folders (a split by row would leak); the anomaly-free run trains. Times are taken as UTC and stay as they
were recorded: seconds that are missing stay missing.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.errors import ContractError, UsageError
from models.features import Sensor
from trainer.datasets.importers.cells import (
    Flags,
    check_header,
    of_width,
    refuse_empty_sensors,
    text_columns,
    text_lines,
)
from trainer.datasets.importers.recorded import (
    Advance,
    ImportReport,
    Repairs,
    Run,
    flagged_events,
    refuse_without_positives,
    write_runs,
)
from trainer.datasets.records import Split
from trainer.datasets.splits import assign_splits
from trainer.datasets.writer import DatasetWriter, refuse_occupied

TARGET = "defect"
PERIOD_MS = 1000
LABELLED = ("valve1", "valve2", "other")
ANOMALY_FREE = "anomaly-free"

# Column of the files → sensor. Units as the benchmark tells them; the plausible ranges are assumed.
COLUMNS: dict[str, Sensor] = {
    "Accelerometer1RMS": Sensor("accelerometer_1_rms", "g", 0.0, 5.0),
    "Accelerometer2RMS": Sensor("accelerometer_2_rms", "g", 0.0, 5.0),
    "Current": Sensor("current_a", "A", 0.0, 20.0),
    "Pressure": Sensor("pressure_bar", "bar", -5.0, 10.0),
    "Temperature": Sensor("temperature_c", "°C", 0.0, 150.0),
    "Thermocouple": Sensor("thermocouple_c", "°C", 0.0, 150.0),
    "Voltage": Sensor("voltage_v", "V", 0.0, 400.0),
    "Volume Flow RateRMS": Sensor("volume_flow_rate_l_min", "L/min", 0.0, 300.0),
}
_LABELS = ("anomaly", "changepoint")


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """One file, read: its run, and which rows are anomalous."""

    run: Run
    folder: str
    anomaly: Flags

    @property
    def labelled(self) -> bool:
        return self.folder != ANOMALY_FREE


def import_skab(source: Path, out: Path, *, seed: int = 1, advance: Advance | None = None) -> ImportReport:
    """Import the benchmark's folder into a dataset.

    Args:
        source: the folder that holds `valve1`, `valve2`, `other` and perhaps `anomaly-free`, or whose `data` does.
        out: a new or empty folder.
        seed: of the splits.
        advance: told of the progress.

    Raises:
        UsageError: the source is no such folder, or the out folder is occupied.
        ContractError: a file is broken; names file, row and column. Rows out of time order are no error: like the
            worker, the import drops them, counts them and says so in the report.
    """
    refuse_occupied(out)
    repairs = Repairs()
    paths = _files(source)
    files = []
    for folder, path in paths:
        files.append(_read(path, folder, repairs))
        if advance:
            advance(100 / len(paths))
    labelled = [file for file in files if file.labelled]
    rows = sum(file.anomaly.size for file in labelled)
    anomalous = sum(int(file.anomaly.sum()) for file in labelled)
    refuse_without_positives({TARGET: anomalous}, {TARGET: f"{source}, column anomaly"})
    splits: dict[str, Split] = {}
    for folder in LABELLED:
        splits |= assign_splits(
            {file.run.name: int(file.anomaly.any()) for file in files if file.folder == folder}, seed
        )
    writer = DatasetWriter(
        out,
        line="import/skab",
        seed=seed,
        period_ms=PERIOD_MS,
        sensors=tuple(COLUMNS.values()),
        targets=(TARGET,),
        configuration={"source": "waico/SKAB", "license": "GPL-3.0"},
    )
    return write_runs(
        writer,
        (TARGET,),
        ((file.run, splits.get(file.run.group, "train")) for file in files),
        counts={
            "runs": len(files),
            "labelled_runs": len(labelled),
            "labelled_rows": rows,
            "anomalous_rows": anomalous,
            "anomalous_share": anomalous / rows if rows else 0.0,
        },
        repairs=repairs,
    )


def _files(source: Path) -> list[tuple[str, Path]]:
    root = source / "data" if (source / "data" / LABELLED[0]).is_dir() else source
    if not any((root / folder).is_dir() for folder in LABELLED):
        raise UsageError(
            f"expected folders {', '.join(LABELLED)}, got none of them at {source}: name the data folder of SKAB"
        )
    files = []
    for folder in (*LABELLED, ANOMALY_FREE):
        paths = (root / folder).glob("*.csv")
        files += [(folder, path) for path in sorted(paths, key=lambda path: (len(path.stem), path.stem))]
    if not files:
        raise UsageError(f"expected *.csv files, got none in the folders of {root}: name the data folder of SKAB")
    return files


def _read(path: Path, folder: str, repairs: Repairs) -> _File:
    labelled = folder != ANOMALY_FREE
    name = path.stem if path.stem == folder else f"{folder}-{path.stem}"
    strand = f"skab.{folder}.{path.stem}" if labelled else "skab.testbed.anomaly-free"
    expected = ["datetime", *COLUMNS, *(_LABELS if labelled else ())]
    lines = text_lines(path, ";")
    check_header(next(lines, (0, []))[1], expected, path)
    columns = text_columns(list(of_width(lines, len(expected), path)), expected, path)
    times = columns["datetime"].times("iso")
    if not times.size:
        raise ContractError(f"expected rows below the header, got none at {path}: fetch the file anew")
    values = np.stack([columns[column].numbers() for column in COLUMNS], axis=1).astype(np.float32)
    refuse_empty_sensors(values, list(COLUMNS), path)
    flags = {label: columns[label].flags() for label in _LABELS if labelled}
    keep = repairs.in_order(times, name, path)
    times, values = times[keep], values[keep]
    anomaly = flags["anomaly"][keep] if labelled else np.zeros(times.size, np.bool_)
    events = flagged_events(name, strand, times, {TARGET: anomaly}, PERIOD_MS, kind="anomaly")
    return _File(Run(name, strand, name, times, values, events), folder, anomaly)
