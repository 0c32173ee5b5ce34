"""A sequence's columns as scans, one after another."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from models.messages import SensorScan
from trainer.datasets.records import SequenceData

_BLOCK = 1024


def sequence_scans(sequence: SequenceData, sensors: Sequence[str]) -> Iterator[SensorScan]:
    """Scans of one sequence; NaN becomes null, and a value the shortest decimal of its float32."""
    times, seqs = sequence.event_time_ms.tolist(), sequence.seq.tolist()
    positions, rows = nullable(sequence.strand_position_m), decimal_rows(sequence.values)
    for time, seq, heat, position, row in zip(times, seqs, sequence.heat_id, positions, rows, strict=True):
        yield SensorScan(
            strand_id=sequence.strand_id,
            event_time_ms=time,
            values=dict(zip(sensors, row, strict=True)),
            seq=seq,
            heat_id=heat,
            strand_position_m=position,
        )


def decimal_rows(values: npt.NDArray[np.float32]) -> Iterator[list[float | None]]:
    """Rows of [n, sensors] as numbers of few digits, NaN as None.

    By way of text, which numpy makes the shortest that reads back as the same float32: 150.1, not
    150.10000610351562, at half the bytes of a message.
    """
    for first in range(0, len(values), _BLOCK):
        block = values[first : first + _BLOCK]
        missing = np.isnan(block)
        plain = np.where(missing, np.float32(0), block).astype("U32").astype(np.float64).astype(object)
        plain[missing] = None
        yield from plain.tolist()


def nullable(column: npt.NDArray[np.float64]) -> list[float | None]:
    """Numbers of a column, NaN as None."""
    return [None if np.isnan(value) else value for value in column.tolist()]
