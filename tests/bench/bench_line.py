"""How fast the caster is simulated, on one core: the line alone, and with its dataset written."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from results import Row, repeat, row

from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.line.simulator import TARGETS, simulate

STRANDS, HOURS = 8, 6.0
AT_LEAST = 20_000
"""Strand-seconds in a second of processor time, at the step of 0.1 s."""


def rows() -> Iterator[Row]:
    """Measure."""
    of = f"{AT_LEAST:,} strand-seconds a processor second"
    for name, measure in (("line/v1 simulated", _simulated), ("line/v1 simulated and written", _written)):
        yield row(name, repeat(lambda measure=measure: _speed(measure)), "strand-s/s", of, AT_LEAST, 1.0)


def _speed(measure: Callable[[], None]) -> float:
    began_s = time.process_time()
    measure()
    return STRANDS * HOURS * 3600 / (time.process_time() - began_s)


def _simulated() -> None:
    for _ in simulate(LineConfig(), strands=STRANDS, hours=HOURS, seed=1):
        pass


def _written() -> None:
    config = LineConfig()
    with (
        tempfile.TemporaryDirectory() as folder,
        DatasetWriter(
            Path(folder) / "line", line=config.version, seed=1, period_ms=config.period_ms,
            sensors=MouldArray.of(config).sensors, targets=TARGETS,
        ) as writer,
    ):  # fmt: skip
        for made in simulate(config, strands=STRANDS, hours=HOURS, seed=1):
            writer.add(made.sequence, made.events)
