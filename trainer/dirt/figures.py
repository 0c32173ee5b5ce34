"""Every figure of the plant's dirt, with its unit, its allowed range and where it comes from.

Nothing here was measured on a plant: `expected` is what is to be expected of plant data by experience, `assumed`
waits for an engineer of the plant. A pair is a range from which each case draws its own value. A rate of 0 turns a
kind off; the others stay as they were, since each kind has random numbers of its own.
"""

import math
from collections.abc import Iterable
from typing import Literal, get_args

from models.errors import UsageError
from trainer.line.config import Section, Span, parameter

ValueKind = Literal["drift", "stuck", "missing_sensor", "drop_out", "quality"]
ArrivalKind = Literal["gap", "clock_skew", "backfill", "late", "duplicate", "rubbish"]
Kind = ValueKind | ArrivalKind

VALUE_KINDS: tuple[ValueKind, ...] = get_args(ValueKind)
"""What a scan holds, in the order in which it happens to a value."""
ARRIVAL_KINDS: tuple[ArrivalKind, ...] = get_args(ArrivalKind)
"""When and how a scan comes, in the order in which it happens to a scan."""
KINDS: tuple[Kind, ...] = (*VALUE_KINDS, *ARRIVAL_KINDS)

PER_HOUR = "in a strand-hour"
OF_SCANS = "of the scans"
OF_VALUES = "of the values"


class Drift(Section):
    """A sensor's value runs away steadily, until somebody calibrates it."""

    rate: float = parameter(0.05, PER_HOUR, 0.0, 100.0, "assumed")
    duration_min: Span = parameter((20.0, 240.0), "min", 0.1, 1440.0, "assumed")
    size_sd: Span = parameter((2.0, 8.0), "sd", 0.1, 100.0, "assumed: in standard deviations of the sensor")


class Stuck(Section):
    """A sensor shows one value and keeps showing it."""

    rate: float = parameter(0.05, PER_HOUR, 0.0, 100.0, "assumed")
    duration_min: Span = parameter((1.0, 60.0), "min", 0.1, 1440.0, "assumed")


class MissingSensor(Section):
    """A sensor is not in the scans at all: unplugged, unmapped, its card in repair."""

    rate: float = parameter(0.05, PER_HOUR, 0.0, 100.0, "assumed")
    duration_min: Span = parameter((5.0, 240.0), "min", 0.1, 1440.0, "minutes or hours, assumed")


class DropOut(Section):
    """A value is null for a scan or a few."""

    rate: float = parameter(0.0005, OF_VALUES, 0.0, 0.5, "assumed")
    scans: Span = parameter((1.0, 5.0), "scans", 1.0, 1000.0, "assumed")


class QualityFlags(Section):
    """A value is flagged: `uncertain` and right, or `bad` and wrong (a reader takes it as missing)."""

    rate: float = parameter(0.001, OF_VALUES, 0.0, 0.5, "assumed")
    scans: Span = parameter((1.0, 20.0), "scans", 1.0, 1000.0, "assumed")
    bad_share: float = parameter(0.5, "1", 0.0, 1.0, "assumed; the rest is uncertain")
    zero_share: float = parameter(0.5, "1", 0.0, 1.0, "assumed: bad values that read 0; the rest are off the scale")
    off_sd: float = parameter(20.0, "sd", 1.0, 1000.0, "assumed: how far off the scale")


class Gap(Section):
    """Scans are lost: nothing was reported, or nobody kept it."""

    rate: float = parameter(0.5, PER_HOUR, 0.0, 100.0, "report by exception, expected; how often: assumed")
    duration_s: Span = parameter((10.0, 300.0), "s", 0.1, 86_400.0, "assumed: mostly more than a window bears")


class ClockSkew(Section):
    """The clock that stamps a strand's scans is wrong, and is set anew by a step, forwards or backwards."""

    rate: float = parameter(0.5, PER_HOUR, 0.0, 100.0, "assumed: steps of the clock")
    offset_s: Span = parameter((-2.0, 2.0), "s", -3600.0, 3600.0, "at most 2 s, expected")


