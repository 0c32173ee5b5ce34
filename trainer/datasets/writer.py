"""Write a dataset: sequences as they come, the index last.

Memory is bounded by one sequence and the events. `dataset.json` appears only when everything else is on
disk, by a rename; a folder without it is no dataset, so a broken run cannot be mistaken for one. Where the
block ends with an error, what it wrote is removed again.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from models.errors import UsageError
from models.features import Sensor
from trainer.datasets.fingerprint import FORMAT, dataset_fingerprint, sequence_digest
from trainer.datasets.parquet import write_events, write_sequence
from trainer.datasets.records import DatasetInfo, Event, SequenceData, SequenceInfo, Split
from trainer.datasets.splits import assign_splits


class DatasetWriter:
    """A context manager that writes one dataset into an empty or new folder.

    Sequences added without a split are dealt 60/20/20 by the seed when the block ends without an error.

    Args:
        path: the dataset's folder.
        line: version of the simulated line, or name of the importer.
        seed: seed of the line and of the splits.
        period_ms: nominal distance of two scans.
        sensors: columns of the values.
        targets: names of the targets that events may carry.
        configuration: whatever else it was made with, as JSON.

    Raises:
        UsageError: the folder exists and is not empty, or is a file.
    """

    def __init__(
        self,
        path: Path,
        *,
        line: str,
        seed: int,
        period_ms: int,
        sensors: Sequence[Sensor],
        targets: Sequence[str],
        configuration: Mapping[str, object] | None = None,
    ) -> None:
        refuse_occupied(path)
        self._path = path
        self._head = DatasetInfo(line, seed, period_ms, tuple(sensors), tuple(targets), dict(configuration or {}), "")
        self._infos: list[SequenceInfo] = []
        self._chosen: dict[str, Split] = {}
        self._events: list[Event] = []
        self._info: DatasetInfo | None = None

    @property
    def info(self) -> DatasetInfo:
        """The finished dataset's head, fingerprint included; only after the block has ended."""
        if self._info is None:
            raise ValueError("the dataset is not finished: leave the `with` block first")
        return self._info

    @property
    def sequences(self) -> list[SequenceInfo]:
        """The sequences, with their final splits once the block has ended."""
        return list(self._infos)

    def __enter__(self) -> Self:
        (self._path / "sequences").mkdir(parents=True, exist_ok=True)
        return self

    def add(self, sequence: SequenceData, events: Iterable[Event] = (), split: Split | None = None) -> None:
        """Write one sequence and keep its events.

        Args:
            sequence: its scans; values float32 [n, sensors].
            events: what happened in it.
            split: the split it must belong to; None lets the writer deal.

        Raises:
            ValueError: a sequence id twice or unfit as a file name, no rows, another number of sensors, an event of
                another sequence or of a target the dataset does not have.
        """
        events = list(events)
        self._check(sequence, events)
        write_sequence(self._path / "sequences" / f"{sequence.sequence_id}.parquet", sequence, self._head.sensors)
        self._infos.append(
            SequenceInfo(
                sequence_id=sequence.sequence_id,
                strand_id=sequence.strand_id,
                split=split or "train",
                rows=sequence.rows,
                start_ms=int(sequence.event_time_ms[0]),
                end_ms=int(sequence.event_time_ms[-1]),
                sha256=sequence_digest(sequence),
            )
        )
        if split is not None:
            self._chosen[sequence.sequence_id] = split
        self._events.extend(events)

    def _check(self, sequence: SequenceData, events: Sequence[Event]) -> None:
        name = sequence.sequence_id
        if any(info.sequence_id == name for info in self._infos):
            raise ValueError(f"sequence {name} was added before")
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"sequence id {name!r} is no file name")
        if sequence.rows == 0:
            raise ValueError(f"sequence {name} has no rows")
        if sequence.values.shape[1] != len(self._head.sensors):
            raise ValueError(f"sequence {name}: {sequence.values.shape[1]} sensors, not {len(self._head.sensors)}")
        for event in events:
            if event.sequence_id != name or event.target not in (None, *self._head.targets):
                raise ValueError(f"event {event.event_id} belongs to another sequence or target than {name}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
            return
        # So that the same command can be run again: what is left could only be mistaken for something.
        for info in self._infos:
            (self._path / "sequences" / f"{info.sequence_id}.parquet").unlink(missing_ok=True)
        (self._path / "sequences").rmdir()

    def _finish(self) -> None:
        positives = {info.sequence_id: 0 for info in self._infos if info.sequence_id not in self._chosen}
        for event in self._events:
            if event.target is not None and event.sequence_id in positives:
                positives[event.sequence_id] += 1
        splits = assign_splits(positives, self._head.seed) | self._chosen
        self._infos = [replace(info, split=splits[info.sequence_id]) for info in self._infos]
        self._info = replace(
            self._head,
            fingerprint=dataset_fingerprint(
                period_ms=self._head.period_ms,
                sensors=self._head.sensors,
                targets=self._head.targets,
                sequences=self._infos,
                events=self._events,
            ),
        )
        write_events(self._path / "events.parquet", self._events)
        content = {"format": FORMAT, **asdict(self._info), "sequences": [asdict(info) for info in self._infos]}
        unfinished = self._path / ".dataset.json.unfinished"
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path / "dataset.json")


def refuse_occupied(path: Path) -> None:
    """Refuse a place that already holds something.

    Raises:
        UsageError: the path is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        kind = "a folder that is not empty" if path.is_dir() else "a file"
        raise UsageError(f"expected a new or empty folder, got {kind} at {path}: choose another --out or remove it")
