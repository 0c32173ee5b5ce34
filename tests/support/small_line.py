"""A simulated line small enough for tests: a few minutes a sequence, what happens in each is scripted."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.features import CASTING_SENSORS
from trainer.datasets.dataset import Dataset
from trainer.datasets.parquet import write_sequence
from trainer.datasets.records import Split
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.simulator import simulate_sequence

SPLITS: tuple[Split, ...] = ("train", "train", "validation", "test")
STICKERS_S = {"train": (170.0,), "validation": (170.0,), "test": (170.0, 370.0)}
"""When stickers begin; their number differs, so that scores tell on which split they were made."""

DURATIONS_S = {"train": 330.0, "validation": 330.0, "test": 530.0}


def write_small_line(path: Path, seed: int = 5, *, stickers: bool = True) -> Dataset:
    """Four sequences, two strands, each with a film fracture and then, if wanted, stickers that do not heal."""
    config = LineConfig().with_rates({"clogging_release": 0.0})
    with DatasetWriter(
        path, line=config.version, seed=seed, period_ms=config.period_ms, sensors=CASTING_SENSORS, targets=("sticker",)
    ) as writer:
        for index, split in enumerate(SPLITS):
            schedule = [Scheduled("film_fracture", 80.0)]
            if stickers:
                schedule += [Scheduled("sticker", onset_s, healed=False) for onset_s in STICKERS_S[split]]
            made = simulate_sequence(
                config, strand=index % 2, index=index, duration_s=DURATIONS_S[split], seed=seed, schedule=schedule
            )
            writer.add(made.sequence, made.events, split)
    return Dataset.open(path)


def write_tampered(line: Dataset, path: Path) -> Path:
    """A copy of which one sequence was altered after it was made."""
    shutil.copytree(line.path, path)
    info = line.sequences("test")[0]
    sequence = line.load(info.sequence_id)
    values = sequence.values.copy()
    values[100, 0] += 1
    write_sequence(
        path / "sequences" / f"{info.sequence_id}.parquet", replace(sequence, values=values), line.info.sensors
    )
    return path


def write_leaky(line: Dataset, path: Path) -> Path:
    """The same sequences, put one after another on one strand, five seconds between two."""
    info = line.info
    next_ms = 0
    with DatasetWriter(
        path, line=info.line, seed=info.seed, period_ms=info.period_ms, sensors=info.sensors, targets=info.targets
    ) as writer:
        for entry in line.sequences():
            sequence = line.load(entry.sequence_id)
            times = next_ms + np.arange(sequence.rows, dtype=np.int64) * info.period_ms
            next_ms = int(times[-1]) + 5000
            writer.add(replace(sequence, strand_id="p1.c1.s1", event_time_ms=times), (), entry.split)
    return path
