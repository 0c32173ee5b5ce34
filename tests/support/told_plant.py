"""An imported plant of two sensors, of which one tells what happens: small, with sequences enough to resample."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.features import Sensor
from models.windows import Float32Array, WindowRules
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import Event, SequenceData, Split
from trainer.datasets.writer import DatasetWriter

SENSORS = (Sensor("flow_l_min", "l/min", 0, 100), Sensor("pump_c", "°C", 0, 100))
TARGETS = ("leak", "fire")
RULES = WindowRules(length=10, period_ms=1000, stride=1, max_gap_ms=5000)
ROWS = 200


def write_told_plant(path: Path, counts: Sequence[int] = (2, 4, 6), *, fire_on_test: bool = False) -> Dataset:
    """Sequences of train, validation and test: a leak in each raises the flow, a hatch does so less, for less long.

    Fires, which nothing tells of, are in no test sequence unless asked for.
    """
    rng = np.random.default_rng(11)
    splits: list[Split] = ["train"] * counts[0] + ["validation"] * counts[1] + ["test"] * counts[2]
    with DatasetWriter(
        path, line="import/table", seed=0, period_ms=RULES.period_ms, sensors=SENSORS, targets=TARGETS
    ) as writer:
        for number, split in enumerate(splits):
            name = f"s{number:02d}"
            values = rng.normal(50, 1, (ROWS, 2)).astype(np.float32)
            leak = event(name, "leak", 60, 100, target="leak")
            hatch = event(name, "hatch", 150, 165)
            values[60:100, 0] += 2.5
            values[150:165, 0] += 2.0
            events = [leak, hatch]
            if split != "test" or fire_on_test:
                events.append(event(name, "fire", 110, 130, target="fire"))
            writer.add(sequence(name, values), events, split)
    return Dataset.open(path)


def sequence(name: str, values: Float32Array) -> SequenceData:
    return SequenceData(
        sequence_id=name,
        strand_id=f"p1.c1.{name}",
        event_time_ms=np.arange(len(values), dtype=np.int64) * RULES.period_ms,
        values=values,
        seq=np.arange(len(values), dtype=np.int64),
        heat_id=(None,) * len(values),
        strand_position_m=np.full(len(values), np.nan),
    )


def event(sequence_id: str, kind: str, onset: int, end: int, *, target: str | None = None) -> Event:
    return Event(
        event_id=f"{sequence_id}-{kind}",
        sequence_id=sequence_id,
        strand_id=f"p1.c1.{sequence_id}",
        type=kind,
        target=target,
        onset_ms=onset * 1000,
        detectable_ms=onset * 1000,
        impact_ms=end * 1000 if target else None,
        end_ms=end * 1000,
        ignore_until_ms=(end + 5) * 1000,
        healed=False,
        position_m=float("nan"),
        difficulty="summary" if target else None,
        look_alike_of=None if target else "leak",
    )


class FlowScorer:
    """Answers with the logistic of the mean flow over a window's last rows; a real model of one number a target."""

    def __init__(self, rows: int, steepness: float = 1.0, noise_seed: int | None = None) -> None:
        self.window = RULES
        self.sensors = SENSORS
        self.targets = TARGETS
        self._rows, self._steepness = rows, steepness
        self._tilt = 0.0 if noise_seed is None else float(np.random.default_rng(noise_seed).normal(0, 0.3))

    def predict(self, windows: Float32Array) -> Float32Array:
        flow = windows[:, -self._rows :, 0].mean(axis=1) - 51.25 + self._tilt * (windows[:, -1, 1] - 50)
        logits = self._steepness * np.stack([flow, 0 * flow], axis=1)
        said: Float32Array = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return said
