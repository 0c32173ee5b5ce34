"""The records of a dataset, as every part of the trainer passes them around.

A dataset is a set of *casting sequences*; a casting sequence is the scans of one strand without a
pause; an event is what happened in it, as far as the truth is known.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.features import Sensor

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

Difficulty = Literal["summary", "partial", "order"]
"""What tells an event from its look-alikes: statistics of each channel over a window, those in part, or order alone."""

FALSE_RECORD = "false_record"
"""Type of an event that is only a plant's record: something was written down, and nothing had happened."""

FROM_TOPIC = "import/kafka"
"""The line of what was read from a sensors topic: a plant's own, or whatever was published there."""

Symmetry = tuple[tuple[str, str], ...]
"""Pairs of sensors that may change places together, as left and right of a mould."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened on a strand; times in milliseconds since 1970 (event time).

    Attributes:
        event_id: unique within the dataset.
        sequence_id: the casting sequence it lies in.
        strand_id: the strand it happened on.
        type: what it was (`sticker`, `speed_step`, `film_fracture`, `anomaly`, ...).
        target: the model's target it is a positive of; None for a look-alike, which must not alarm.
        onset_ms: first trace of it in any sensor; on a simulated line a slow tear between the columns has the time it
            began at the meniscus, a few seconds before anything shows (see `trainer.line.tears`).
        detectable_ms: from when it can be told from a look-alike; equals `onset_ms` where that is immediate.
        impact_ms: breakout, or the defect leaving the mould; None where nothing came of it.
        end_ms: the impact, or the end of the pattern where there was none.
        ignore_until_ms: windows that end in [end_ms, ignore_until_ms) are left out of training.
        healed: it would have ended in an impact, but stopped by itself.
        position_m: strand position at the meniscus at the onset, metres; NaN where unknown.
        difficulty: of a defect of a simulated line, tagged before anything was trained on it; otherwise None.
        look_alike_of: the type of defect that a look-alike imitates; None where it imitates none in particular.
        pair_id: shared by a defect and the look-alike matched to it; None without a match.
        sensors: the sensors it really touched; empty where unknown.
        recorded_type: what the plant wrote down for it, also in error; None where nothing was written.
        recorded_at_ms: when that was written down; None where nothing was, or where it is unknown.
        recorded_position_m: the position written down, metres; NaN where none was.
    """

    event_id: str
    sequence_id: str
    strand_id: str
    type: str
    target: str | None
    onset_ms: int
    detectable_ms: int
    impact_ms: int | None
    end_ms: int
    ignore_until_ms: int
    healed: bool
    position_m: float
    difficulty: Difficulty | None = None
    look_alike_of: str | None = None
    pair_id: str | None = None
    sensors: tuple[str, ...] = ()
    recorded_type: str | None = None
    recorded_at_ms: int | None = None
    recorded_position_m: float = math.nan

    def __post_init__(self) -> None:
        if not self.onset_ms <= self.detectable_ms <= self.end_ms <= self.ignore_until_ms:
            raise ValueError(f"event {self.event_id}: onset <= detectable <= end <= ignore_until does not hold")


@dataclass(frozen=True, slots=True)
class SequenceInfo:
    """What dataset.json says of one casting sequence.

    Attributes:
        sequence_id: its name, also of its file.
        strand_id: the strand it was cast on.
        split: the split it belongs to, whole.
        rows: number of scans.
        start_ms: event time of the first scan.
        end_ms: event time of the last scan.
        sha256: digest of its content, see `trainer.datasets.fingerprint`.
    """

    sequence_id: str
    strand_id: str
    split: Split
    rows: int
    start_ms: int
    end_ms: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """The head of dataset.json.

    Attributes:
        line: version of the simulated line (`line/v1`), or the importer's name (`import/skab`).
        seed: seed it was made with; for an import, of its splits.
        period_ms: nominal distance of two scans.
        sensors: columns of `values`, in this order.
        targets: what models may learn from it.
        configuration: every parameter it was made with.
        fingerprint: sha256 of the canonical content, see `trainer.datasets.fingerprint`.
        symmetries: exchanges of sensors that leave a scan one that could have been.
    """

    line: str
    seed: int
    period_ms: int
    sensors: tuple[Sensor, ...]
    targets: tuple[str, ...]
    configuration: dict[str, object]
    fingerprint: str
    symmetries: tuple[Symmetry, ...] = ()

    @property
    def imported(self) -> bool:
        """Whether somebody recorded it; otherwise it is simulated."""
        return self.line.startswith("import/")


@dataclass(frozen=True, slots=True, eq=False)
class SequenceData:
    """The scans of one casting sequence, n rows in the order of event time.

    Attributes:
        sequence_id: its name.
        strand_id: the strand it was cast on.
        event_time_ms: int64 [n], strictly rising.
        values: float32 [n, sensors] in engineering units, NaN where missing.
        seq: int64 [n], the strand's running scan number.
        heat_id: n names of the heat cast at that scan, None where unknown.
        strand_position_m: float64 [n], metres cast since the start of the sequence, NaN where unknown.
    """

    sequence_id: str
    strand_id: str
    event_time_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    seq: npt.NDArray[np.int64]
    heat_id: tuple[str | None, ...]
    strand_position_m: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        rows = len(self.event_time_ms)
        if self.values.ndim != 2 or not (
            rows == len(self.values) == len(self.seq) == len(self.heat_id) == len(self.strand_position_m)
        ):
            raise ValueError(f"sequence {self.sequence_id}: columns of different length, or values without two axes")
        if rows > 1 and not bool(np.all(np.diff(self.event_time_ms) > 0)):
            raise ValueError(f"sequence {self.sequence_id}: event times do not strictly rise")

    @property
    def rows(self) -> int:
        """Number of scans."""
        return len(self.event_time_ms)
