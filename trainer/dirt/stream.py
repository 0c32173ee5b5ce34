"""The stream's form: a sequence's records in the order of arrival, clean or soiled."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from models.messages import Quality, SensorScan, encode
from trainer.datasets.records import SequenceData
from trainer.datasets.rows import decimal_rows, nullable, sequence_scans
from trainer.dirt.rubbish import DAMAGES, Damage, mangled

if TYPE_CHECKING:
    from trainer.dirt.figures import Dirt

_QUALITIES: tuple[Quality, ...] = ("good", "uncertain", "bad")
"""In the order of the codes of `trainer.dirt.values`."""


class Soil(NamedTuple):
    """How to soil a line."""

    dirt: "Dirt"
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What dirt touched a record: int32 [1, kinds] each, as in `trainer.dirt.arrival.Records`."""

    touched: npt.NDArray[np.int32]
    begun: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record on its way to Kafka.

    Attributes:
        at_ms: when it arrives, milliseconds on the line's true clock; a clean scan arrives at its event time.
        scan: what it tells.
        damage: what makes rubbish of it; None for a valid scan.
        marks: its dirt; None where nothing touched it.
        of_line: how many scans of the clean line are done with it: itself unless a copy, and those lost before it.
    """

    at_ms: int
    scan: SensorScan
    damage: Damage | None = None
    marks: Marks | None = None
    of_line: int = 1

    def encoded(self) -> bytes | None:
        """The record's value: JSON, or what became of it."""
        value = encode(self.scan)
        return value if self.damage is None else mangled(value, self.damage)


def arrivals(sequence: SequenceData, sensors: Sequence[str], how: Soil | None) -> Iterator[Arrival]:
    """A sequence's records in the order of arrival.

    Args:
        sequence: clean scans.
        sensors: names of the values' columns.
        how: kinds of dirt and seed; None leaves the line clean.
    """
    if how is not None:
        yield from _soiled(sequence, sensors, how)
        return
    for scan in sequence_scans(sequence, sensors):
        yield Arrival(scan.event_time_ms, scan)


def _soiled(sequence: SequenceData, sensors: Sequence[str], how: Soil) -> Iterator[Arrival]:
    from trainer.dirt.arrival import WHOLE, soil  # with scipy, which a clean line does without

    records = soil(sequence, how.dirt, how.seed)
    seqs, positions = sequence.seq.tolist(), nullable(sequence.strand_position_m)
    at_ms, rows, times = records.at_ms.tolist(), records.row.tolist(), records.event_time_ms.tolist()
    damages, of_line = records.damage.tolist(), records.of_line.tolist()
    has_absent, has_flag = _any(records.absent), _any(records.flags)
    is_touched = _any(records.touched | records.begun)
    for index, values in enumerate(decimal_rows(records.values)):
        row = rows[index]
        scan = SensorScan(
            strand_id=sequence.strand_id,
            event_time_ms=times[index],
            values=_named(sensors, values, records.absent[index] if has_absent[index] else None),
            seq=seqs[row],
            heat_id=sequence.heat_id[row],
            strand_position_m=positions[row],
            quality=_flagged(sensors, records.flags[index]) if has_flag[index] else {},
        )
        piece = slice(index, index + 1)
        yield Arrival(
            at_ms[index],
            scan,
            damage=None if damages[index] == WHOLE else DAMAGES[damages[index]],
            marks=Marks(records.touched[piece], records.begun[piece]) if is_touched[index] else None,
            of_line=of_line[index],
        )


def _any(columns: npt.NDArray[Any]) -> list[bool]:
    """By row of [n, columns], whether any is not 0."""
    found: list[bool] = np.asarray(columns.any(axis=1)).tolist()
    return found


def _named(
    sensors: Sequence[str], values: list[float | None], absent: npt.NDArray[np.bool_] | None
) -> dict[str, float | None]:
    named = dict(zip(sensors, values, strict=True))
    for column in [] if absent is None else np.flatnonzero(absent).tolist():
        del named[sensors[column]]
    return named


def _flagged(sensors: Sequence[str], flags: npt.NDArray[np.uint8]) -> dict[str, Quality]:
    return {sensors[column]: _QUALITIES[flags[column]] for column in np.flatnonzero(flags).tolist()}
