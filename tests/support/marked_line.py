"""A dataset whose events are one bump on one sensor, and networks that look at it or elsewhere. One scan a second."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from support.told_line import told_event
from torch import Tensor, nn

from models.features import Sensor
from models.windows import WindowRules
from trainer.architectures.base import SequenceModel
from trainer.architectures.parts import without_padding
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event, SequenceData
from trainer.datasets.writer import DatasetWriter
from trainer.graphs.serving_graph import RawModel
from trainer.preprocess import Preprocess

SENSORS = tuple(Sensor(f"probe_{name}_c", "°C", -50, 50) for name in "abcdefgh")
TOUCHED = 2
LEVEL = 5.0
"""What every sensor shows when nothing happens: far from 0, so that a baseline of 0 would be the wrong one."""


WINDOW = WindowRules(length=40, period_ms=1000, stride=1, max_gap_ms=5000)


@dataclass(frozen=True)
class Rules:
    window: WindowRules = WINDOW
    sensors: tuple[Sensor, ...] = SENSORS
    targets: tuple[str, ...] = ("bump",)


class OneSensor(SequenceModel):
    """How far one sensor rises over 3 above the usual level, added up over time: nothing else counts."""

    model_type = "one_sensor"

    def __init__(self, sensor: int = TOUCHED) -> None:
        super().__init__(input_size=len(SENSORS), inputs="level", whitening=False)
        self.weights = nn.Parameter(torch.eye(len(SENSORS))[sensor])

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        above_bt = torch.relu((x - LEVEL) @ self.weights - 3)
        return without_padding(above_bt[..., None], lengths).sum(1)


def raw(network: SequenceModel) -> RawModel:
    """The network on windows as they are."""
    ones = np.ones(len(SENSORS), np.float32)
    return RawModel(Preprocess(0 * ones, ones, LEVEL * ones, clip=100.0), network).eval()


def marked_sequence(name: str, number: int, onset: int, rows: int = 110) -> SequenceData:
    """Noise around the usual level, and twelve scans of one sensor lifted by 8."""
    values = LEVEL + np.random.default_rng(number).normal(0, 0.5, (rows, len(SENSORS)))
    values[onset : onset + 13, TOUCHED] += 8
    return SequenceData(
        sequence_id=name,
        strand_id=f"p1.c1.s{number}",
        event_time_ms=np.arange(rows, dtype=np.int64) * 1000,
        values=values.astype(np.float32),
        seq=np.arange(rows, dtype=np.int64),
        heat_id=(None,) * rows,
        strand_position_m=np.arange(rows) * 0.02,
    )


def marked_event(name: str, onset: int, *, kind: str = "bump", known: bool = True) -> Event:
    """From `onset` to `onset` + 12 s; it can be told after 4 s."""
    event = told_event(f"{name}-{onset}", name, kind, "bump", onset, onset + 12)
    sensors = (SENSORS[TOUCHED].name,) if known else ()
    return replace(event, detectable_ms=event.onset_ms + 4000, sensors=sensors)


def write_marked_line(path: Path, sequences: int = 6, *, known: bool = True) -> Dataset:
    """So many test sequences with an event each, of two types in turn; `known` tells which sensor it touched."""
    line = "line/test" if known else "import/test"
    with DatasetWriter(path, line=line, seed=1, period_ms=1000, sensors=SENSORS, targets=("bump",)) as writer:
        for number in range(sequences):
            name, onset = f"q{number}", 60 + number
            kind = ("bump", "hump")[number % 2]
            writer.add(
                marked_sequence(name, number, onset), [marked_event(name, onset, kind=kind, known=known)], "test"
            )
    return Dataset.open(path)
