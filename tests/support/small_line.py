"""A simulated line small enough for tests: a few minutes a sequence, what happens in each is scripted."""

from pathlib import Path

from models.features import CASTING_SENSORS
from trainer.datasets.dataset import Dataset
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.schedule import Scheduled
from trainer.line.simulator import TARGETS, simulate_sequence

DURATION_S = 330.0
SPLITS = ("train", "train", "validation", "test")


def write_small_line(path: Path, seed: int = 5, *, stickers: bool = True) -> Dataset:
    """Four sequences, two strands, each with a film fracture and then, if wanted, a sticker that does not heal."""
    config = LineConfig()
    schedule = [Scheduled("film_fracture", 80.0)]
    if stickers:
        schedule.append(Scheduled("sticker", 170.0, healed=False))
    with DatasetWriter(
        path, line=config.version, seed=seed, period_ms=config.period_ms, sensors=CASTING_SENSORS, targets=TARGETS
    ) as writer:
        for index, split in enumerate(SPLITS):
            made = simulate_sequence(
                config, strand=index % 2, index=index, duration_s=DURATION_S, seed=seed, schedule=schedule
            )
            writer.add(made.sequence, made.events, split)
    return Dataset.open(path)
