"""Where the thermocouples of the broad face sit, and what they are called."""

from dataclasses import dataclass

from models.features import CASTING_SENSORS, Sensor
from trainer.datasets.records import Symmetry
from trainer.line.config import LineConfig

_REFERENCE = {(0, 0): "upper_left", (0, 1): "upper_right", (1, 0): "lower_left", (1, 1): "lower_right"}
_IS_TC = [sensor.name.startswith("mould_tc_") for sensor in CASTING_SENSORS]
_FIRST_TC = _IS_TC.index(True)


@dataclass(frozen=True, slots=True)
class MouldArray:
    """Rows of thermocouples, counted row by row from the upper left.

    Attributes:
        rows_m: depth of each row below the meniscus, metres.
        columns_m: place of each column across the face, metres from its middle.
    """

    rows_m: tuple[float, ...]
    columns_m: tuple[float, ...]

    @classmethod
    def of(cls, config: LineConfig) -> "MouldArray":
        """The array of a configuration: columns evenly spread, at most to 0.1 m from the corners."""
        geometry, rows, columns = config.geometry, config.thermocouples.rows, config.thermocouples.columns
        spacing_m = geometry.column_spacing_m
        if columns > 1:
            spacing_m = min(spacing_m, (geometry.width_m - 0.2) / (columns - 1))
        return cls(
            tuple(geometry.upper_row_m + row * geometry.row_spacing_m for row in range(rows)),
            tuple((column - (columns - 1) / 2) * spacing_m for column in range(columns)),
        )

    @property
    def count(self) -> int:
        """Number of thermocouples."""
        return len(self.rows_m) * len(self.columns_m)

    def row(self, index: int) -> int:
        """The row of a thermocouple, 0 at the top."""
        return index // len(self.columns_m)

    def column(self, index: int) -> int:
        """The column of a thermocouple, 0 at the left."""
        return index % len(self.columns_m)

    @property
    def names(self) -> tuple[str, ...]:
        """Sensor names in their order; two rows of two have the reference strand's."""
        pairs = [(self.row(index), self.column(index)) for index in range(self.count)]
        if set(pairs) == set(_REFERENCE):
            return tuple(f"mould_tc_{_REFERENCE[pair]}_c" for pair in pairs)
        return tuple(f"mould_tc_row{row + 1}_column{column + 1}_c" for row, column in pairs)

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """All sensors of the strand: the reference ones with this array in the place of theirs."""
        like = CASTING_SENSORS[_FIRST_TC]
        ours = tuple(Sensor(name, like.unit, like.low, like.high) for name in self.names)
        others = [sensor for sensor, is_tc in zip(CASTING_SENSORS, _IS_TC, strict=True) if not is_tc]
        return (*others[:_FIRST_TC], *ours, *others[_FIRST_TC:])

    @property
    def symmetries(self) -> tuple[Symmetry, ...]:
        """Left and right of the face may change places: nothing in the model prefers a side.

        A shift along a row is none, however many columns there are. What moves beyond the last column would come in
        again at the first, and a tear that spreads from column to column would reach both ends before the middle: no
        scan of this line. Only with two columns is there nothing to tear apart, and there the shift is the mirror.
        """
        last = len(self.columns_m) - 1
        names = self.names
        mirror = tuple(
            (names[index], names[index + last - 2 * self.column(index)])
            for index in range(self.count)
            if self.column(index) < last - self.column(index)
        )
        return (mirror,) if mirror else ()
