"""A short recorded line in one file, so that the worker can be shown without a plant or the trainer.

One `.npz` (never pickled): `meta`, JSON in UTF-8 as bytes; `event_time_ms` int64 [time]; `values` int16
[strand, sensor, time]; `strand_position_mm` int32 [strand, time]. A value is a whole number of the sensor's
resolution (a power of ten, the finest with which `low` to `high` fits 16 bits), counted from the middle of
that range; -32768 is "missing".
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from models.errors import ContractError, mismatch
from models.features import Sensor

FORMAT = 1
MISSING = -32768
LOOP_PAUSE_MS = 120_000
"""Pause between the end of the recording and its next turn: more than any model lets a window span."""

_MAX_FILE_BYTES = 16 << 20
_MISSING_POSITION = np.iinfo(np.int32).min


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """What happened on a recorded strand; times in milliseconds of the recording's event time.

    Attributes:
        strand_id: the strand.
        type: `sticker`, `film_fracture`, `speed_step`.
        target: the model's target it is a positive of; None for a look-alike, which must not alarm.
        onset_ms: first trace in any sensor.
        detectable_ms: from when it can be told from a look-alike.
        impact_ms: breakout; None where nothing came of it.
        end_ms: the impact, or the end of the pattern.
        ignore_until_ms: until when an alert is neither right nor wrong.
        healed: a sticker that stopped by itself.
    """

    strand_id: str
    type: str
    target: str | None
    onset_ms: int
    detectable_ms: int
    impact_ms: int | None
    end_ms: int
    ignore_until_ms: int
    healed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Some minutes of several strands, all scanned at the same instants.

    Attributes:
        sensors: what the last axis of `values` holds.
        period_ms: distance of two scans.
        strands: strand ids, the first axis of `values`.
        event_time_ms: int64 [time], rising.
        values: float32 [strand, time, sensor] in engineering units, NaN where missing.
        strand_position_m: float64 [strand, time], metres cast, NaN where unknown.
        heat_ids: [strand][time] name of the heat, None where unknown.
        events: the truth, in the order of onset.
        about: how it was made, one paragraph.
    """

    sensors: tuple[Sensor, ...]
    period_ms: int
    strands: tuple[str, ...]
    event_time_ms: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]
    strand_position_m: npt.NDArray[np.float64]
    heat_ids: tuple[tuple[str | None, ...], ...]
    events: tuple[RecordedEvent, ...]
    about: str

    def __post_init__(self) -> None:
        time, strands = len(self.event_time_ms), len(self.strands)
        if self.values.shape != (strands, time, len(self.sensors)):
            raise ValueError(f"values of shape {self.values.shape}, not [strand, time, sensor]")
        if self.strand_position_m.shape != (strands, time):
            raise ValueError(f"strand_position_m of shape {self.strand_position_m.shape}, not [strand, time]")
        if len(self.heat_ids) != strands or any(len(heats) != time for heats in self.heat_ids):
            raise ValueError("heat_ids are not one name for each strand and time")

    @property
    def loop_ms(self) -> int:
        """Add this to every time for each further turn: the jump reads as a restart of the line."""
        return int(self.event_time_ms[-1] - self.event_time_ms[0]) + LOOP_PAUSE_MS


