"""Windows that were cut elsewhere: an `.npz` of plain arrays.

- `X` float [window, time, sensor], NaN = missing;
- `y` 0 or 1, [window] or [window, target];
- `group` [window], text or whole numbers: windows that must share a split (a file, a day, a strand);
- `sensors` and `units` [sensor], `targets` [target]: names, optional;
- `lengths` [window], optional: rows of each window. Without it, rows at a window's end that are NaN throughout are
  taken for padding and dropped.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.errors import ContractError, UsageError, mismatch
from models.features import Sensor
from trainer.datasets.importers.cells import FLOAT32_MAX, Flags, Ints, refuse_empty_sensors
from trainer.datasets.importers.names import check_sensors, sensor_name
from trainer.datasets.importers.recorded import refuse_without_positives

_NEEDED = ("X", "y", "group")
_OPTIONAL = ("sensors", "units", "targets", "lengths")
_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """A file of windows, read and checked.

    Attributes:
        path: the file.
        x: [window, time, sensor], NaN = missing.
        y: [window, target].
        groups: one a window.
        lengths: rows of each window.
        sensors: with the range that their values show.
        targets: their names.
    """

    path: Path
    x: _Array
    y: Flags
    groups: list[str]
    lengths: Ints
    sensors: tuple[Sensor, ...]
    targets: tuple[str, ...]


def read_windows(path: Path) -> Windows:
    """Read a file of windows.

    Raises:
        UsageError: no such file, or names that a dataset cannot hold.
        ContractError: an array is missing, of another shape or kind, or holds what it must not.
    """
    arrays = _arrays(path)
    x, y = arrays["X"], arrays["y"]
    if x.ndim != 3 or x.dtype.kind not in "fiu" or not x.size:
        raise _refuse("numbers [window, time, sensor]", f"{x.dtype} {list(x.shape)}", path, "X")
    count, _, width = x.shape
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or len(y) != count or y.dtype.kind not in "fiub" or not y.shape[1]:
        raise _refuse(f"numbers [{count}] or [{count}, target]", f"{y.dtype} {list(y.shape)}", path, "y")
    targets = _names(arrays, "targets", y.shape[1], path) or (
        ("defect",) if y.shape[1] == 1 else tuple(f"target_{number}" for number in range(1, y.shape[1] + 1))
    )
    columns = _names(arrays, "sensors", width, path) or tuple(f"sensor_{number}" for number in range(1, width + 1))
    lengths = _lengths(arrays, x, path)
    x = _without_padding(x, lengths)
    refuse_empty_sensors(x.reshape(-1, width), columns, f"{path}, X")
    for window, row, sensor in np.argwhere(np.abs(x) > FLOAT32_MAX)[:1].tolist():
        place = f"X, window {window}, row {row}, sensor {columns[sensor]}"
        raise _refuse("a number", x[window, row, sensor], path, place)
    for window, target in np.argwhere(~np.isin(y, (0, 1)))[:1].tolist():
        raise _refuse("0 or 1", y[window, target], path, f"y, window {window}, target {targets[target]}")
    flags = y.astype(np.bool_)
    refuse_without_positives(
        dict(zip(targets, flags.sum(axis=0).tolist(), strict=True)),
        {target: f"{path}, y, column {number}" for number, target in enumerate(targets, start=1)},
    )
    groups = _groups(arrays, count, path)
    _refuse_in_two_groups(x, groups, path)
    return Windows(path, x, flags, groups, lengths, _sensors(arrays, columns, x, path), targets)


def _arrays(path: Path) -> dict[str, _Array]:
    if not path.is_file():
        raise UsageError(f"expected an .npz file, got no such file at {path}")
    if not zipfile.is_zipfile(path):
        raise ContractError(f"expected an .npz, got another kind of file at {path}: save it with numpy.savez")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            lacking = [name for name in _NEEDED if name not in file.files]
            if lacking:
                raise _refuse(f"arrays {', '.join(_NEEDED)}", ", ".join(file.files) or "none", path, lacking[0])
            return {name: file[name] for name in (*_NEEDED, *_OPTIONAL) if name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        what = "objects" if "allow_pickle" in str(error) else str(error)
        raise ContractError(
            f"expected arrays of numbers or text, got {what} at {path}: pad shorter windows with NaN rows at their end"
        ) from error


def _without_padding(x: _Array, lengths: Ints) -> _Array:
    """`x` with NaN beyond each window's length, whatever stood there."""
    beyond = np.arange(x.shape[1]) >= lengths[:, None]
    return np.where(beyond[:, :, None], np.nan, x) if beyond.any() else x


