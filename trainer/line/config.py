"""Every figure of the simulated line, with its unit, its allowed range and where it comes from.

Sources: a number in brackets is a publication listed at the end; `weak` is vendor or training material;
`computed` follows from the other figures; `assumed` has no source and waits for a caster engineer. A pair is
a range from which each strand, sequence or event draws its own value.

    [1]  Liu et al., Ironmaking & Steelmaking 2022, 10.1080/03019233.2022.2154952: 61 sticker breakouts
    [6]  10.1007/s42243-021-00729-5: slab casting speeds
    [7]  steellearning, continuous casting: superheat
    [13] 10.1007/s11663-023-02925-y: meniscus heat flux at the oscillation frequency
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Span = tuple[float, float]
Grade = Literal["ULC", "low-C", "peritectic", "medium-C"]


def parameter(default: float | Span, unit: str, low: float, high: float, source: str) -> Any:
    """A field with its unit, bounds and source as metadata (`json_schema_extra`)."""
    return Field(default=default, json_schema_extra={"unit": unit, "low": low, "high": high, "source": source})


class Section(BaseModel):
    """Base of the configuration's parts: frozen, no unknown names, every figure within its range."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def _within_range(self) -> Self:
        for name, field in type(self).model_fields.items():
            meta = field.json_schema_extra
            if not isinstance(meta, dict) or "low" not in meta:
                continue
            value = getattr(self, name)
            span = value if isinstance(value, tuple) else (value, value)
            low, high = meta["low"], meta["high"]
            if not low <= span[0] <= span[1] <= high:
                order = ", rising" if isinstance(value, tuple) else ""
                raise ValueError(f"expected {low} to {high} {meta['unit']}{order}, got {value} at {name}")
        return self


class Geometry(Section):
    """The mould and what is below it; heights z count from the meniscus downwards."""

    width_m: float = parameter(1.35, "m", 0.5, 3.0, "reference slab 230 x 1350 mm")
    thickness_m: float = parameter(0.23, "m", 0.1, 0.4, "reference slab 230 x 1350 mm")
    mould_exit_m: float = parameter(0.80, "m", 0.5, 1.2, "computed: 40 s of residence at 1.2 m/min")
    upper_row_m: float = parameter(0.10, "m", 0.03, 0.4, "computed from [1]: 0.70 m above the mould exit")
    row_spacing_m: float = parameter(0.12, "m", 0.05, 0.3, "assumed")
    column_m: float = parameter(0.30, "m", 0.05, 1.0, "assumed: columns at -0.30 and +0.30 m of the broad face")
    zone2_to_pyrometer_m: float = parameter(6.0, "m", 1.0, 25.0, "6 m is 5 min at 1.2 m/min; which zone: assumed")
    zone5_to_pyrometer_m: float = parameter(3.6, "m", 1.0, 25.0, "assumed: 3 min at 1.2 m/min")

    @property
    def lower_row_m(self) -> float:
        """Depth of the lower thermocouple row."""
        return self.upper_row_m + self.row_spacing_m


class Speed(Section):
    """Casting speed."""

    base_m_min: Span = parameter((1.0, 1.35), "m/min", 0.6, 2.5, "1.2 reference, 1.0 to 2.5 [6]")
    low_m_min: float = parameter(0.8, "m/min", 0.3, 2.5, "normal range 0.8 to 1.6, assumed")
    high_m_min: float = parameter(1.6, "m/min", 0.5, 2.5, "normal range 0.8 to 1.6, assumed")


