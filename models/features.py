"""The sensors of a strand, as data.

A bundle lists the sensors its model reads; nothing else in the code knows a sensor by name. The
twenty below are the reference slab strand's. Their `low` and `high` bound what the *instrument* can
plausibly show, wider than normal operation (normal ranges: mould level ±3 mm, alarm at ±8 mm;
thermocouples 95 to 190 °C; straightener surface 880 to 980 °C): they serve plots and checks, and
nothing is clipped to them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from models.errors import ManifestError, mismatch


@dataclass(frozen=True, slots=True)
class Sensor:
    """One measured channel of a strand.

    Attributes:
        name: tag, lower case, ends in its unit (`mould_level_mm`).
        unit: engineering unit, UCUM-like spelling.
        low: lowest value the instrument plausibly shows, in `unit`.
        high: highest value the instrument plausibly shows, in `unit`.
    """

    name: str
    unit: str
    low: float
    high: float


CASTING_SENSORS: tuple[Sensor, ...] = (
    Sensor("mould_level_mm", "mm", -60.0, 60.0),
    Sensor("casting_speed_m_min", "m/min", 0.0, 3.0),
    Sensor("tundish_temp_c", "°C", 1480.0, 1620.0),
    Sensor("tundish_weight_t", "t", 0.0, 70.0),
    Sensor("stopper_position_pct", "%", 0.0, 100.0),
    Sensor("sen_argon_flow_nl_min", "NL/min", 0.0, 20.0),
    Sensor("sen_argon_back_pressure_kpa", "kPa", -20.0, 200.0),
    Sensor("mould_heat_flux_broad_loose_mw_m2", "MW/m²", 0.0, 4.0),
    Sensor("mould_heat_flux_broad_fixed_mw_m2", "MW/m²", 0.0, 4.0),
    Sensor("mould_water_flow_l_min", "L/min", 0.0, 6000.0),
    Sensor("mould_water_delta_t_k", "K", 0.0, 20.0),
    Sensor("mould_tc_upper_left_c", "°C", 0.0, 400.0),
    Sensor("mould_tc_upper_right_c", "°C", 0.0, 400.0),
    Sensor("mould_tc_lower_left_c", "°C", 0.0, 400.0),
    Sensor("mould_tc_lower_right_c", "°C", 0.0, 400.0),
    Sensor("mould_friction_kn", "kN", -5.0, 40.0),
    Sensor("oscillation_frequency_hz", "Hz", 0.0, 5.0),
    Sensor("sec_cool_zone2_flow_l_min", "L/min", 0.0, 800.0),
    Sensor("sec_cool_zone5_flow_l_min", "L/min", 0.0, 800.0),
    Sensor("strand_surface_temp_c", "°C", 500.0, 1300.0),
)

# The spelling of a unit at the end of a name; longest first, so that `_l_min` wins over `_min`.
_UNIT_SUFFIXES = (
    "_nl_min", "_mw_m2", "_m_min", "_l_min", "_m_s", "_kpa", "_pct", "_kn",
    "_hz", "_mm", "_cm", "_bar", "_kg", "_mpa", "_m", "_c", "_k", "_f", "_t",
)  # fmt: skip


def stem(name: str) -> str:
    """The name without its unit: `mould_level` of `mould_level_mm`."""
    for suffix in _UNIT_SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


_BY_NAME = {sensor.name: sensor for sensor in CASTING_SENSORS}
_BY_STEM = {stem(sensor.name): sensor for sensor in CASTING_SENSORS}


def check_units(sensors: Iterable[Sensor]) -> None:
    """Refuse a known quantity in a unit other than the one scans carry it in.

    A model trained on centimetres reads millimetres without any complaint and is wrong by ten; so a
    name or unit that contradicts the reference list is an error. Unknown quantities are free.

    Raises:
        ManifestError: names the expected sensor or unit, the one found, and its place.
    """
    for index, sensor in enumerate(sensors):
        known = _BY_NAME.get(sensor.name) or _BY_STEM.get(stem(sensor.name))
        if known is None:
            continue
        if sensor.name != known.name:
            raise ManifestError(mismatch(f"sensor `{known.name}`", f"`{sensor.name}`", f"sensors[{index}].name"))
        if sensor.unit != known.unit:
            raise ManifestError(
                mismatch(f"unit `{known.unit}` of `{known.name}`", f"`{sensor.unit}`", f"sensors[{index}].unit")
            )
