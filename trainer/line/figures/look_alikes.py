"""What looks like a defect and must not alarm. All figures are assumed unless marked."""

from trainer.line.figures.base import Happening, Span, natural, parameter, rate


class FilmFracture(Happening):
    """The slag film breaks: the upper row rises and falls as in a sticker, nothing moves down."""

    per_hour: float = rate(0.5)
    natural_per_hour: float = natural(0.1)
    amplitude_k: Span = parameter((15.0, 50.0), "K", 1.0, 150.0, "as stickers, so that one thermocouple tells nothing")
    friction_share: float = parameter(0.2, "1", 0.0, 1.0, "assumed: friction alone must not tell")


class FilmPatch(Happening):
    """A patch of slag film moves with the strand: rise and fall in all rows, lag ratio near 1.

    One more comes with every sticker of difficulty `order`, matched to it: the same traces, another lag.
    """

    per_hour: float = rate(0.2)
    natural_per_hour: float = natural(0.05)
    amplitude_k: Span = parameter((15.0, 36.0), "K", 1.0, 150.0, "assumed: thinner than a sticker's strongest")
    speed_ratio: Span = parameter((0.97, 1.03), "1", 0.5, 1.5, "lag ratio near 1")


class LocalDips(Happening):
    """Dips in both rows that do not travel: each row for itself.

    One comes with every depression of difficulty `order`, matched to it: the same traces, the lower row's in reverse.
    """

    per_hour: float = rate(0.0)
    natural_per_hour: float = natural(0.0)


class SpeedStep(Happening):
    """The operator changes the speed, all thermocouples follow together."""

    per_hour: float = rate(1.0)
    natural_per_hour: float = natural(0.5)
    step_m_min: Span = parameter((0.1, 0.3), "m/min", 0.0, 1.0, "assumed, either way")
    ramp_s: Span = parameter((5.0, 30.0), "s", 0.5, 300.0, "assumed")
    settle_s: float = parameter(30.0, "s", 0.0, 300.0, "thermocouples follow within 5 to 30 s, assumed")


class SenChange(Happening):
    """The nozzle is exchanged: the level jumps, argon steps, the speed dips."""

    per_hour: float = rate(0.12)
    natural_per_hour: float = natural(0.1)
    level_mm: Span = parameter((8.0, 15.0), "mm", 0.0, 50.0, "assumed, either way")
    argon_nl_min: Span = parameter((0.5, 1.5), "NL/min", 0.0, 10.0, "assumed, either way")
    dip_m_min: Span = parameter((0.2, 0.4), "m/min", 0.0, 1.0, "assumed")
    dip_s: Span = parameter((40.0, 90.0), "s", 5.0, 600.0, "assumed")


class LevelRetuning(Happening):
    """Somebody tries other parameters of the level controller: the level's spectrum changes."""

    per_hour: float = rate(0.2)
    natural_per_hour: float = natural(0.02)
    proportional: Span = parameter((1.2, 1.6), "1", 0.2, 5.0, "assumed: factor")
    integral: Span = parameter((2.0, 3.0), "1", 0.2, 10.0, "assumed: factor")
    lasts_s: Span = parameter((120.0, 420.0), "s", 30.0, 3600.0, "assumed")


class UnsteadyBulging(Happening):
    """The shell bulges between the rolls and pumps the level at V / pitch, near 0.08 Hz."""

    per_hour: float = rate(0.25)
    natural_per_hour: float = natural(0.05)
    amplitude_mm: Span = parameter((2.0, 4.0), "mm", 0.0, 20.0, "assumed: without a controller")
    lasts_s: Span = parameter((120.0, 420.0), "s", 30.0, 3600.0, "assumed")
    ramp_s: float = parameter(30.0, "s", 1.0, 300.0, "assumed")


class PowderChange(Happening):
    """Another mould powder: all fluxes move by 5 to 10 % within minutes."""

    per_hour: float = rate(0.2)
    natural_per_hour: float = natural(0.05)
    flux_share: Span = parameter((0.05, 0.10), "1", 0.0, 0.5, "assumed, either way")
    ramp_s: Span = parameter((60.0, 180.0), "s", 10.0, 1000.0, "1 to 3 min, assumed")
    lasts_s: Span = parameter((120.0, 420.0), "s", 0.0, 7200.0, "assumed")


class ThermocoupleFault(Happening):
    """One thermocouple lies: a step to 0 or 300 °C, a drift, a contact that comes and goes."""

    per_hour: float = rate(0.3)
    natural_per_hour: float = natural(0.02)
    lasts_s: Span = parameter((60.0, 300.0), "s", 5.0, 7200.0, "assumed")
    drift_k: Span = parameter((15.0, 40.0), "K", 0.0, 200.0, "assumed, either way")
    loss_share: Span = parameter((0.3, 0.9), "1", 0.0, 1.0, "assumed: towards the water's temperature")
    loss_s: Span = parameter((2.0, 12.0), "s", 0.2, 120.0, "assumed: one loss of contact")


class LevelGlitch(Happening):
    """The level sensor jumps *before* the stopper reacts; the stopper then moves the real level."""

    per_hour: float = rate(0.3)
    natural_per_hour: float = natural(0.05)
    jump_mm: Span = parameter((3.0, 9.0), "mm", 0.0, 50.0, "assumed, either way")
    lasts_s: Span = parameter((2.0, 15.0), "s", 0.2, 120.0, "assumed")
