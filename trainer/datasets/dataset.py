"""Read a dataset: `Dataset.open(path)`, then one sequence at a time.

- `DIR/dataset.json`: format, line, seed, period, sensors, targets, configuration, sequences, fingerprint.
- `DIR/sequences/<sequence_id>.parquet`: event_time_ms, seq, heat_id, strand_position_m, one float32 column a sensor.
- `DIR/events.parquet`: the truth, one row an event (`trainer.datasets.records.Event`).
"""

import json
from pathlib import Path
from typing import Self

import msgspec

from models.errors import ContractError
from models.features import Sensor
from trainer.datasets.fingerprint import FORMAT, dataset_fingerprint, sequence_digest
from trainer.datasets.parquet import read_events, read_sequence
from trainer.datasets.records import DatasetInfo, Event, SequenceData, SequenceInfo, Split


class _SensorEntry(msgspec.Struct, frozen=True):
    name: str
    unit: str
    low: float
    high: float


class _SequenceEntry(msgspec.Struct, frozen=True):
    sequence_id: str
    strand_id: str
    split: Split
    rows: int
    start_ms: int
    end_ms: int
    sha256: str


class _Index(msgspec.Struct, frozen=True):
    format: int
    line: str
    seed: int
    period_ms: int
    sensors: list[_SensorEntry]
    targets: list[str]
    configuration: dict[str, object]
    sequences: list[_SequenceEntry]
    fingerprint: str
    symmetries: list[list[tuple[str, str]]]


class Dataset:
    """A dataset on disk; only its index and events are held in memory.

    Attributes:
        path: its folder.
        info: line, seed, sensors, targets, fingerprint.
    """

    def __init__(self, path: Path, info: DatasetInfo, sequences: list[SequenceInfo], events: list[Event]) -> None:
        self.path = path
        self.info = info
        self._sequences = {entry.sequence_id: entry for entry in sequences}
        self._events = events

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open a dataset's folder.

        Raises:
            ContractError: no such folder, no index, another format, a field or file that is not as it must be;
                names path, expectation and reality.
        """
        path = Path(path)
        index = _read_index(path / "dataset.json")
        sequences = [SequenceInfo(**msgspec.structs.asdict(entry)) for entry in index.sequences]
        info = DatasetInfo(
            line=index.line,
            seed=index.seed,
            period_ms=index.period_ms,
            sensors=tuple(Sensor(entry.name, entry.unit, entry.low, entry.high) for entry in index.sensors),
            targets=tuple(index.targets),
            configuration=index.configuration,
            fingerprint=index.fingerprint,
            symmetries=tuple(tuple(symmetry) for symmetry in index.symmetries),
        )
        for entry in sequences:
            if not (path / "sequences" / f"{entry.sequence_id}.parquet").is_file():
                raise ContractError(
                    f"expected sequences/{entry.sequence_id}.parquet, got no such file at {path}: make the dataset anew"
                )
        return cls(path, info, sequences, read_events(path / "events.parquet"))

    def sequences(self, split: Split | None = None) -> list[SequenceInfo]:
        """The casting sequences of one split, or all, in the order they were written."""
        return [entry for entry in self._sequences.values() if split in (None, entry.split)]

    def events(self, sequence_id: str | None = None) -> list[Event]:
        """The events of one sequence, or all, in the order they were written."""
        return [event for event in self._events if sequence_id in (None, event.sequence_id)]

    def load(self, sequence_id: str) -> SequenceData:
        """Read one sequence from disk.

        Raises:
            ContractError: no such sequence, or its file is not what the index says.
        """
        entry = self._sequences.get(sequence_id)
        if entry is None:
            raise ContractError(
                f"expected a sequence of the dataset, got `{sequence_id}` at {self.path / 'dataset.json'}"
            )
        file = self.path / "sequences" / f"{sequence_id}.parquet"
        sequence = read_sequence(file, sequence_id, entry.strand_id, self.info.sensors)
        if sequence.rows != entry.rows:
            raise ContractError(f"expected {entry.rows} rows, got {sequence.rows} at {file}: make the dataset anew")
        return sequence

    def verify(self) -> None:
        """Read everything and compare with the fingerprint.

        Raises:
            ContractError: content differs from what dataset.json says; names the file.
        """
        for entry in self._sequences.values():
            found = sequence_digest(self.load(entry.sequence_id))
            if found != entry.sha256:
                place = self.path / "sequences" / f"{entry.sequence_id}.parquet"
                raise ContractError(f"expected content of sha256 {entry.sha256[:12]}, got {found[:12]} at {place}")
        found = dataset_fingerprint(
            period_ms=self.info.period_ms,
            sensors=self.info.sensors,
            targets=self.info.targets,
            sequences=self._sequences.values(),
            events=self._events,
            symmetries=self.info.symmetries,
        )
        if found != self.info.fingerprint:
            raise ContractError(f"expected fingerprint {self.info.fingerprint[:12]}, got {found[:12]} at {self.path}")


def _read_index(path: Path) -> _Index:
    remedy = "name a folder made by `trainer simulate` or `trainer import`"
    try:
        raw = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ContractError(f"expected a dataset's index, got no such file at {path}: {remedy}") from error
    except ValueError as error:
        raise ContractError(f"expected JSON, got {error} at {path}: {remedy}") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else type(raw).__name__
        raise ContractError(f"expected format {FORMAT}, got {found} at {path}, format: {remedy}")
    try:
        return msgspec.convert(raw, _Index)
    except msgspec.ValidationError as error:
        raise ContractError(f"{str(error)[:1].lower()}{str(error)[1:]} in {path}: {remedy}") from error