class Tundish(Section):
    """Heats, weight and temperature of the tundish."""

    heat_min: Span = parameter((40.0, 75.0), "min", 15.0, 180.0, "a 200 t heat takes 72 min (computed)")
    weight_t: Span = parameter((40.0, 44.0), "t", 15.0, 70.0, "35 to 45 (weak)")
    weight_wander_t: float = parameter(0.6, "t", 0.0, 3.0, "assumed")
    change_fall_share: Span = parameter((0.20, 0.40), "1", 0.0, 0.6, "ladle change, assumed")
    change_min: Span = parameter((2.5, 5.0), "min", 1.0, 10.0, "assumed; agrees with 2.8 t/min cast meanwhile")
    refill_min: Span = parameter((4.0, 8.0), "min", 1.0, 20.0, "assumed")
    temperature_c: Span = parameter((1547.0, 1551.0), "°C", 1450.0, 1620.0, "1545 to 1555 (weak)")
    liquidus_c: dict[Grade, float] = {"ULC": 1528.0, "low-C": 1526.0, "peritectic": 1523.0, "medium-C": 1520.0}
    """Assumed, °C: with the temperatures above, superheats of 19 to 31 K; 15 to 35 K [7]."""
    change_fall_k: Span = parameter((3.0, 8.0), "K", 0.0, 20.0, "assumed")
    fresh_ladle_rise_k: float = parameter(5.0, "K", 0.0, 20.0, "assumed")
    temperature_wander_k: float = parameter(0.6, "K", 0.0, 5.0, "assumed")
    bath_m: float = parameter(1.0, "m", 0.3, 2.0, "assumed: steel depth at 45 t")
    sen_m: float = parameter(0.92, "m", 0.3, 2.0, "computed: +10 % stopper from 45 to 30 t")


class Level(Section):
    """Mould level, its controller, the stopper and the argon."""

    stopper_pct: Span = parameter((37.0, 43.0), "%", 10.0, 90.0, "35 to 60, assumed")
    gain_mm_s_pct: float = parameter(0.44, "mm/s per %", 0.05, 2.0, "computed: 20 mm/s at 45 %")
    loop_tau_s: Span = parameter((2.0, 4.0), "s", 0.5, 20.0, "closed loop 2 to 5 s, assumed")
    damping: float = parameter(0.8, "1", 0.3, 2.0, "assumed; of the loop without the stopper's own lag")
    stopper_lag_s: float = parameter(1.0, "s", 0.0, 3.0, "the stopper answers the level after 1 to 3 s")
    turbulence_mm: Span = parameter((0.5, 0.9), "mm", 0.0, 5.0, "with the noise: 0.6 to 1.2")
    turbulence_period_s: float = parameter(7.0, "s", 1.0, 60.0, "assumed")
    turbulence_decay_s: float = parameter(2.5, "s", 0.3, 30.0, "assumed")
    bulging_mm: Span = parameter((0.0, 0.4), "mm", 0.0, 5.0, "assumed: a quiet bulging, not the unsteady kind")
    roll_pitch_m: Span = parameter((0.2, 0.3), "m", 0.1, 0.6, "assumed")
    clogging_per_min: Span = parameter((0.0, 0.003), "1/min", 0.0, 0.02, "assumed; low, as v0 has no release")
    argon_nl_min: Span = parameter((4.0, 7.0), "NL/min", 0.0, 20.0, "3 to 8 (weak)")
    argon_wander_nl_min: float = parameter(0.15, "NL/min", 0.0, 2.0, "assumed")
    back_pressure_kpa: Span = parameter((35.0, 65.0), "kPa", 0.0, 150.0, "20 to 80, assumed")
    back_pressure_per_clogging_kpa: Span = parameter((-60.0, 60.0), "kPa", -200.0, 200.0, "drifts either way, assumed")


