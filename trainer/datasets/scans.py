"""A dataset or a recording as the scans a plant would publish: in the order of event time, all strands mixed."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models import recording as recordings
from models.errors import UsageError
from models.messages import SensorScan
from models.recording import Recording
from trainer.datasets.records import SPLITS, SequenceData, SequenceInfo

if TYPE_CHECKING:
    from trainer.datasets.dataset import Dataset


class ScanSource:
    """Scans of chosen sequences, and how many there are.

    Attributes:
        total: number of scans.
    """

    def __init__(self, total: int, scans: Iterator[SensorScan]) -> None:
        self.total = total
        self._scans = scans

    def __iter__(self) -> Iterator[SensorScan]:
        return self._scans


def open_scans(
    path: Path, *, split: str | None = None, strands: Sequence[str] = (), sequences: Sequence[str] = ()
) -> ScanSource:
    """Scans of a dataset's folder or of a recording (`.npz`).

    Args:
        path: the folder or file.
        split: only the sequences of this split; a recording has none.
        strands: only these strands; empty takes all.
        sequences: only these casting sequences; empty takes all. A recording has none.

    Raises:
        UsageError: nothing is left by the choice, or it names what is not there.
        ContractError: the dataset or recording is broken.
    """
    if split is not None and split not in SPLITS:
        raise UsageError(f"expected one of {', '.join(SPLITS)}, got {split} at --split")
    if path.suffix == ".npz":
        if split is not None or sequences:
            raise UsageError(f"a recording has neither splits nor sequences, at {path}: choose by --strand")
        return _recorded(recordings.read(path), path, strands)
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
    return ScanSource(sum(info.rows for info in chosen), _merged(dataset, chosen))


def _refuse_unknown(asked: Iterable[str], known: set[str], place: str) -> None:
    for name in asked:
        if name not in known:
            few = ", ".join(sorted(known)[:3])
            raise UsageError(f"expected one of {len(known)} ({few}, ...), got {name} at {place}")


def _merged(dataset: "Dataset", chosen: Sequence[SequenceInfo]) -> Iterator[SensorScan]:
    """Scans in the order of (time, strand); a sequence is in memory only while its time has come."""
    sensors = [sensor.name for sensor in dataset.info.sensors]
    heap: list[tuple[int, str, int, Iterator[SensorScan] | None, SensorScan | None]] = [
        (info.start_ms, info.strand_id, number, None, None) for number, info in enumerate(chosen)
    ]
    heapq.heapify(heap)
    while heap:
        _, strand_id, number, scans, scan = heapq.heappop(heap)
        if scan is not None:
            yield scan
        elif scans is None:
            scans = sequence_scans(dataset.load(chosen[number].sequence_id), sensors)
        if scans is not None and (following := next(scans, None)) is not None:
            heapq.heappush(heap, (following.event_time_ms, strand_id, number, scans, following))


def sequence_scans(sequence: SequenceData, sensors: Sequence[str]) -> Iterator[SensorScan]:
    """Scans of one sequence; NaN becomes null, and a value the shortest decimal of its float32."""
    times, seqs = sequence.event_time_ms.tolist(), sequence.seq.tolist()
    positions, rows = _nullable(sequence.strand_position_m), _decimal_rows(sequence.values)
    for time, seq, heat, position, row in zip(times, seqs, sequence.heat_id, positions, rows, strict=True):
        yield SensorScan(
            strand_id=sequence.strand_id,
            event_time_ms=time,
            values=dict(zip(sensors, row, strict=True)),
            seq=seq,
            heat_id=heat,
            strand_position_m=position,
        )


def _recorded(recording: Recording, path: Path, strands: Sequence[str]) -> ScanSource:
    _refuse_unknown(strands, set(recording.strands), f"--strand, strands of {path}")
    chosen = [index for index, strand in enumerate(recording.strands) if not strands or strand in strands]
    return ScanSource(len(chosen) * len(recording.event_time_ms), recording_scans(recording, chosen))


def recording_scans(recording: Recording, chosen: Sequence[int]) -> Iterator[SensorScan]:
    """Scans of some strands of a recording, instant by instant; `chosen` are indices of its strands."""
    sensors = [sensor.name for sensor in recording.sensors]
    count = len(recording.event_time_ms)
    each = [
        sequence_scans(
            SequenceData(
                sequence_id=recording.strands[index],
                strand_id=recording.strands[index],
                event_time_ms=recording.event_time_ms,
                values=recording.values[index],
                seq=np.arange(count, dtype=np.int64),
                heat_id=recording.heat_ids[index],
                strand_position_m=recording.strand_position_m[index],
            ),
            sensors,
        )
        for index in chosen
    ]
    for instant in zip(*each, strict=True):
        yield from instant


def _decimal_rows(values: npt.NDArray[np.float32]) -> Iterator[list[float | None]]:
    # By way of text, which numpy makes the shortest that reads back as the same float32: 150.1, not
    # 150.10000610351562, at half the bytes of a message.
    step = 1024
    for first in range(0, len(values), step):
        block = values[first : first + step]
        missing = np.isnan(block)
        plain = np.where(missing, np.float32(0), block).astype("U32").astype(np.float64).astype(object)
        plain[missing] = None
        yield from plain.tolist()


def _nullable(column: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in column.tolist()]