def _lengths(arrays: dict[str, _Array], x: _Array, path: Path) -> Ints:
    """Rows of each window: as given, or up to the last that holds a value."""
    count, rows, _ = x.shape
    given = arrays.get("lengths")
    if given is None:
        filled = ~np.all(np.isnan(x), axis=2)
        for window in np.flatnonzero(~filled.any(axis=1)).tolist():
            raise _refuse("at least one value", "only missing ones", path, f"X, window {window}")
        return np.asarray(rows - np.argmax(filled[:, ::-1], axis=1), np.int64)
    if given.shape != (count,) or given.dtype.kind not in "iu":
        raise _refuse(f"whole numbers [{count}]", f"{given.dtype} {list(given.shape)}", path, "lengths")
    for window in np.flatnonzero((given < 1) | (given > rows)).tolist():
        raise _refuse(f"a length from 1 to {rows}", given[window], path, f"lengths, window {window}")
    return given.astype(np.int64)


def _groups(arrays: dict[str, _Array], count: int, path: Path) -> list[str]:
    group = arrays["group"]
    if group.shape != (count,) or group.dtype.kind not in "iuU":
        raise _refuse(f"text or whole numbers [{count}]", f"{group.dtype} {list(group.shape)}", path, "group")
    return [str(name) for name in group.tolist()]


def _refuse_in_two_groups(x: _Array, groups: list[str], path: Path) -> None:
    """Refuse a window that two splits could see; one of equal rows, as of a line at rest, may recur."""
    seen: dict[bytes, int] = {}
    for index, window in enumerate(x):
        if np.array_equal(window[1:], window[:-1], equal_nan=True):
            continue
        before = seen.setdefault(hashlib.sha256(window.tobytes()).digest(), index)
        if groups[before] != groups[index]:
            got = f"windows {before} and {index} with the same values in `{groups[before]}` and `{groups[index]}`"
            raise ContractError(f"expected a window in one group, got {got} at {path}: give them one group")


def _names(arrays: dict[str, _Array], key: str, count: int, path: Path) -> tuple[str, ...] | None:
    given = arrays.get(key)
    if given is None:
        return None
    if given.shape != (count,) or given.dtype.kind != "U":
        raise _refuse(f"{count} names", f"{given.dtype} {list(given.shape)}", path, key)
    names = tuple(sensor_name(name) for name in given.tolist())
    for index, name in enumerate(names):
        if name in names[:index]:
            raise _refuse("different names", f"`{name}` twice", path, key)
    return names


def _sensors(arrays: dict[str, _Array], names: tuple[str, ...], x: _Array, path: Path) -> tuple[Sensor, ...]:
    """The sensors, each with the range its values show: of what the instrument can show nothing is known."""
    units = arrays.get("units", np.array(["1"] * len(names)))
    if units.shape != (len(names),) or units.dtype.kind != "U":
        raise _refuse(f"{len(names)} units", f"{units.dtype} {list(units.shape)}", path, "units")
    lows, highs = np.nanmin(x, axis=(0, 1)), np.nanmax(x, axis=(0, 1))
    sensors = tuple(
        Sensor(name, str(unit), float(low), float(high) if high > low else float(low) + 1.0)
        for name, unit, low, high in zip(names, units.tolist(), lows, highs, strict=True)
    )
    check_sensors(sensors, f"{path}, sensors")
    return sensors


def _refuse(expected: str, got: object, path: Path, where: str) -> ContractError:
    return ContractError(mismatch(expected, got, f"{path}, {where}"))
