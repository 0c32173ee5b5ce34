"""Which sensors belong together, told by their names and by the dataset's symmetries.

- A thermocouple in a row is named `<place>_tc_<row>_<column>` and its unit: those of one row make a row, rows in the
  order of the sensors, the upper first, as the caster's arrays are written. One row by itself has nothing below it.
- Where no name says so, the sensors that the symmetries exchange lie beside each other: each exchanged pair is a row.
- The stopper and the mould level are the first sensors with that word in their names, the mould's before others.

A dataset in which nothing of this is found has no roles, which is no error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from models.features import Sensor, stem
from trainer.datasets.records import Symmetry

_THERMOCOUPLE = "_tc_"


@dataclass(frozen=True, slots=True)
class Roles:
    """Sensors that belong together, as places in the order of the sensors.

    Attributes:
        rows: of thermocouples, the upper first.
        below: (upper, lower) of the same column in neighbouring rows.
        beside: (left, right), neighbours within a row.
        stopper: what lets steel into the mould.
        level: of the steel in the mould.
    """

    rows: tuple[tuple[int, ...], ...]
    below: tuple[tuple[int, int], ...]
    beside: tuple[tuple[int, int], ...]
    stopper: int | None
    level: int | None

    @property
    def causes(self) -> tuple[tuple[int, int], ...]:
        """Pairs of which the second follows the first: down the mould, and from the stopper to the level."""
        if self.stopper is None or self.level is None:
            return self.below
        return (*self.below, (self.stopper, self.level))


def find_roles(sensors: Sequence[Sensor], symmetries: Sequence[Symmetry]) -> Roles:
    """Find them.

    Args:
        sensors: in the order of a window's columns.
        symmetries: the dataset's.
    """
    rows = _rows_by_name(sensors)
    if len(rows) < 2:
        rows = _rows_by_symmetry(sensors, symmetries)
    return Roles(
        rows=tuple(tuple(row.values()) for row in rows),
        below=tuple(
            (upper[column], lower[column]) for upper, lower in pairwise(rows) for column in upper if column in lower
        ),
        beside=tuple(pair for row in rows for pair in pairwise(row.values())),
        stopper=_with_word("stopper", sensors),
        level=_with_word("level", sensors),
    )


def _rows_by_name(sensors: Sequence[Sensor]) -> list[dict[str, int]]:
    """Of each row, the place of the sensor in each column."""
    rows: dict[str, dict[str, int]] = {}
    for place, sensor in enumerate(sensors):
        where, is_one, rest = stem(sensor.name).partition(_THERMOCOUPLE)
        row, _, column = rest.rpartition("_")
        if is_one and row:
            rows.setdefault(f"{where}.{row}", {})[column] = place
    return list(rows.values())


def _rows_by_symmetry(sensors: Sequence[Sensor], symmetries: Sequence[Symmetry]) -> list[dict[str, int]]:
    places = {sensor.name: place for place, sensor in enumerate(sensors)}
    pairs = {tuple(sorted((places[one], places[other]))) for symmetry in symmetries for one, other in symmetry}
    ordered = sorted(pairs)
    if any(set(one) & set(other) for one, other in combinations(ordered, 2)):
        return []  # larger than a mirror: what lies above what cannot be told
    units = {sensors[place].unit for pair in ordered for place in pair}
    return [dict(zip(("left", "right"), pair, strict=True)) for pair in ordered] if len(units) == 1 else []


def _with_word(word: str, sensors: Iterable[Sensor]) -> int | None:
    found = [(place, stem(sensor.name).split("_")) for place, sensor in enumerate(sensors)]
    having = [(place, words) for place, words in found if word in words]
    return min(having, key=lambda entry: ("mould" not in entry[1], entry[0]))[0] if having else None
