"""What harms the steel, with how visible it is.

Each defect is tagged when it is drawn, by rule and before any model has seen the line: `summary` if statistics of
each channel over a window show it, `order` if it takes the order or the lag between channels, `partial` between. The
bands below are the rule; about a third of the events of each target fall into each (`tests/trainer/line`).
"""

from trainer.line.figures.base import Happening, Section, Span, natural, parameter, rate


class Bands(Section):
    """One figure by difficulty."""

    summary: Span
    partial: Span
    order: Span


class Shares(Section):
    """Probability of each difficulty."""

    summary: float = parameter(1 / 3, "1", 0.0, 1.0, "by design: a third each")
    partial: float = parameter(1 / 3, "1", 0.0, 1.0, "by design: a third each")
    order: float = parameter(1 / 3, "1", 0.0, 1.0, "by design: a third each")


class Sticker(Happening):
    """The shell hangs on the mould, tears, and the tear moves down. Target `sticker`."""

    per_hour: float = rate(0.6)
    natural_per_hour: float = natural(0.005, "assumed: one in 100 to 300 h")
    shares: Shares = Shares()
    amplitude_k: Bands = Bands(summary=(36.0, 50.0), partial=(24.0, 36.0), order=(15.0, 24.0))
    """15 to 50 K, assumed; the bands split it."""
    friction_share: Bands = Bands(summary=(1.0, 1.0), partial=(0.8, 0.8), order=(0.0, 0.0))
    """Friction shows it in about 60 % (assumed); by design never in those that only the lag tells."""
    friction_kn: Span = parameter((1.0, 4.0), "kN", 0.0, 20.0, "assumed")
    lower_share: Span = parameter((0.6, 0.9), "1", 0.0, 1.5, "assumed: a row over the one above it")
    far_share: Span = parameter((0.6, 1.0), "1", 0.0, 1.5, "assumed: far over near column")
    beta: Span = parameter((0.3, 0.7), "1", 0.0, 1.5, "assumed: the fall below normal, as a share of the rise")
    width_s: Span = parameter((4.0, 8.0), "s", 0.5, 60.0, "assumed")
    dip_at: Span = parameter((2.0, 4.0), "width", 0.5, 10.0, "u1, assumed")
    dip_width: Span = parameter((1.0, 2.0), "width", 0.2, 5.0, "sigma2, assumed; 1/beta for `order`, see `kernels`")
    speed_ratio: Span = parameter((0.3, 0.9), "1", 0.1, 2.0, "r = V_s / V, 0.3 to 2.4 m/min [1]")
    fast_share: float = parameter(0.05, "1", 0.0, 1.0, "assumed: these have r above 1")
    fast_ratio: Span = parameter((1.0, 1.4), "1", 0.5, 3.0, "assumed; keeps V_s below 2.4 m/min [1]")
    sideways_m_min: Span = parameter((1.0, 9.0), "m/min", 0.2, 30.0, "[1]")
    one_column_share: float = parameter(14 / 61, "1", 0.0, 1.0, "[1]: 14 of 61")
    healed_share: float = parameter(0.3, "1", 0.0, 1.0, "assumed")
    onset_at: float = parameter(-2.5, "width", -5.0, 0.0, "computed: 4 % of the upper row's rise has come")
    detectable_at: float = parameter(-1.0, "width", -3.0, 0.0, "computed: 61 % of the lower row's rise has come")
    ignore_s: float = parameter(60.0, "s", 0.0, 600.0, "assumed: after the pattern has gone")


class Depression(Happening):
    """Dips of local heat transfer that travel with the strand; some become longitudinal cracks. Target `quality`."""

    per_hour: float = rate(1.0)
    natural_per_hour: float = natural(0.10, "computed: 0.5 to 3 % of slabs (assumed), seven pieces an hour")
    shares: Shares = Shares(summary=0.10, partial=0.45, order=0.45)
    """By design: with the other defects of the target, a third each."""
    depth_k: Bands = Bands(summary=(18.0, 25.0), partial=(12.0, 18.0), order=(8.0, 12.0))
    """8 to 25 K, assumed; the bands split it."""
    flux_fall_share: Bands = Bands(summary=(0.07, 0.10), partial=(0.04, 0.07), order=(0.03, 0.04))
    """3 to 10 %, assumed; the bands split it."""
    train_s: Bands = Bands(summary=(60.0, 300.0), partial=(40.0, 240.0), order=(30.0, 70.0))
    """Dips repeat for 0.5 to 5 min, assumed."""
    dip_s: Span = parameter((5.0, 15.0), "s", 1.0, 60.0, "assumed: width at half depth")
    every_s: Span = parameter((15.0, 30.0), "s", 5.0, 120.0, "assumed: from dip to dip")
    lower_share: Span = parameter((0.6, 0.9), "1", 0.0, 1.5, "assumed")
    far_share: Span = parameter((0.0, 0.3), "1", 0.0, 1.5, "assumed: it runs along one line of the strand")
    swing_before_s: Span = parameter((10.0, 60.0), "s", 0.0, 300.0, "assumed")
    swing_mm_s: Span = parameter((1.0, 2.5), "mm/s", 0.0, 20.0, "assumed: push on the level, for two swings of 6 s")
    peritectic_factor: float = parameter(4.0, "1", 1.0, 20.0, "assumed: 3 to 5 times as often")
    crack_depth_k: float = parameter(18.0, "K", 1.0, 100.0, "assumed: half of such depth crack")
    crack_slope_k: float = parameter(4.0, "K", 0.1, 100.0, "assumed: of the logistic curve")
    crack_peritectic_k: float = parameter(4.0, "K", 0.0, 100.0, "assumed: as if so much deeper")
    crack_imbalance_k: float = parameter(100.0, "K", 0.0, 1000.0, "assumed: per share of loose over fixed flux")


