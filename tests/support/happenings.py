"""One happening drawn by itself, as the simulator draws it."""

import numpy as np

from trainer.line.config import LineConfig
from trainer.line.figures.base import Grade
from trainer.line.happenings import Happening, Scene
from trainer.line.mould_array import MouldArray
from trainer.line.schedule import Scheduled
from trainer.line.simulator import DRAW


def drawn(
    config: LineConfig, event: Scheduled, speed_m_min: float, rng: np.random.Generator, grade: Grade = "low-C"
) -> Happening:
    """What a scheduled happening turns out to be at a casting speed."""
    scene = Scene(config, MouldArray.of(config), grade, superheat_k=25.0, imbalance=0.01, speed_m_min=speed_m_min)
    return DRAW[event.type](scene, event, rng)
