"""The mapping file of a long table: which column means what, in TOML.

    time = "timestamp"              # column of the time
    time_unit = "iso"               # or s, ms, us, ns since 1970; a Parquet column of timestamps needs none
    run = "heat"                    # column of the strand or run id: one sequence each
    sensors = [                     # `name` is made from the column if not given; what it can show: from low to high
      {column = "ML", name = "level_mm", unit = "mm", low = -60, high = 60},
    ]
    labels.sticker = "is_sticker"   # target = column of 0 and 1; or, instead of labels:
    events.file = "events.csv"      # beside the mapping file: one row an event, times as above, `end` not within
    events.run = "run"              # its columns; these four are the defaults
    events.target = "target"
    events.start = "start"
    events.end = "end"
    # optional
    group = "campaign"              # column: runs that must share a split
    split = "part"                  # column: train, validation or test, instead of dealing
    period_ms = 500                 # nominal time between two rows; the median step if not given
    delimiter = ";"                 # of a CSV: comma if not given, tab in *.tsv
    decimal = ","                   # of a CSV
    missing = ["-", "Bad"]          # of a CSV: cells that hold no value, besides empty ones and `nan`

Unknown keys are refused, so that a misspelt one is not lost without a word.
"""

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from models.errors import UsageError
from models.features import Sensor
from trainer.datasets.importers.cells import TimeUnit
from trainer.datasets.importers.names import check_sensors, sensor_name

Text = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]


class SensorColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sensor: its column, and what it is."""

    column: Text
    unit: Text
    low: float
    high: float
    name: Name | None = None

    def sensor(self) -> Sensor:
        """As the dataset has it."""
        return Sensor(self.name or sensor_name(self.column), self.unit, self.low, self.high)


class EventTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of events and its columns."""

    file: Text
    run: Text = "run"
    target: Text = "target"
    start: Text = "start"
    end: Text = "end"


class TableMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping file, see the module."""

    time: Text
    run: Text
    sensors: list[SensorColumn]
    time_unit: TimeUnit = "iso"
    group: Text | None = None
    split: Text | None = None
    period_ms: Annotated[int, Meta(ge=1)] | None = None
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    decimal: Annotated[str, Meta(pattern=r"^[.,]$")] = "."
    missing: list[str] = []
    labels: dict[Name, Text] = {}
    events: EventTable | None = None

    def columns(self) -> list[str]:
        """The table's columns that are read, each once."""
        wanted = [self.time, self.run, self.group, self.split, *(entry.column for entry in self.sensors)]
        return list(dict.fromkeys(column for column in [*wanted, *self.labels.values()] if column is not None))


def read_mapping(path: Path) -> TableMapping:
    """Read and check a mapping file.

    Raises:
        UsageError: no such file, no TOML, an unknown or missing key, or sensors that a dataset cannot hold.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        mapping = msgspec.convert(raw, TableMapping)
    except FileNotFoundError:
        raise UsageError(
            f"expected a mapping file, got no such file at {path}: see `trainer import table --help`"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"expected TOML, got something else ({error}) at {path}") from None
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at ")
        at = place.strip("`").removeprefix("$.") or "the top level"
        raise UsageError(f"{what[:1].lower()}{what[1:]} at {path}, {at}: see `trainer import table --help`") from None
    if bool(mapping.labels) == (mapping.events is not None):
        got = "both" if mapping.labels else "none"
        raise UsageError(f"expected either labels or events, got {got} at {path}")
    check_sensors([entry.sensor() for entry in mapping.sensors], f"{path}, sensors")
    return mapping
