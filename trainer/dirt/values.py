"""Dirt in what a scan holds: sensors that drift, stick, are missing or drop out, and flags of quality."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.datasets.records import SequenceData
from trainer.dirt.draws import episodes, runs
from trainer.dirt.figures import Dirt, ValueKind
from trainer.line.signals import Streams, draw

Float32 = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]

GOOD, UNCERTAIN, BAD = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class SoiledValues:
    """A sequence's values as its instruments would give them.

    Attributes:
        values: float32 [n, sensors]; NaN where nothing came; wrong where flagged bad.
        absent: bool [n, sensors]: not even named in the scan.
        flags: uint8 [n, sensors]: GOOD, UNCERTAIN or BAD.
        touched: kind → int64 [n], how many values of each scan it changed or flagged.
    """

    values: Float32
    absent: Bool
    flags: npt.NDArray[np.uint8]
    touched: dict[ValueKind, npt.NDArray[np.int64]]


def soil_values(sequence: SequenceData, dirt: Dirt, streams: Streams) -> SoiledValues:
    """Soil a sequence's values; its own arrays stay as they are.

    Args:
        sequence: n scans of any sensors.
        dirt: how much of each kind.
        streams: random generators of this sequence's dirt.
    """
    values, spread = sequence.values.copy(), spreads(sequence.values)
    touched: dict[ValueKind, npt.NDArray[np.int64]] = {}
    before = values.copy()
    _drift(values, spread, sequence, dirt, streams.of_sequence("drift"))
    touched["drift"] = _changed(before, values)
    before = values.copy()
    _stick(values, sequence, dirt, streams.of_sequence("stuck"))
    touched["stuck"] = _changed(before, values)
    absent = _miss(values, sequence, dirt, streams.of_sequence("missing_sensor"))
    touched["missing_sensor"] = _lost(values, absent)
    rng = streams.of_sequence("drop_out")
    row, column, _ = runs(rng, _shape(values), dirt.drop_out.rate, dirt.drop_out.scans)
    gone = np.zeros(values.shape, np.bool_)
    gone[row, column] = True
    touched["drop_out"] = _lost(values, gone)
    flags = _flag(values, spread, dirt, streams.of_sequence("quality"))
    touched["quality"] = (flags != GOOD).sum(axis=1, dtype=np.int64)
    return SoiledValues(values, absent, flags, touched)


def spreads(values: Float32) -> npt.NDArray[np.float64]:
    """Standard deviation of each sensor, a hundredth of its mean where it never moves: float64 [sensors]."""
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, values, 0).sum(axis=0, dtype=np.float64) / count
    spread = np.sqrt((np.where(present, values - mean, 0.0) ** 2).sum(axis=0) / count)
    return np.asarray(np.where(spread > 1e-6 * np.abs(mean), spread, np.abs(mean) / 100))


def _drift(
    values: Float32, spread: npt.NDArray[np.float64], sequence: SequenceData, dirt: Dirt, rng: np.random.Generator
) -> None:
    figures = dirt.drift
    for first, stop in episodes(rng, sequence.event_time_ms, figures.rate, _seconds(figures.duration_min)):
        sensor = int(rng.integers(values.shape[1]))
        end = draw(rng, figures.size_sd) * float(rng.choice((-1.0, 1.0))) * spread[sensor]
        way = sequence.event_time_ms[first:stop] - sequence.event_time_ms[first]
        values[first:stop, sensor] += (end * way / max(1, way[-1])).astype(np.float32)


def _stick(values: Float32, sequence: SequenceData, dirt: Dirt, rng: np.random.Generator) -> None:
    figures = dirt.stuck
    for first, stop in episodes(rng, sequence.event_time_ms, figures.rate, _seconds(figures.duration_min)):
        shown = values[first:stop, int(rng.integers(values.shape[1]))]
        present = np.flatnonzero(~np.isnan(shown))
        shown[present] = shown[present[:1]]


def _miss(values: Float32, sequence: SequenceData, dirt: Dirt, rng: np.random.Generator) -> Bool:
    figures = dirt.missing_sensor
    absent = np.zeros(values.shape, np.bool_)
    for first, stop in episodes(rng, sequence.event_time_ms, figures.rate, _seconds(figures.duration_min)):
        absent[first:stop, int(rng.integers(values.shape[1]))] = True
    return absent


def _flag(
    values: Float32, spread: npt.NDArray[np.float64], dirt: Dirt, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Flag values that are there, and make those flagged bad wrong."""
    figures = dirt.quality
    row, column, run = runs(rng, _shape(values), figures.rate, figures.scans)
    of_run = rng.random((int(run[-1]) + 1 if len(run) else 0, 3))
    is_bad, is_zero = of_run[:, 0] < figures.bad_share, of_run[:, 1] < figures.zero_share
    off = np.where(of_run[:, 2] < 0.5, -1, 1) * figures.off_sd
    there = ~np.isnan(values[row, column])
    row, column, run = row[there], column[there], run[there]
    flags = np.zeros(values.shape, np.uint8)
    flags[row, column] = np.where(is_bad[run], BAD, UNCERTAIN)
    bad = is_bad[run]
    row, column, run = row[bad], column[bad], run[bad]
    # Where runs overlap the last one written decides the flag too; a bad value under it may stay wrong only if bad.
    wrong = np.where(is_zero[run], 0.0, values[row, column] + off[run] * spread[column]).astype(np.float32)
    still_bad = flags[row, column] == BAD
    values[row[still_bad], column[still_bad]] = wrong[still_bad]
    return flags


def _lost(values: Float32, gone: Bool) -> npt.NDArray[np.int64]:
    """Take values away; how many were there, by scan."""
    lost = gone & ~np.isnan(values)
    values[gone] = np.nan
    return np.asarray(lost.sum(axis=1, dtype=np.int64))


def _changed(before: Float32, after: Float32) -> npt.NDArray[np.int64]:
    """By scan, how many values are not what they were."""
    return np.asarray(((before != after) & ~np.isnan(before)).sum(axis=1, dtype=np.int64))


def _shape(values: Float32) -> tuple[int, int]:
    return values.shape[0], values.shape[1]


def _seconds(minutes: tuple[float, float]) -> tuple[float, float]:
    return minutes[0] * 60, minutes[1] * 60