class _Meta(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    about: str
    period_ms: int
    sensors: list[Sensor]
    decimals: list[int]
    strands: list[str]
    heats: list[list[tuple[int, str | None]]]
    events: list[RecordedEvent]


def default_path() -> Path:
    """The recording that ships with this package."""
    return Path(__file__).parent / "recordings" / "line.npz"


def decimals_of(sensor: Sensor) -> int:
    """Decimals kept of a sensor: the most with which its range fits 16 bits."""
    return int(np.floor(np.log10(65_534 / (sensor.high - sensor.low))))


def write(path: Path, recording: Recording) -> None:
    """Write a recording, replacing the file at once.

    Raises:
        ContractError: a value lies so far outside its sensor's range that it cannot be kept.
    """
    meta = {
        "format": FORMAT,
        "about": recording.about,
        "period_ms": recording.period_ms,
        "sensors": [asdict(sensor) for sensor in recording.sensors],
        "decimals": [decimals_of(sensor) for sensor in recording.sensors],
        "strands": recording.strands,
        "heats": [_runs(heats) for heats in recording.heat_ids],
        "events": [asdict(event) for event in recording.events],
    }
    codes = np.stack([_quantise(recording.values[:, :, i], sensor) for i, sensor in enumerate(recording.sensors)], 1)
    millimetres = np.round(recording.strand_position_m * 1000)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        np.savez_compressed(
            file,
            meta=np.frombuffer(json.dumps(meta, ensure_ascii=False).encode(), dtype=np.uint8),
            event_time_ms=recording.event_time_ms.astype(np.int64),
            values=codes,
            strand_position_mm=np.where(np.isnan(millimetres), _MISSING_POSITION, millimetres).astype(np.int32),
        )
    unfinished.replace(path)


def read(path: Path) -> Recording:
    """Read a recording.

    Raises:
        ContractError: no such file, too large, not a recording, or arrays that do not fit each other; names the path.
    """
    arrays = _arrays(path)
    try:
        meta = msgspec.json.decode(arrays["meta"].tobytes(), type=_Meta)
    except msgspec.DecodeError as error:
        raise ContractError(f"expected a recording's description, got {error} at {path}, meta") from error
    if meta.format != FORMAT:
        raise ContractError(mismatch(f"format {FORMAT}", meta.format, f"{path}, meta.format"))
    time, strands, sensors = len(arrays["event_time_ms"]), len(meta.strands), len(meta.sensors)
    _expect_shape(path, "values", arrays["values"], (strands, sensors, time), np.int16)
    _expect_shape(path, "strand_position_mm", arrays["strand_position_mm"], (strands, time), np.int32)
    if len(meta.decimals) != sensors or len(meta.heats) != strands or not all(meta.heats):
        raise ContractError(f"expected decimals of each sensor and heats of each strand, got others at {path}, meta")
    values = np.empty((strands, time, sensors), dtype=np.float32)
    for index, (sensor, decimals) in enumerate(zip(meta.sensors, meta.decimals, strict=True)):
        values[:, :, index] = _restore(arrays["values"][:, index], sensor, decimals)
    position = arrays["strand_position_mm"].astype(np.float64) / 1000
    position[arrays["strand_position_mm"] == _MISSING_POSITION] = np.nan
    return Recording(
        sensors=tuple(meta.sensors),
        period_ms=meta.period_ms,
        strands=tuple(meta.strands),
        event_time_ms=arrays["event_time_ms"].astype(np.int64),
        values=values,
        strand_position_m=position,
        heat_ids=tuple(_expand(runs, time) for runs in meta.heats),
        events=tuple(meta.events),
        about=meta.about,
    )


def _arrays(path: Path) -> dict[str, npt.NDArray[np.generic]]:
    remedy = "reinstall the package, or record again with `trainer simulate --recording`"
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ContractError(mismatch(f"at most {_MAX_FILE_BYTES} bytes", path.stat().st_size, f"{path}: {remedy}"))
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in ("meta", "event_time_ms", "values", "strand_position_mm")}
    except FileNotFoundError as error:
        raise ContractError(f"expected a recording, got no such file at {path}: {remedy}") from error
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ContractError(f"expected a recording, got {error} at {path}: {remedy}") from error


def _expect_shape(
    path: Path, name: str, array: npt.NDArray[np.generic], shape: tuple[int, ...], dtype: type[np.generic]
) -> None:
    if array.shape != shape or array.dtype != dtype:
        expected = f"{np.dtype(dtype)} {list(shape)}"
        raise ContractError(mismatch(expected, f"{array.dtype} {list(array.shape)}", f"{path}, {name}"))


def _middle(sensor: Sensor, decimals: int) -> int:
    return round((sensor.low + sensor.high) / 2 * float(10.0**decimals))


def _quantise(values: npt.NDArray[np.float32], sensor: Sensor) -> npt.NDArray[np.int16]:
    decimals = decimals_of(sensor)
    counts = np.round(values.astype(np.float64) * 10.0**decimals) - _middle(sensor, decimals)
    if bool(np.any(np.abs(counts) > -MISSING - 1)):
        raise ContractError(
            f"expected `{sensor.name}` within about {sensor.low} to {sensor.high} {sensor.unit}, got "
            f"{np.nanmin(values)} to {np.nanmax(values)} in the recording: widen the sensor's range"
        )
    return np.where(np.isnan(counts), MISSING, counts).astype(np.int16)


def _restore(codes: npt.NDArray[np.generic], sensor: Sensor, decimals: int) -> npt.NDArray[np.float64]:
    values = (codes.astype(np.float64) + _middle(sensor, decimals)) / 10.0**decimals
    values[codes == MISSING] = np.nan
    return values


def _runs(heats: Sequence[str | None]) -> list[tuple[int, str | None]]:
    """(first index, heat) of each run of equal heats."""
    runs: list[tuple[int, str | None]] = []
    first = 0
    for heat, group in groupby(heats):
        runs.append((first, heat))
        first += sum(1 for _ in group)
    return runs


def _expand(runs: Sequence[tuple[int, str | None]], length: int) -> tuple[str | None, ...]:
    ends = [first for first, _ in runs[1:]] + [length]
    return tuple(heat for (first, heat), end in zip(runs, ends, strict=True) for _ in range(end - first))