class Heat(Section):
    """Heat flux of the mould and its cooling water."""

    flux_mw_m2: Span = parameter((1.40, 1.60), "MW/m2", 1.0, 2.5, "q0 1.3 to 1.6; flux 1.2 to 2.0 (weak)")
    speed_exponent: float = parameter(0.5, "1", 0.0, 1.5, "assumed")
    superheat_per_k: float = parameter(0.002, "1/K", 0.0, 0.02, "assumed")
    peritectic_factor: Span = parameter((0.85, 0.95), "1", 0.5, 1.2, "assumed")
    wander_share: float = parameter(0.02, "1", 0.0, 0.2, "assumed")
    wander_tau_s: Span = parameter((60.0, 180.0), "s", 5.0, 1000.0, "assumed")
    face_ratio: Span = parameter((0.97, 1.03), "1", 0.7, 1.4, "assumed: loose over fixed face")
    speed_lag_s: Span = parameter((5.0, 15.0), "s", 0.0, 60.0, "speed shows after 5 to 30 s, with the TC's own lag")
    water_area_m2: float = parameter(1.08, "m2", 0.2, 5.0, "computed: 0.80 x 1.35; 6.0 K at 1.4 MW/m2, 3600 L/min")
    water_flow_l_min: Span = parameter((3600.0, 4200.0), "L/min", 500.0, 6000.0, "weak")
    water_wander_l_min: float = parameter(10.0, "L/min", 0.0, 200.0, "assumed")
    water_lag_s: float = parameter(5.0, "s", 0.0, 60.0, "assumed")


class Thermocouples(Section):
    """Four thermocouples of one broad face: a reduced view, real moulds carry 68 to several hundred."""

    water_c: Span = parameter((28.0, 33.0), "°C", 10.0, 50.0, "assumed")
    resistance_m2k_w: Span = parameter((6.0e-5, 7.2e-5), "m2K/W", 5e-5, 9e-5, "5 to 9e-5, assumed; normal range kept")
    resistance_spread: float = parameter(0.03, "1", 0.0, 0.3, "assumed: one thermocouple against another")
    upper_flux: float = parameter(1.3, "1", 0.5, 2.0, "local over mean flux, assumed")
    lower_flux: float = parameter(0.9, "1", 0.3, 2.0, "local over mean flux, assumed")
    lag_s: Span = parameter((2.0, 5.0), "s", 0.1, 20.0, "assumed")
    level_k_mm: Span = parameter((-1.5, -0.3), "K/mm", -5.0, 0.0, "assumed: upper row, both columns")
    ripple_upper_k: Span = parameter((1.0, 4.0), "K", 0.0, 20.0, "at the oscillation frequency [13], size assumed")
    ripple_lower_k: Span = parameter((0.3, 1.0), "K", 0.0, 20.0, "at the oscillation frequency [13], size assumed")
    drift_k: float = parameter(1.5, "K", 0.0, 20.0, "assumed")
    drift_tau_s: float = parameter(600.0, "s", 10.0, 10000.0, "assumed")
    noise_upper_k: Span = parameter((1.0, 2.5), "K", 0.0, 10.0, "assumed")
    noise_lower_k: Span = parameter((0.7, 1.5), "K", 0.0, 10.0, "assumed")


class Cooling(Section):
    """Secondary cooling and the pyrometer at the straightener."""

    zone2_l_min: Span = parameter((280.0, 320.0), "L/min", 50.0, 800.0, "at 1.2 m/min; 200 to 400, assumed")
    zone5_l_min: Span = parameter((160.0, 185.0), "L/min", 50.0, 800.0, "at 1.2 m/min; 100 to 250, assumed")
    wander_share: float = parameter(0.015, "1", 0.0, 0.2, "assumed")
    wander_tau_s: float = parameter(60.0, "s", 1.0, 1000.0, "assumed")
    lag_s: float = parameter(10.0, "s", 0.0, 120.0, "assumed")
    surface_c: Span = parameter((915.0, 945.0), "°C", 600.0, 1200.0, "880 to 980, assumed")
    surface_per_speed_k: float = parameter(150.0, "K per m/min", 0.0, 500.0, "assumed: before the zones follow")
    zone2_k_per_share: float = parameter(120.0, "K", 0.0, 1000.0, "assumed: -1.2 K for +1 % of the zone's flow")
    zone5_k_per_share: float = parameter(100.0, "K", 0.0, 1000.0, "assumed: -1.0 K for +1 % of the zone's flow")
    scale_per_hour: float = parameter(25.0, "1/h", 0.0, 500.0, "assumed")
    scale_k: Span = parameter((25.0, 90.0), "K", 0.0, 300.0, "assumed")
    scale_s: Span = parameter((1.0, 5.0), "s", 0.5, 60.0, "assumed")


