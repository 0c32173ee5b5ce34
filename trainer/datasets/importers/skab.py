"""SKAB, the Skoltech Anomaly Benchmark: runs of a water-circulation testbed at about 1 Hz (github.com/waico/SKAB).

Each file is one run: one casting sequence of its own strand. Rows with `anomaly` 1 are positives of the target
`defect`, at once detectable and with no zone left out. Labelled runs are dealt 60/20/20 by file within each of
their folders (a split by row would leak); the anomaly-free run trains. Times are taken as UTC and stay as they
were recorded: seconds that are missing stay missing.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from models.errors import ContractError, UsageError
from models.features import Sensor
from trainer.datasets.records import Event, SequenceData, Split
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


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported and what was repaired on the way.

    Attributes:
        runs: files, labelled or not.
        rows: scans written.
        labelled_runs: files with an `anomaly` column.
        labelled_rows: scans of those.
        anomalous_rows: of those, with `anomaly` 1.
        anomalous_share: `anomalous_rows` over `labelled_rows`.
        events: stretches of anomalous rows.
        missing_values: empty or NaN values, kept as missing.
        repairs: one line for each repair, naming the file and how many rows were dropped.
        splits: number of sequences in each split.
        fingerprint: of the dataset.
    """

    runs: int
    rows: int
    labelled_runs: int
    labelled_rows: int
    anomalous_rows: int
    anomalous_share: float
    events: int
    missing_values: int
    repairs: list[str]
    splits: dict[str, int]
    fingerprint: str

    def to_json(self) -> dict[str, object]:
        """The report as JSON values."""
        return asdict(self)


@dataclass(slots=True)
class _Run:
    """One file, read."""

    name: str
    folder: str
    labelled: bool
    times: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    anomaly: list[bool] = field(default_factory=list)
    duplicates: int = 0
    late: int = 0


def import_skab(source: Path, out: Path, *, seed: int = 1) -> ImportReport:
    """Import the benchmark's folder into a dataset.

    Args:
        source: the folder that holds `valve1`, `valve2`, `other` and perhaps `anomaly-free`, or whose `data` does.
        out: a new or empty folder.
        seed: of the splits.

    Raises:
        UsageError: the source is no such folder, or the out folder is occupied.
        ContractError: a file is broken; names file, row and column. Rows out of time order are no error: like the
            worker, the import drops them, counts them and says so in the report.
    """
    refuse_occupied(out)
    runs = [_read_run(path, folder) for folder, path in _files(source)]
    splits: dict[str, Split] = {}
    for folder in LABELLED:
        splits |= assign_splits({run.name: int(any(run.anomaly)) for run in runs if run.folder == folder}, seed)
    writer = DatasetWriter(
        out,
        line="import/skab",
        seed=seed,
        period_ms=PERIOD_MS,
        sensors=tuple(COLUMNS.values()),
        targets=(TARGET,),
        configuration={"source": "waico/SKAB", "license": "GPL-3.0"},
    )
    with writer:
        for run in runs:
            writer.add(_sequence(run), _events(run), splits.get(run.name, "train"))
    return _report(runs, writer)


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


def _read_run(path: Path, folder: str) -> _Run:
    labelled = folder != ANOMALY_FREE
    name = path.stem if path.stem == folder else f"{folder}-{path.stem}"
    run = _Run(name, folder, labelled)
    expected = ["datetime", *COLUMNS, *(_LABELS if labelled else ())]
    for number, cells in _lines(path, expected):
        time_ms = _time(cells[0], path, number)
        row = [_number(cell, path, number, column) for cell, column in zip(cells[1:9], COLUMNS, strict=True)]
        flags = [_flag(cell, path, number, column) for cell, column in zip(cells[9:], _LABELS, strict=False)]
        if run.times and time_ms <= run.times[-1]:
            run.duplicates += time_ms == run.times[-1]
            run.late += time_ms < run.times[-1]
            continue
        run.times.append(time_ms)
        run.values.append(row)
        run.anomaly.append(bool(flags and flags[0]))
    if not run.times:
        raise ContractError(f"expected rows below the header, got none at {path}: fetch the file anew")
    return run