class ClogRelease(Happening):
    """Deposits leave the nozzle at once: the level surges and takes slag down. Target `quality`.

    Its rate is that of a nozzle closed to `usual_closed`; an open one lets go more seldom, a closed one more often.
    """

    per_hour: float = rate(0.36)
    natural_per_hour: float = natural(0.03)
    usual_closed: float = parameter(0.24, "1", 0.0, 1.0, "computed: the rate comes out as configured")
    steepness: float = parameter(12.0, "1", 0.0, 100.0, "b of lambda0*exp(b(1-C)), assumed")
    jump: Span = parameter((0.05, 0.20), "1", 0.0, 0.5, "assumed")
    summary_from: float = parameter(0.15, "1", 0.0, 1.0, "by design: a third of the jumps")
    partial_from: float = parameter(0.10, "1", 0.0, 1.0, "by design: a third of the jumps")
    detectable_s: float = parameter(2.0, "s", 0.0, 30.0, "computed: the stopper has begun to answer")
    ignore_s: float = parameter(60.0, "s", 0.0, 600.0, "assumed")
    slag_base: float = parameter(0.2, "1", 0.0, 10.0, "lambda0 of the slag hazard over one release, assumed")
    slag_per_mm_s: float = parameter(0.5, "s/mm", 0.0, 10.0, "a of exp(a*max(|dL/dt|-1, 0)), assumed")


class TransverseCrack(Happening):
    """A zone sprays too much: cold surface at the straightener, deep oscillation marks. Target `quality`."""

    per_hour: float = rate(0.15)
    natural_per_hour: float = natural(0.01)
    flow_share: Span = parameter((0.40, 0.70), "1", 0.0, 2.0, "assumed: surface below 900 °C [22] once it arrives")
    slow_hz: Span = parameter((0.2, 0.4), "Hz", 0.0, 2.0, "assumed: slower oscillation, longer negative strip")
    lasts_s: Span = parameter((360.0, 720.0), "s", 60.0, 7200.0, "assumed")
    ramp_s: float = parameter(20.0, "s", 1.0, 300.0, "assumed")
    ignore_s: float = parameter(120.0, "s", 0.0, 1000.0, "assumed")


class ShellThinning(Happening):
    """The mould takes less heat for minutes, at high speed and superheat. Target `quality`."""

    per_hour: float = rate(0.15)
    natural_per_hour: float = natural(0.01)
    flux_fall_share: Span = parameter((0.10, 0.25), "1", 0.0, 0.8, "assumed")
    fall_s: Span = parameter((120.0, 600.0), "s", 30.0, 3600.0, "2 to 10 min, assumed")
    back_s: float = parameter(120.0, "s", 5.0, 1000.0, "assumed")
    faster_m_min: Span = parameter((0.05, 0.15), "m/min", 0.0, 1.0, "assumed")
    hotter_k: Span = parameter((3.0, 8.0), "K", 0.0, 40.0, "assumed")
    detectable_share: float = parameter(0.07, "1", 0.0, 1.0, "assumed: three of the flux's own sigmas")
    ignore_s: float = parameter(180.0, "s", 0.0, 1000.0, "assumed")


class Segregation(Happening):
    """Superheat above 35 K for ten minutes. Target `quality`; needs no temporal model."""

    per_hour: float = rate(0.06)
    natural_per_hour: float = natural(0.01)
    superheat_k: Span = parameter((37.0, 42.0), "K", 30.0, 80.0, "above 35 K, assumed")
    ramp_s: float = parameter(180.0, "s", 10.0, 1000.0, "assumed")
    lasts_s: Span = parameter((600.0, 900.0), "s", 60.0, 7200.0, "10 min, assumed")
    ignore_s: float = parameter(120.0, "s", 0.0, 1000.0, "assumed")


class InternalCrack(Happening):
    """A zone sprays 15 % less for five minutes. Target `quality`; needs no temporal model."""

    per_hour: float = rate(0.06)
    natural_per_hour: float = natural(0.01)
    flow_fall_share: Span = parameter((0.15, 0.30), "1", 0.0, 0.9, "15 %, assumed")
    ramp_s: float = parameter(10.0, "s", 1.0, 300.0, "assumed")
    lasts_s: Span = parameter((340.0, 600.0), "s", 60.0, 7200.0, "5 min below 15 % once the zone has followed")
    detectable_s: float = parameter(60.0, "s", 0.0, 600.0, "assumed: longer than a hiccup of the valve")
    ignore_s: float = parameter(120.0, "s", 0.0, 1000.0, "assumed")