class Oscillation(Section):
    """Mould oscillation and friction."""

    frequency_hz: Span = parameter((2.4, 2.6), "Hz", 1.0, 6.0, "at 1.2 m/min; 2.0 to 3.3 Hz (weak)")
    per_speed_hz: float = parameter(0.9, "Hz per m/min", 0.0, 3.0, "assumed")
    friction_kn: Span = parameter((3.5, 5.5), "kN", 0.5, 20.0, "at 1.2 m/min; 2 to 8 (weak)")
    friction_wander_kn: float = parameter(0.4, "kN", 0.0, 5.0, "assumed")
    friction_wander_tau_s: float = parameter(40.0, "s", 1.0, 1000.0, "assumed")


class Sticker(Section):
    """A sticker: the shell hangs on the mould, tears, and the tear moves down."""

    per_hour: float = parameter(1.0, "1/strand-hour", 0.0, 10.0, "assumed; oversampled from one in 100 to 300 h")
    amplitude_k: Span = parameter((15.0, 50.0), "K", 1.0, 150.0, "assumed")
    lower_share: Span = parameter((0.6, 0.9), "1", 0.0, 1.5, "assumed: lower over upper row")
    far_share: Span = parameter((0.6, 1.0), "1", 0.0, 1.5, "assumed: far over near column")
    beta: Span = parameter((0.3, 0.7), "1", 0.0, 1.5, "assumed: the fall below normal, as a share of the rise")
    width_s: Span = parameter((4.0, 8.0), "s", 0.5, 60.0, "assumed")
    dip_at: Span = parameter((2.0, 4.0), "width", 0.5, 10.0, "u1, assumed")
    dip_width: Span = parameter((1.0, 2.0), "width", 0.2, 5.0, "sigma2, assumed")
    speed_ratio: Span = parameter((0.3, 0.9), "1", 0.1, 2.0, "r = V_s / V, 0.3 to 2.4 m/min [1]")
    fast_share: float = parameter(0.05, "1", 0.0, 1.0, "assumed: these have r above 1")
    fast_ratio: Span = parameter((1.0, 1.4), "1", 0.5, 3.0, "assumed; keeps V_s below 2.4 m/min [1]")
    sideways_m_min: Span = parameter((1.0, 9.0), "m/min", 0.2, 30.0, "[1]")
    one_column_share: float = parameter(14 / 61, "1", 0.0, 1.0, "[1]: 14 of 61")
    friction_share: float = parameter(0.6, "1", 0.0, 1.0, "assumed")
    friction_kn: Span = parameter((1.0, 4.0), "kN", 0.0, 20.0, "assumed")
    healed_share: float = parameter(0.3, "1", 0.0, 1.0, "assumed")
    onset_at: float = parameter(-2.5, "width", -5.0, 0.0, "computed: 4 % of the upper row's rise has come")
    detectable_at: float = parameter(-1.0, "width", -3.0, 0.0, "computed: 61 % of the lower row's rise has come")
    ignore_s: float = parameter(60.0, "s", 0.0, 600.0, "assumed: after the pattern has gone")


class FilmFracture(Section):
    """A look-alike: the slag film breaks, the upper row rises and falls, nothing moves down."""

    per_hour: float = parameter(1.5, "1/strand-hour", 0.0, 10.0, "assumed")
    friction_share: float = parameter(0.2, "1", 0.0, 1.0, "assumed: friction alone must not tell")