def _lines(path: Path, expected: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers from 1 and cells of the rows below a header that must be as expected."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=";", strict=True)
            header = next(reader, [])
            for index in range(max(len(expected), len(header))):
                want = expected[index] if index < len(expected) else "no further column"
                got = header[index] if index < len(header) else "nothing"
                if want != got:
                    raise ContractError(f"expected `{want}`, got `{got}` at {path}, row 1, column {index + 1}")
            for cells in reader:
                if len(cells) != len(expected):
                    raise ContractError(
                        f"expected {len(expected)} columns, got {len(cells)} at {path}, row {reader.line_num}"
                    )
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ContractError(f"expected a `;`-separated text in UTF-8, got {error} at {path}") from error


def _time(cell: str, path: Path, number: int) -> int:
    try:
        stamp = datetime.fromisoformat(cell)
    except ValueError:
        raise ContractError(
            f"expected a date and time, got `{cell}` at {path}, row {number}, column datetime"
        ) from None
    return round((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp() * 1000)


def _number(cell: str, path: Path, number: int, column: str) -> float:
    try:
        value = float(cell) if cell.strip() else math.nan
    except ValueError:
        value = math.inf
    if math.isinf(value):
        raise ContractError(f"expected a number, got `{cell}` at {path}, row {number}, column {column}")
    return value


def _flag(cell: str, path: Path, number: int, column: str) -> bool:
    if cell.strip() not in {"0", "1", "0.0", "1.0"}:
        raise ContractError(f"expected 0 or 1, got `{cell}` at {path}, row {number}, column {column}")
    return float(cell) == 1


def _strand(run: _Run) -> str:
    return f"skab.{run.folder}.{run.name.rpartition('-')[2]}" if run.labelled else "skab.testbed.anomaly-free"


def _sequence(run: _Run) -> SequenceData:
    rows = len(run.times)
    return SequenceData(
        sequence_id=run.name,
        strand_id=_strand(run),
        event_time_ms=np.array(run.times, dtype=np.int64),
        values=np.array(run.values, dtype=np.float32),
        seq=np.arange(rows, dtype=np.int64),
        heat_id=(None,) * rows,
        strand_position_m=np.full(rows, np.nan),
    )


def _events(run: _Run) -> list[Event]:
    """One event for each stretch of anomalous rows, up to the first row after it."""
    flags = np.array([False, *run.anomaly, False])
    edges = np.flatnonzero(flags[1:] != flags[:-1])
    events = []
    for number, (first, after) in enumerate(edges.reshape(-1, 2).tolist()):
        end_ms = run.times[after] if after < len(run.times) else run.times[-1] + PERIOD_MS
        events.append(
            Event(
                event_id=f"{run.name}-{number:02d}",
                sequence_id=run.name,
                strand_id=_strand(run),
                type="anomaly",
                target=TARGET,
                onset_ms=run.times[first],
                detectable_ms=run.times[first],
                impact_ms=None,
                end_ms=end_ms,
                ignore_until_ms=end_ms,
                healed=False,
                position_m=math.nan,
            )
        )
    return events


def _report(runs: list[_Run], writer: DatasetWriter) -> ImportReport:
    labelled = [run for run in runs if run.labelled]
    labelled_rows, anomalous = sum(len(run.times) for run in labelled), sum(sum(run.anomaly) for run in labelled)
    repairs = [
        f"{run.name}: dropped {run.duplicates} rows of the same time and {run.late} rows out of order"
        for run in runs
        if run.duplicates or run.late
    ]
    splits: dict[str, int] = {}
    for info in writer.sequences:
        splits[info.split] = splits.get(info.split, 0) + 1
    return ImportReport(
        runs=len(runs),
        rows=sum(len(run.times) for run in runs),
        labelled_runs=len(labelled),
        labelled_rows=labelled_rows,
        anomalous_rows=anomalous,
        anomalous_share=anomalous / labelled_rows if labelled_rows else 0.0,
        events=sum(len(_events(run)) for run in runs),
        missing_values=sum(math.isnan(value) for run in runs for row in run.values for value in row),
        repairs=repairs,
        splits=splits,
        fingerprint=writer.info.fingerprint,
    )