class Backfill(Section):
    """The link is down; what was scanned meanwhile is kept and sent when it is up again, in one of three ways.

    In order: one queue, live scans wait behind the kept ones; no reader loses anything. Beside: a historian sends
    live scans first and trickles the kept ones between them; all of those are late. Dumped: live scans first, then
    the kept ones in one go; the tenth late scan in a row sets a reader's window back.
    """

    rate: float = parameter(0.25, PER_HOUR, 0.0, 100.0, "assumed")
    outage_s: Span = parameter((60.0, 600.0), "s", 1.0, 86_400.0, "1 to 10 min, expected")
    in_order_share: float = parameter(0.6, "1", 0.0, 1.0, "assumed")
    beside_share: float = parameter(0.25, "1", 0.0, 1.0, "assumed; what is left is dumped")
    wait_s: Span = parameter((2.0, 30.0), "s", 0.0, 3600.0, "assumed: live scans before the first kept one")
    burst_speed: Span = parameter(
        (100.0, 1000.0), "x", 10.0, 1e6, "assumed: scans in the time of one; in order, dumped"
    )
    beside_speed: Span = parameter((1.0, 8.0), "x", 0.1, 8.9, "assumed; below ten late scans in a row")


class Late(Section):
    """A scan comes after newer ones."""

    rate: float = parameter(0.005, OF_SCANS, 0.0, 0.5, "0.1 to 1 %, expected")
    delay_s: Span = parameter((1.0, 30.0), "s", 0.001, 3600.0, "1 to 30 s, expected")


class Duplicate(Section):
    """A scan comes again: a retry, or a second gateway that read a little later."""

    rate: float = parameter(0.003, OF_SCANS, 0.0, 0.5, "0.1 to 0.5 %, expected")
    delay_s: Span = parameter((0.0, 0.4), "s", 0.0, 3600.0, "assumed: before the next scan at 2 Hz")
    altered_share: float = parameter(0.2, "1", 0.0, 1.0, "assumed: of the duplicates, those with other values")
    altered_sd: float = parameter(0.1, "sd", 0.0, 10.0, "assumed: how much they differ")


class Rubbish(Section):
    """A scan's record comes mutilated: cut, of wrong types, empty, null, or no text at all."""

    rate: float = parameter(0.0005, OF_SCANS, 0.0, 0.5, "assumed")


class Dirt(Section):
    """All kinds of dirt, by default as much of each as is to be expected of a plant."""

    drift: Drift = Drift()
    stuck: Stuck = Stuck()
    missing_sensor: MissingSensor = MissingSensor()
    drop_out: DropOut = DropOut()
    quality: QualityFlags = QualityFlags()
    gap: Gap = Gap()
    clock_skew: ClockSkew = ClockSkew()
    backfill: Backfill = Backfill()
    late: Late = Late()
    duplicate: Duplicate = Duplicate()
    rubbish: Rubbish = Rubbish()


def choose_dirt(choices: Iterable[str], place: str = "--dirt") -> Dirt:
    """Only the kinds that are named: `all`, `KIND` (at its default rate) or `KIND=RATE`; no choice is no dirt.

    `all` comes first wherever it stands, so that `all` and `late=0` together are all but late scans.

    Args:
        choices: as a user writes them.
        place: where the user wrote them, for the error.

    Raises:
        UsageError: no such kind, or a rate that is no number or out of range.
    """
    choices, defaults = list(choices), Dirt()
    rates = {kind: getattr(defaults, kind).rate if "all" in choices else 0.0 for kind in KINDS}
    for choice in choices:
        kind, equals, number = choice.partition("=")
        if kind in rates:
            rates[kind] = _rate(kind, number, choice, place) if equals else getattr(defaults, kind).rate
        elif choice != "all":
            named = ", ".join(KINDS)
            raise UsageError(f"expected all, KIND or KIND=RATE with a KIND of {named}, got `{choice}` at {place}")
    return Dirt.model_validate({kind: {"rate": rate} for kind, rate in rates.items()})


def _rate(kind: str, number: str, choice: str, place: str) -> float:
    meta = type(getattr(Dirt(), kind)).model_fields["rate"].json_schema_extra
    try:
        rate = float(number)
    except ValueError:
        rate = math.nan
    if not meta["low"] <= rate <= meta["high"]:
        unit = f"{meta['low']:g} to {meta['high']:g} {meta['unit']}"
        raise UsageError(f"expected a rate of {unit}, got `{choice}` at {place}")
    return rate