class SpeedStep(Section):
    """A look-alike: the operator changes the speed, all thermocouples follow together."""

    per_hour: float = parameter(2.0, "1/strand-hour", 0.0, 10.0, "assumed")
    step_m_min: Span = parameter((0.1, 0.3), "m/min", 0.0, 1.0, "assumed, either way")
    ramp_s: Span = parameter((5.0, 30.0), "s", 0.5, 300.0, "assumed")
    settle_s: float = parameter(30.0, "s", 0.0, 300.0, "thermocouples follow within 5 to 30 s, assumed")


class Instruments(Section):
    """What the plant's acquisition adds: standard deviations of the noise as seen in the 2 Hz scan, and gaps."""

    level_mm: float = parameter(0.3, "mm", 0.0, 5.0, "with the turbulence: 0.6 to 1.2")
    speed_m_min: float = parameter(0.003, "m/min", 0.0, 0.1, "assumed")
    tundish_temp_k: float = parameter(1.0, "K", 0.0, 10.0, "assumed")
    tundish_weight_t: float = parameter(0.2, "t", 0.0, 5.0, "assumed")
    stopper_pct: float = parameter(0.4, "%", 0.0, 5.0, "assumed")
    argon_nl_min: float = parameter(0.1, "NL/min", 0.0, 2.0, "assumed")
    back_pressure_kpa: float = parameter(1.0, "kPa", 0.0, 20.0, "assumed")
    flux_mw_m2: float = parameter(0.02, "MW/m2", 0.0, 0.5, "assumed")
    water_flow_l_min: float = parameter(15.0, "L/min", 0.0, 200.0, "assumed")
    water_delta_k: float = parameter(0.05, "K", 0.0, 1.0, "assumed")
    friction_kn: float = parameter(0.5, "kN", 0.0, 5.0, "assumed")
    frequency_hz: float = parameter(0.005, "Hz", 0.0, 0.5, "assumed")
    zone_flow_share: float = parameter(0.01, "1", 0.0, 0.2, "assumed")
    surface_k: float = parameter(8.0, "K", 0.0, 50.0, "assumed")
    noise_tau_s: float = parameter(0.7, "s", 0.0, 30.0, "assumed: AR(1) of the thermocouples and the friction")
    missing_share: float = parameter(0.001, "1", 0.0, 0.5, "assumed: single values that did not arrive")


class LineConfig(Section):
    """The whole line. `version` names the set of figures and rules; a score is told with it."""

    version: Literal["line/v0"] = "line/v0"
    epoch_ms: int = parameter(1_767_571_200_000, "ms", 0, 4e12, "2026-01-05 00:00 UTC, arbitrary")
    period_ms: int = parameter(500, "ms", 100, 10_000, "2 Hz scan")
    step_ms: int = parameter(100, "ms", 10, 100, "10 Hz inside: the oscillation must not alias")
    cutoff_hz: float = parameter(0.8, "Hz", 0.05, 4.0, "anti-alias Butterworth filter, below half the scan rate")
    filter_order: int = parameter(4, "1", 1, 10, "computed: 60 dB down at 2 Hz, the slowest oscillation")
    sequence_s: float = parameter(3600.0, "s", 120.0, 200_000.0, "assumed: v0 keeps casting sequences short")
    pause_s: float = parameter(300.0, "s", 61.0, 100_000.0, "assumed: between two casting sequences")
    event_margin_s: float = parameter(150.0, "s", 0.0, 1000.0, "assumed: no event at the ends of a sequence")
    event_spacing_s: float = parameter(45.0, "s", 0.0, 1000.0, "assumed: v0 keeps events apart")
    geometry: Geometry = Geometry()
    speed: Speed = Speed()
    tundish: Tundish = Tundish()
    level: Level = Level()
    heat: Heat = Heat()
    thermocouples: Thermocouples = Thermocouples()
    cooling: Cooling = Cooling()
    oscillation: Oscillation = Oscillation()
    instruments: Instruments = Instruments()
    sticker: Sticker = Sticker()
    film_fracture: FilmFracture = FilmFracture()
    speed_step: SpeedStep = SpeedStep()
