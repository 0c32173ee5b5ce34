"""Names out of foreign files, made fit for files, strands and sensors."""

import math
import re
from collections.abc import Iterable, Sequence

from models.errors import ManifestError, UsageError
from models.features import Sensor, check_units

_LONGEST = 60
# The other columns of a sequence's file.
_TAKEN = {"event_time_ms", "seq", "heat_id", "strand_position_m"}


def slug(text: str) -> str:
    """Lower-case letters, digits and dashes, 60 at most; `x` if nothing else is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:_LONGEST].strip("-") or "x"


def slugs(texts: Iterable[str]) -> dict[str, str]:
    """A slug for each text, a number added where two would have the same; their order decides which."""
    given: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        if text in given:
            continue
        wanted = name = slug(text)
        number = 2
        while name in taken:
            name, number = f"{wanted}-{number}", number + 1
        given[text] = name
        taken.add(name)
    return given


def sensor_name(text: str) -> str:
    """A column's name as a sensor's: lower-case letters, digits and underscores."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "x"


def check_sensors(sensors: Sequence[Sensor], where: str) -> None:
    """Refuse sensors that a dataset or a bundle could not hold.

    Raises:
        UsageError: none, a name twice or already in use, a range that is none, or a casting sensor in another unit.
    """
    if not sensors:
        raise UsageError(f"expected at least one sensor, got none at {where}")
    seen = set(_TAKEN)
    for sensor in sensors:
        if sensor.name in seen:
            raise UsageError(
                f"expected each sensor's name once and none of {', '.join(sorted(_TAKEN))}, "
                f"got `{sensor.name}` at {where}: rename it"
            )
        seen.add(sensor.name)
        if not (math.isfinite(sensor.low) and math.isfinite(sensor.high) and sensor.low < sensor.high):
            raise UsageError(f"expected low < high, got {sensor.low:g} and {sensor.high:g} at {where}, {sensor.name}")
    try:
        check_units(sensors)
    except ManifestError as error:
        raise UsageError(f"{error} of {where}") from None
