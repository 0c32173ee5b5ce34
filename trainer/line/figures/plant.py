"""The caster in normal operation: geometry, rooms in the order of the steel, instruments."""

from pydantic import Field

from trainer.line.figures.base import Grade, Section, Span, parameter


class Geometry(Section):
    """The mould and what is below it; heights z count from the meniscus downwards."""

    width_m: float = parameter(1.35, "m", 0.5, 3.0, "reference slab 230 x 1350 mm")
    thickness_m: float = parameter(0.23, "m", 0.1, 0.4, "reference slab 230 x 1350 mm")
    mould_exit_m: float = parameter(0.80, "m", 0.5, 1.2, "computed: 40 s of residence at 1.2 m/min")
    upper_row_m: float = parameter(0.10, "m", 0.03, 0.4, "computed from [1]: 0.70 m above the mould exit")
    row_spacing_m: float = parameter(0.12, "m", 0.05, 0.3, "assumed")
    column_spacing_m: float = parameter(0.60, "m", 0.05, 2.0, "assumed: two columns at -0.30 and +0.30 m")
    zone2_to_pyrometer_m: float = parameter(6.0, "m", 1.0, 25.0, "6 m is 5 min at 1.2 m/min; which zone: assumed")
    zone5_to_pyrometer_m: float = parameter(4.8, "m", 1.0, 25.0, "4 min at 1.2 m/min, assumed; 3 to 8 min at any")
    piece_m: float = parameter(10.0, "m", 2.0, 40.0, "assumed: length of a cut piece")


class Speed(Section):
    """Casting speed, with the ramps at the start and the end of a sequence."""

    base_m_min: Span = parameter((1.0, 1.35), "m/min", 0.6, 2.5, "1.2 reference, 1.0 to 2.5 [6]")
    low_m_min: float = parameter(0.8, "m/min", 0.3, 2.5, "normal range 0.8 to 1.6, assumed")
    high_m_min: float = parameter(1.6, "m/min", 0.5, 2.5, "normal range 0.8 to 1.6, assumed")
    start_m_min: Span = parameter((0.4, 0.6), "m/min", 0.1, 2.5, "assumed: first scan of a sequence")
    start_ramp_min: Span = parameter((3.0, 6.0), "min", 0.5, 30.0, "assumed")
    end_m_min: Span = parameter((0.6, 0.8), "m/min", 0.1, 2.5, "assumed: last scan of a sequence")
    end_ramp_min: Span = parameter((3.0, 5.0), "min", 0.5, 30.0, "assumed")


class Tundish(Section):
    """Heats, weight and temperature of the tundish."""

    heat_min: Span = parameter((40.0, 75.0), "min", 15.0, 180.0, "a 200 t heat takes 72 min (computed)")
    weight_t: Span = parameter((40.0, 44.0), "t", 15.0, 70.0, "35 to 45 (weak)")
    weight_wander_t: float = parameter(0.6, "t", 0.0, 3.0, "assumed")
    change_fall_share: Span = parameter((0.20, 0.40), "1", 0.0, 0.6, "ladle change, assumed")
    cast_t_min: float = parameter(2.8, "t/min", 0.5, 20.0, "computed: 230 x 1350 mm at 1.2 m/min, 7.4 t/m3")
    refill_min: Span = parameter((4.0, 8.0), "min", 1.0, 20.0, "assumed")
    temperature_c: Span = parameter((1547.0, 1551.0), "°C", 1450.0, 1620.0, "1545 to 1555 (weak)")
    liquidus_c: dict[Grade, float] = Field(
        default={"ULC": 1528.0, "low-C": 1526.0, "peritectic": 1523.0, "medium-C": 1520.0}
    )
    """Assumed, °C: with the temperatures above, superheats of 19 to 31 K; 15 to 35 K [7]."""
    change_fall_k: Span = parameter((3.0, 8.0), "K", 0.0, 20.0, "assumed")
    fresh_ladle_rise_k: float = parameter(5.0, "K", 0.0, 20.0, "assumed")
    temperature_wander_k: float = parameter(0.6, "K", 0.0, 5.0, "assumed")
    bath_m: float = parameter(1.0, "m", 0.3, 2.0, "assumed: steel depth at 45 t")
    sen_m: float = parameter(0.92, "m", 0.3, 2.0, "computed: +10 % stopper from 45 to 30 t")


