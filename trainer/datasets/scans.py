"""A dataset or a recording as the records a plant would publish, all strands mixed, in the order of arrival.

A clean line's scans arrive in the order of event time.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models import recording as recordings
from models.errors import UsageError
from models.recording import Recording
from trainer.datasets.records import SPLITS, SequenceData, SequenceInfo
from trainer.dirt.stream import Arrival, Soil, arrivals

if TYPE_CHECKING:
    from trainer.datasets.dataset import Dataset


Opener = Callable[[], Iterator[Arrival]]


class ScanSource:
    """Scans of chosen sequences on their way to Kafka, and how many there are.

    Attributes:
        total: number of scans of the line, before any dirt.
        sensors: names, in the order of the data's columns.
    """

    def __init__(self, total: int, sensors: Sequence[str], arrivals: Iterator[Arrival]) -> None:
        self.total = total
        self.sensors = sensors
        self._arrivals = arrivals

    def __iter__(self) -> Iterator[Arrival]:
        return self._arrivals


def open_scans(
    path: Path,
    *,
    split: str | None = None,
    strands: Sequence[str] = (),
    sequences: Sequence[str] = (),
    soil: Soil | None = None,
) -> ScanSource:
    """Scans of a dataset's folder or of a recording (`.npz`).

    Args:
        path: the folder or file.
        split: only the sequences of this split; a recording has none.
        strands: only these strands; empty takes all.
        sequences: only these casting sequences; empty takes all. A recording has none.
        soil: dirt for each sequence; None leaves the line clean.

    Raises:
        UsageError: nothing is left by the choice, or it names what is not there.
        ContractError: the dataset or recording is broken.
    """
    if split is not None and split not in SPLITS:
        raise UsageError(f"expected one of {', '.join(SPLITS)}, got {split} at --split")
    if path.suffix == ".npz":
        if split is not None or sequences:
            raise UsageError(f"a recording has neither splits nor sequences, at {path}: choose by --strand")
        return _recorded(recordings.read(path), path, strands, soil)
    from trainer.datasets.dataset import Dataset

    dataset = Dataset.open(path)
    known = dataset.sequences()
    _refuse_unknown(strands, {info.strand_id for info in known}, f"--strand, strands of {path}")
    _refuse_unknown(sequences, {info.sequence_id for info in known}, f"--sequence, sequences of {path}")
    chosen = [
        info
        for info in known
        if split in (None, info.split)
        and (not strands or info.strand_id in strands)
        and (not sequences or info.sequence_id in sequences)
    ]
    if not chosen:
        raise UsageError(f"no sequence is left by --split, --strand and --sequence, at {path}: widen the choice")
    sensors = [sensor.name for sensor in dataset.info.sensors]
    return ScanSource(sum(info.rows for info in chosen), sensors, _of_dataset(dataset, chosen, sensors, soil))


def _refuse_unknown(asked: Iterable[str], known: set[str], place: str) -> None:
    for name in asked:
        if name not in known:
            few = ", ".join(sorted(known)[:3])
            raise UsageError(f"expected one of {len(known)} ({few}, ...), got {name} at {place}")


def merge(sources: Iterable[tuple[int, str, Opener]]) -> Iterator[Arrival]:
    """Arrivals of several sources in the order of (arrival, strand).

    Args:
        sources: of each, a time before which nothing arrives, its strand, and what opens it; it is opened, and in
            memory, only while its time has come. Its arrivals never go back in time.
    """
    heap: list[tuple[int, str, int, Opener | None, Iterator[Arrival], Arrival | None]] = [
        (start_ms, strand_id, number, opener, iter(()), None)
        for number, (start_ms, strand_id, opener) in enumerate(sources)
    ]
    heapq.heapify(heap)
    while heap:
        _, strand_id, number, opener, arrivals, arrival = heapq.heappop(heap)
        if arrival is not None:
            yield arrival
        if opener is not None:
            arrivals = opener()
        if (following := next(arrivals, None)) is not None:
            heapq.heappush(heap, (following.at_ms, strand_id, number, None, arrivals, following))


def _of_dataset(
    dataset: "Dataset", chosen: Sequence[SequenceInfo], sensors: Sequence[str], soil: Soil | None
) -> Iterator[Arrival]:
    def opener(sequence_id: str) -> Opener:
        return lambda: arrivals(dataset.load(sequence_id), sensors, soil)

    return merge((info.start_ms, info.strand_id, opener(info.sequence_id)) for info in chosen)


def _recorded(recording: Recording, path: Path, strands: Sequence[str], soil: Soil | None) -> ScanSource:
    _refuse_unknown(strands, set(recording.strands), f"--strand, strands of {path}")
    chosen = [index for index, strand in enumerate(recording.strands) if not strands or strand in strands]
    times, sensors = recording.event_time_ms, [sensor.name for sensor in recording.sensors]

    def opener(index: int) -> Opener:
        sequence = SequenceData(
            sequence_id=recording.strands[index],
            strand_id=recording.strands[index],
            event_time_ms=times,
            values=recording.values[index],
            seq=np.arange(len(times), dtype=np.int64),
            heat_id=recording.heat_ids[index],
            strand_position_m=recording.strand_position_m[index],
        )
        return lambda: arrivals(sequence, sensors, soil)

    merged = merge((int(times[0]), recording.strands[index], opener(index)) for index in chosen)
    return ScanSource(len(chosen) * len(times), sensors, merged)
