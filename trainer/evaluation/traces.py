"""What a model says of every due window of a dataset's sequences, as the worker would ask it.

    traces = trace_split(scorer, Dataset.open("data/line"), "test", at_once=2)

A scorer is anything that answers windows: a bundle on ONNX Runtime (`models.runtime.Predictor`), a network in torch, a
baseline on features. All of them are asked about the same windows.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, Protocol

import numpy as np

from models.errors import UsageError, mismatch
from models.features import Sensor
from models.windows import Float32Array, Int64Array, WindowRules, gather_windows, plan_windows
from trainer.datasets.dataset import Dataset
from trainer.datasets.records import SequenceData, SequenceInfo, Split
from trainer.evaluation.events import Trace

Scope = Split | Literal["all"]
"""One split, or, for a dataset that nothing was trained on, all of it."""

Advance = Callable[[float], None]
"""Called with the number of sequences done since the last call."""

_CHUNK = 512
"""Windows gathered at once: about 10 MB of 240 x 20."""


class Windowed(Protocol):
    """What is asked about windows of some sensors, by rules: a manifest, a scorer."""

    @property
    def window(self) -> WindowRules:
        """Which rows make a window, and when one is due."""

    @property
    def sensors(self) -> Sequence[Sensor]:
        """In the order of a window's columns."""

    @property
    def targets(self) -> Sequence[str]:
        """In the order of the probabilities."""


class Scorer(Windowed, Protocol):
    """What answers windows with probabilities."""

    def predict(self, windows: Float32Array) -> Float32Array:
        """Probabilities [n, target] of windows [n, time, sensor] in engineering units, NaN = missing."""


def trace_split(
    scorer: Scorer, dataset: Dataset, split: Scope, advance: Advance | None = None, *, at_once: int = 1
) -> list[Trace]:
    """The predictions of every due, full window of a split's sequences.

    Args:
        scorer: what is asked; from `at_once` threads at a time.
        dataset: with the scorer's sensors.
        split: whose sequences.
        advance: told of every sequence done.
        at_once: sequences side by side, each in a thread of its own; a recurrent network gains nothing from several
            threads within one.

    Raises:
        UsageError: as for `evaluate_bundle`.
    """
    columns = sensor_columns(scorer, dataset)
    infos = dataset.sequences(None if split == "all" else split)
    if not infos:
        raise UsageError(mismatch(f"sequences of the split `{split}`", "none", str(dataset.path)))

    def trace(info: SequenceInfo) -> Trace:
        return trace_sequence(scorer, dataset.load(info.sequence_id), columns)

    traces = []
    pool = ThreadPoolExecutor(at_once)
    try:
        for traced in pool.map(trace, infos):
            traces.append(traced)
            if advance:
                advance(1)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for sequences that were not begun
    return traces


def trace_sequence(scorer: Scorer, sequence: SequenceData, columns: Int64Array) -> Trace:
    """The predictions of one sequence; `columns` are those of the scorer's sensors, see `sensor_columns`."""
    rules = scorer.window
    plan = plan_windows(sequence.event_time_ms, sequence.strand_id, rules)
    which = np.flatnonzero(plan.full)
    values = sequence.values[:, columns]
    parts = [
        scorer.predict(gather_windows(values, plan, which[first : first + _CHUNK], rules.length))
        for first in range(0, which.size, _CHUNK)
    ]
    positions = plan.due[which]
    return Trace(
        sequence_id=sequence.sequence_id,
        event_time_ms=sequence.event_time_ms[plan.accepted[positions]],
        probabilities=np.concatenate([*parts, np.empty((0, len(scorer.targets)), np.float32)]),
        segment=np.cumsum(plan.restarted, dtype=np.int64)[positions],
        grid_ms=rules.grid_ms,
        window_ms=rules.length * rules.period_ms,
    )


def sensor_columns(scorer: Windowed, dataset: Dataset) -> Int64Array:
    """Where the scorer's sensors lie in the dataset's values.

    Raises:
        UsageError: a sensor is not there or in another unit, or the scan period differs.
    """
    info = dataset.info
    if info.period_ms != scorer.window.period_ms:
        raise UsageError(
            mismatch(f"a scan period of {scorer.window.period_ms} ms", f"{info.period_ms} ms", str(dataset.path))
        )
    places = {(sensor.name, sensor.unit): place for place, sensor in enumerate(info.sensors)}
    columns = []
    for sensor in scorer.sensors:
        if (sensor.name, sensor.unit) not in places:
            have = ", ".join(f"{entry.name} [{entry.unit}]" for entry in info.sensors)
            raise UsageError(mismatch(f"sensor {sensor.name} [{sensor.unit}]", have, str(dataset.path)))
        columns.append(places[sensor.name, sensor.unit])
    return np.array(columns, np.int64)