class Level(Section):
    """Mould level, its controller, the stopper, the nozzle's clogging and the argon."""

    stopper_pct: Span = parameter((37.0, 43.0), "%", 10.0, 90.0, "35 to 60, assumed")
    loop_tau_s: Span = parameter((2.0, 4.0), "s", 0.5, 20.0, "closed loop 2 to 5 s, assumed")
    damping: float = parameter(0.8, "1", 0.3, 2.0, "assumed; of the loop without the stopper's own lag")
    stopper_lag_s: float = parameter(1.0, "s", 0.1, 3.0, "the stopper answers the level after 1 to 3 s")
    turbulence_mm: Span = parameter((0.5, 0.9), "mm", 0.0, 5.0, "with the noise: 0.6 to 1.2")
    turbulence_period_s: float = parameter(7.0, "s", 1.0, 60.0, "assumed")
    turbulence_decay_s: float = parameter(2.5, "s", 0.3, 30.0, "assumed")
    bulging_mm: Span = parameter((0.0, 0.4), "mm", 0.0, 5.0, "assumed: quiet bulging")
    roll_pitch_m: Span = parameter((0.2, 0.3), "m", 0.1, 0.6, "assumed")
    clogging_per_min: Span = parameter((0.002, 0.006), "1/min", 0.0, 0.05, "r 0.002 to 0.02, assumed; its low end")
    clogged_to: float = parameter(0.7, "1", 0.2, 1.0, "assumed: deposits stop growing at this share of the opening")
    argon_nl_min: Span = parameter((4.0, 7.0), "NL/min", 0.0, 20.0, "3 to 8 (weak)")
    argon_wander_nl_min: float = parameter(0.15, "NL/min", 0.0, 2.0, "assumed")
    back_pressure_kpa: Span = parameter((35.0, 65.0), "kPa", 0.0, 150.0, "20 to 80, assumed")
    back_pressure_per_clogging_kpa: Span = parameter((-60.0, 60.0), "kPa", -200.0, 200.0, "drifts either way [26]")


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
    """The array of one broad face. Two rows of two are a reduced view: real moulds carry 68 to several hundred."""

    rows: int = parameter(2, "1", 1, 20, "assumed; the reference strand's twenty sensors have two")
    columns: int = parameter(2, "1", 1, 40, "assumed; the reference strand's twenty sensors have two")
    water_c: Span = parameter((28.0, 33.0), "°C", 10.0, 50.0, "assumed")
    resistance_m2k_w: Span = parameter((6.0e-5, 7.2e-5), "m2K/W", 5e-5, 9e-5, "5 to 9e-5, assumed; normal range kept")
    resistance_spread: float = parameter(0.03, "1", 0.0, 0.3, "assumed: one thermocouple against another")
    upper_flux: float = parameter(1.3, "1", 0.5, 2.0, "local over mean flux, assumed")
    lower_flux: float = parameter(0.9, "1", 0.3, 2.0, "the same one row below; it goes on falling so, assumed")
    lag_s: Span = parameter((2.0, 5.0), "s", 0.1, 20.0, "assumed")
    level_k_mm: Span = parameter((-1.5, -0.3), "K/mm", -5.0, 0.0, "assumed: upper row, all columns")
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
    slowest_hz: float = parameter(2.0, "Hz", 0.5, 6.0, "2.0 to 3.3 Hz (weak); holds at the start and the end too")
    stroke_mm: float = parameter(6.0, "mm", 2.0, 12.0, "4 to 8 mm (weak); not measured, it sets the negative strip")
    friction_kn: Span = parameter((3.5, 5.5), "kN", 0.5, 20.0, "at 1.2 m/min; 2 to 8 (weak)")
    friction_wander_kn: float = parameter(0.4, "kN", 0.0, 5.0, "assumed")
    friction_wander_tau_s: float = parameter(40.0, "s", 1.0, 1000.0, "assumed")


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


class PlantRecords(Section):
    """What the plant writes down about its pieces, and how wrong that is."""

    missed_share: Span = parameter((0.10, 0.30), "1", 0.0, 1.0, "assumed: defects that nobody wrote down")
    false_per_piece: Span = parameter((0.01, 0.03), "1", 0.0, 1.0, "assumed: a record of a sound piece")
    position_error_m: Span = parameter((0.5, 1.0), "m", 0.0, 10.0, "assumed: standard deviation, drawn per sequence")
    delay_h: Span = parameter((2.0, 48.0), "h", 0.0, 1000.0, "assumed: inspection comes days later")
