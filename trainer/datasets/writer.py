"""Write a dataset: sequences as they come, the index last.

Memory is bounded by one sequence and the events. Everything is written into a hidden folder beside the
dataset's place and renamed when it is whole, so a broken run cannot be mistaken for a dataset and the same
command can be run again. However the block ends (an error, Ctrl-C, a full disk), the hidden folder goes.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from models.errors import UsageError
from models.features import Sensor
from trainer.datasets.fingerprint import FORMAT, dataset_fingerprint, sequence_digest
from trainer.datasets.parquet import write_events, write_sequence
from trainer.datasets.records import DatasetInfo, Event, SequenceData, SequenceInfo, Split, Symmetry
from trainer.datasets.splits import assign_group_splits, assign_splits


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
        symmetries: exchanges of sensors that leave a scan one that could have been.
        deal_by_target: deal the positives of each target 60/20/20, not only those of any.

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
        symmetries: Sequence[Symmetry] = (),
        deal_by_target: bool = False,
    ) -> None:
        refuse_occupied(path)
        self._path = path
        # Through a link, so that the rename replaces the folder it points to.
        self._place = path.resolve()
        self._scratch = self._folder = self._place
        self._head = DatasetInfo(
            line, seed, period_ms, tuple(sensors), tuple(targets), dict(configuration or {}), "", tuple(symmetries)
        )
        self._deal_by_target = deal_by_target
        self._sensor_names = {sensor.name for sensor in sensors}
        if not self._sensor_names.issuperset(name for symmetry in symmetries for pair in symmetry for name in pair):
            raise ValueError(f"a symmetry names sensors that are not among {sorted(self._sensor_names)}: {symmetries}")
        self._infos: list[SequenceInfo] = []
        self._names: set[str] = set()
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
        try:
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._scratch = Path(
                tempfile.mkdtemp(prefix=f".{self._place.name}.unfinished-{os.getpid()}-", dir=self._place.parent)
            )
        except OSError as error:
            # The place the user named says more than the hidden folder's name.
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        # Its own folder within: a temporary one is closed to everybody else.
        self._folder = self._scratch / "dataset"
        (self._folder / "sequences").mkdir(parents=True)
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
        write_sequence(self._folder / "sequences" / f"{sequence.sequence_id}.parquet", sequence, self._head.sensors)
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
        self._names.add(sequence.sequence_id)
        if split is not None:
            self._chosen[sequence.sequence_id] = split
        self._events.extend(events)

    def _check(self, sequence: SequenceData, events: Sequence[Event]) -> None:
        name = sequence.sequence_id
        if name in self._names:
            raise ValueError(f"sequence {name} was added before")
        if not name or name != Path(name).name or name.startswith("."):
            raise ValueError(f"sequence id {name!r} is no file name")
        if sequence.rows == 0:
            raise ValueError(f"sequence {name} has no rows")
        if sequence.values.shape[1] != len(self._head.sensors):
            raise ValueError(f"sequence {name}: {sequence.values.shape[1]} sensors, not {len(self._head.sensors)}")
        for event in events:
            if (
                event.sequence_id != name
                or event.target not in (None, *self._head.targets)
                or not self._sensor_names.issuperset(event.sensors)
            ):
                raise ValueError(f"event {event.event_id} belongs to another sequence, target or sensor than {name}'s")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _dealt(self) -> dict[str, Split]:
        """The splits of the sequences that were added without one."""
        positives: dict[str, list[str]] = {
            info.sequence_id: [] for info in self._infos if info.sequence_id not in self._chosen
        }
        for event in self._events:
            if event.target is not None and event.sequence_id in positives:
                positives[event.sequence_id].append(event.target)
        if self._deal_by_target:
            return assign_group_splits(positives, self._head.seed)
        return assign_splits({name: len(targets) for name, targets in positives.items()}, self._head.seed)

    def _finish(self) -> None:
        splits = self._dealt() | self._chosen
        self._infos = [replace(info, split=splits[info.sequence_id]) for info in self._infos]
        info = replace(
            self._head,
            fingerprint=dataset_fingerprint(
                period_ms=self._head.period_ms,
                sensors=self._head.sensors,
                targets=self._head.targets,
                sequences=self._infos,
                events=self._events,
                symmetries=self._head.symmetries,
            ),
        )
        write_events(self._folder / "events.parquet", self._events)
        content = {"format": FORMAT, **asdict(info), "sequences": [asdict(entry) for entry in self._infos]}
        with (self._folder / "dataset.json").open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        self._folder.replace(self._place)
        self._info = info


def refuse_occupied(path: Path) -> None:
    """Refuse a place that already holds something.

    Raises:
        UsageError: the path is a file, or a folder that is not empty.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        kind = "a folder that is not empty" if path.is_dir() else "a file"
        raise UsageError(f"expected a new or empty folder, got {kind} at {path}: choose another --out or remove it")
