"""What a dataset's scans add up to: labels, and what each sensor shows. Counted sequence by sequence."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.features import Sensor
from trainer.datasets.labels import LEFT_OUT, NEGATIVE, POSITIVE, label_at
from trainer.datasets.records import SPLITS, DatasetInfo, Event, SequenceData, SequenceInfo, Split

SAMPLE_ROWS = 200_000
"""A median is of all values up to so many rows, and of every k-th beyond."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Scans of one split by the label that a window which ends there has for one target."""

    target: str
    split: Split
    positive: int
    left_out: int
    negative: int

    @property
    def scans(self) -> int:
        """All of them."""
        return self.positive + self.left_out + self.negative


@dataclass(frozen=True, slots=True)
class SensorFacts:
    """What one sensor shows; numbers in its unit, None where it shows nothing.

    Attributes:
        name: of the sensor.
        unit: of the numbers.
        min: lowest value.
        median: of all values, or of every `ScanCounter.step`-th.
        max: highest value.
        missing: share of the scans without a finite value.
    """

    name: str
    unit: str
    min: float | None
    median: float | None
    max: float | None
    missing: float


@dataclass(slots=True)
class _Column:
    """One sensor, as far as read."""

    sensor: Sensor
    rows: int = 0
    values: int = 0
    low: float = np.inf
    high: float = -np.inf
    sample: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def add(self, column: npt.NDArray[np.float32], step: int) -> float:
        """Take one sequence's values in; the share of them that is missing."""
        found = column[np.isfinite(column)]
        self.rows += len(column)
        self.values += len(found)
        if len(found):
            self.low = min(self.low, float(found.min()))
            self.high = max(self.high, float(found.max()))
            # Every k-th of the values, not of the rows: a sensor slower than the scan misses in step with them.
            self.sample.append(found[min(step // 2, len(found) // 2) :: step].copy())
        return (len(column) - len(found)) / max(len(column), 1)

    def facts(self) -> SensorFacts:
        shown = self.values > 0
        return SensorFacts(
            name=self.sensor.name,
            unit=self.sensor.unit,
            min=_shortest(self.low) if shown else None,
            median=_shortest(float(np.median(np.concatenate(self.sample)))) if shown else None,
            max=_shortest(self.high) if shown else None,
            missing=(self.rows - self.values) / max(self.rows, 1),
        )


class ScanCounter:
    """What the scans add up to, sequence by sequence.

    Attributes:
        step: medians are of every so-manieth value.
        missing: of each sequence, the share of missing values of each sensor.
        readings: sequence id → digest of its values alone; without those that show nothing.
    """

    def __init__(self, info: DatasetInfo, rows: int) -> None:
        self.step = max(1, -(-rows // SAMPLE_ROWS))
        self.missing: list[list[float]] = []
        self.readings: dict[str, bytes] = {}
        self._columns = [_Column(sensor) for sensor in info.sensors]
        self._labels = {(target, split): np.zeros(3, dtype=np.int64) for target in info.targets for split in SPLITS}

    def add(self, entry: SequenceInfo, data: SequenceData, events: Sequence[Event]) -> None:
        """Count one sequence; `events` are its own."""
        by_sensor = np.ascontiguousarray(data.values.T)
        self.missing.append(
            [column.add(values, self.step) for column, values in zip(self._columns, by_sensor, strict=True)]
        )
        if not np.isnan(by_sensor).all():
            self.readings[entry.sequence_id] = hashlib.sha256(by_sensor.tobytes()).digest()
        for (target, split), counts in self._labels.items():
            if split == entry.split:
                labels = label_at(data.event_time_ms, events, target)
                counts += [np.count_nonzero(labels == label) for label in (POSITIVE, LEFT_OUT, NEGATIVE)]

    def balance(self) -> tuple[Balance, ...]:
        """By target, then by split."""
        return tuple(Balance(*key, *(int(count) for count in counts)) for key, counts in self._labels.items())

    def sensors(self) -> tuple[SensorFacts, ...]:
        """In the order of the dataset."""
        return tuple(column.facts() for column in self._columns)


def _shortest(value: float) -> float:
    """The shortest decimal of a float32: 150.1, not 150.10000610351562."""
    return float(str(np.float32(value)))
