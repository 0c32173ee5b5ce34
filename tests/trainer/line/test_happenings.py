"""Each defect and each look-alike does to the sensors what the domain says, in its order and at its lag."""

import numpy as np
import pytest
from support.quiet_line import FLUXES, NAMES, TCS, changes, column, quiet, run

from trainer.datasets.records import Event
from trainer.line.clogging import clog
from trainer.line.config import LineConfig
from trainer.line.instruments import _noise_sigma
from trainer.line.schedule import SCHEDULED, Scheduled
from trainer.line.signals import Grid, Streams
from trainer.line.simulator import simulate, simulate_sequence
from trainer.line.tundish import melt

AT_S = 300.0


def only(config: LineConfig, kind: str, duration_s: float = 900, seed: int = 4, **scheduled: str) -> Event:
    made = run(config, [Scheduled(kind, AT_S, **scheduled)], duration_s, seed)
    return next(event for event in made.events if event.type not in {"ladle_change", "false_record"})


def seconds(event: Event, at_ms: int) -> float:
    """From the onset."""
    return (at_ms - event.onset_ms) / 1000


@pytest.mark.parametrize("kind", sorted(SCHEDULED))
def test_the_sensors_an_event_names_are_those_it_moves_most(kind):
    config = quiet()
    event = only(config, kind, 2400)
    sigma = _noise_sigma(LineConfig(), Streams(4, 0, 1, 2))
    sizes = {name: np.abs(moved).max() for name, moved in changes(config, Scheduled(kind, AT_S), 2400).items()}
    moved = {name: size / sigma[name][0] for name, size in sizes.items()}
    unnamed = {name: size for name, size in moved.items() if name not in event.sensors}
    for name in event.sensors:
        assert moved[name] > 0.5, (name, moved)
    assert max(moved[name] for name in event.sensors) >= max(unnamed.values()), moved


@pytest.mark.parametrize("seed", range(4))
def test_depression_travels_with_the_strand_after_a_swing_of_the_level(seed):
    none = {"summary": (0.0, 0.0), "partial": (0.0, 0.0), "order": (0.0, 0.0)}
    config = quiet(depression={"far_share": (0.0, 0.0), "flux_fall_share": none})
    made, still = (run(config, schedule, seed=seed) for schedule in ([Scheduled("depression", AT_S)], []))
    moved = {name: column(made, name) - column(still, name) for name in (*TCS, "mould_level_mm")}
    event = only(config, "depression", seed=seed)
    side = "left" if "mould_tc_upper_left_c" in event.sensors else "right"
    upper, lower = (moved[f"mould_tc_{row}_{side}_c"] for row in ("upper", "lower"))
    lag_s = config.geometry.row_spacing_m / (column(made, "casting_speed_m_min").mean() / 60)
    lags = np.arange(0, 40)
    best = lags[np.argmax([np.dot(upper[:-40], np.roll(lower, -lag)[:-40]) for lag in lags])]
    assert best / 2 == pytest.approx(lag_s, abs=1.0)
    first_dip = np.argmax(upper < 0.5 * upper.min())
    swing = np.argmax(np.abs(moved["mould_level_mm"]) > 0.5)
    assert 4 <= (first_dip - swing) / 2 <= 75
    assert event.type in {"depression", "longitudinal_crack"}
    assert seconds(event, event.detectable_ms) >= (first_dip / 2 - AT_S)


def test_depression_takes_3_to_10_percent_of_the_flux():
    for seed in range(4):
        moved, still = changes(quiet(), Scheduled("depression", AT_S), seed=seed), run(quiet(), seed=seed)
        for flux in FLUXES:
            assert 0.025 < -moved[flux].min() / column(still, flux).mean() < 0.11


def test_deep_depressions_and_peritectic_ones_crack_more_often():
    from support.happenings import drawn

    def cracks(difficulty, grade):
        rng = np.random.default_rng(1)
        made = [drawn(LineConfig(), Scheduled("depression", 0, difficulty=difficulty), 1.2, rng, grade)
                for _ in range(300)]  # fmt: skip
        return np.mean([one.type == "longitudinal_crack" for one in made])

    assert cracks("order", "low-C") < cracks("partial", "low-C") < cracks("summary", "low-C")
    assert cracks("partial", "peritectic") > cracks("partial", "low-C") + 0.1


def test_release_surges_the_level_after_the_stopper_has_crept_open_and_then_closes_it():
    config = quiet(clogging_release={"per_hour": 1.0}, level={"turbulence_mm": (0, 0), "bulging_mm": (0, 0)})
    still = {"weight_wander_t": 0.0, "change_fall_share": (0.0, 0.0)}
    config = LineConfig.model_validate(config.model_dump() | {"tundish": config.tundish.model_dump() | still})
    surges: list[float] = []
    for made in (simulate_sequence(config, strand=s, index=0, duration_s=7200, seed=6, schedule=()) for s in range(4)):
        level, stopper = column(made, "mould_level_mm"), column(made, "stopper_position_pct")
        for event in (event for event in made.events if event.type == "clogging_release"):
            at = (event.onset_ms - int(made.sequence.event_time_ms[0])) // 500
            # Over the hour before; a nozzle that clogged earlier stands still by then.
            creep, surge = stopper[at - 2] - stopper[max(at - 7200, 0) : at].min(), np.diff(level[at : at + 10]) * 2
            assert creep > 0.2
            surges.append(surge.max())
            assert level[at : at + 20].max() > 1.0
            assert stopper[at + 120] < stopper[at - 2] - 1.0
            assert np.argmax(level[at : at + 30] > 0.5) <= np.argmax(stopper[at : at + 30] < stopper[at - 2] - 0.5)
    assert len(surges) >= 4
    assert 1 <= np.median(surges) <= 4  # mm/s, as the scan shows it behind its filter
    assert 0.5 < min(surges) <= max(surges) < 6  # the largest jumps of the most clogged nozzles go beyond


def test_release_is_tagged_by_the_jump_that_really_happened():
    config, tagged = LineConfig(), 0
    for strand in range(12):
        streams = Streams(3, 0, strand, 0)
        grid = Grid(0.1, 60.0, np.arange(-600, 72_000) * 0.1)
        nozzle = clog(config, grid, (400.0, 6800.0), streams)
        for release in nozzle.releases:
            step = grid.index(release.at_s + 0.05)
            assert nozzle.opening[step + 1] - nozzle.opening[step] == pytest.approx(release.jump, abs=1e-3)
            assert nozzle.opening.max() <= 1.0
            tagged += 1
    assert tagged >= 5


def test_glitch_moves_the_measured_level_before_the_stopper_and_the_real_one_after_it():
    config = quiet(level_glitch={"jump_mm": (8, 8), "lasts_s": (12, 12)})
    moved = changes(config, Scheduled("level_glitch", AT_S))
    level, stopper, upper = (
        moved[name] for name in ("mould_level_mm", "stopper_position_pct", "mould_tc_upper_left_c")
    )
    jumped, answered = np.argmax(np.abs(level[:620])), np.argmax(np.abs(stopper[:620]))
    assert 600 <= jumped <= answered - 2  # a second
    assert np.abs(level[jumped - 2]) < 0.05 * np.abs(level[jumped])  # all of it within a second
    first = upper[jumped : jumped + 20][np.argmax(np.abs(upper[jumped : jumped + 20]))]
    assert np.sign(first) == np.sign(level[jumped])  # the real level went the other way, and TCs fall as it rises


def test_overspray_shows_at_the_straightener_minutes_later_and_colder_than_900_degrees():
    cold = []
    for seed in range(12):
        made = run(quiet(cooling={"scale_per_hour": 0.0}), [Scheduled("transverse_crack", AT_S)], 2700, seed)
        event = next(event for event in made.events if event.type == "transverse_crack")
        lag_s = seconds(event, event.detectable_ms)
        assert 3 * 60 <= lag_s <= 8 * 60
        surface = column(made, "strand_surface_temp_c")
        first, last = int(2 * (AT_S + lag_s + 60)), int(2 * (AT_S + seconds(event, event.end_ms)))
        cold.append(surface[first:last].mean())
        assert surface[first:last].mean() < surface[:500].mean() - 25
    assert np.mean(np.array(cold) < 900) > 0.9
    assert min(cold) > 700


def test_shell_thins_by_10_to_25_percent_of_the_flux():
    made = [run(quiet(), schedule, 1500) for schedule in ([Scheduled("shell_thinning", AT_S)], [])]
    for flux in FLUXES:
        share = column(made[0], flux) / column(made[1], flux) - 1
        assert -0.26 < share.min() < -0.07  # speed and superheat give a little of it back


def test_superheat_is_above_35_kelvin_while_segregation_is_labelled():
    config = quiet(tundish={"change_fall_k": (0.0, 0.0), "fresh_ladle_rise_k": 0.0, "temperature_wander_k": 0.0})
    made = run(config, [Scheduled("segregation", AT_S)], 2400)
    event = next(event for event in made.events if event.type == "segregation")
    first, last = (int(2 * (AT_S + seconds(event, at))) for at in (event.detectable_ms, event.end_ms))
    grade = melt(config, Streams(4, 0, 1, 2)).grade
    superheat = column(made, "tundish_temp_c")[first:last] - config.tundish.liquidus_c[grade]
    assert 34.5 <= superheat.min() <= superheat.max() <= 43
    assert seconds(event, event.end_ms) >= 600


def spectrum(level, from_hz, to_hz):
    power = np.abs(np.fft.rfft(level - level.mean())) ** 2
    frequency = np.fft.rfftfreq(len(level), 0.5)
    return power[(frequency >= from_hz) & (frequency < to_hz)].sum() / power.sum(), frequency[np.argmax(power)]


def test_unsteady_bulging_swings_the_level_at_speed_over_pitch():
    config = quiet(bulging={"lasts_s": (400, 400), "amplitude_mm": (4, 4)}, level={"roll_pitch_m": (0.25, 0.25)})
    made = run(config, [Scheduled("bulging", AT_S)])
    expected_hz = column(made, "casting_speed_m_min").mean() / 60 / 0.25
    assert 0.06 < expected_hz < 0.1
    assert spectrum(column(made, "mould_level_mm")[700:1300], 0, 1)[1] == pytest.approx(expected_hz, abs=0.006)


def test_retuning_changes_the_spectrum_of_the_level():
    config = quiet(level_retuning={"lasts_s": (400, 400)}, level={"bulging_mm": (0, 0)})
    before, after = (
        spectrum(column(run(config, schedule), "mould_level_mm")[640:1340], 0.1, 0.4)[0]
        for schedule in ([], [Scheduled("level_retuning", AT_S)])
    )
    assert after > before + 0.05


def test_nozzle_exchange_throws_the_level_by_centimetres_and_dips_the_speed():
    for seed in range(6):
        moved = changes(quiet(), Scheduled("sen_change", AT_S), seed=seed)
        assert 5 < np.abs(moved["mould_level_mm"]).max() < 18
        assert -0.42 < moved["casting_speed_m_min"].min() < -0.15
        assert abs(moved["sen_argon_flow_nl_min"][-1]) >= 0.49


def test_powder_moves_both_faces_by_5_to_10_percent_the_same_way():
    config = quiet(powder_change={"lasts_s": (200, 200)})
    made, still = run(config, [Scheduled("powder_change", AT_S)]), run(config)
    shares = [column(made, flux)[960:990].mean() / column(still, flux)[960:990].mean() - 1 for flux in FLUXES]
    assert 0.045 < abs(shares[0]) < 0.105
    assert shares[1] == pytest.approx(shares[0], abs=0.005)


def test_faulty_thermocouple_lies_alone():
    kinds = set()
    for seed in range(9):
        made, still = run(quiet(), [Scheduled("tc_fault", AT_S)], seed=seed), run(quiet(), seed=seed)
        event = next(event for event in made.events if event.type == "tc_fault")
        moved = {name for name in NAMES if np.abs(column(made, name) - column(still, name)).max() > 0.051}
        assert moved == set(event.sensors)
        (name,) = event.sensors
        kinds.add("stuck" if column(made, name)[620:640].std() < 0.2 else "other")
    assert kinds == {"stuck", "other"}


def test_a_whole_sequence_starts_and_ends_slowly_and_nothing_is_scheduled_there():
    config = LineConfig()
    for made in simulate(config, strands=3, hours=2, seed=5):
        speed = column(made, "casting_speed_m_min")
        assert np.nanmean(speed[:20]) < 0.7
        assert np.nanmean(speed[-20:]) < 0.85
        assert np.nanmedian(speed) > 0.9
        begin, end = int(made.sequence.event_time_ms[0]), int(made.sequence.event_time_ms[-1])
        for event in made.events:
            if event.type not in {"ladle_change", "false_record"}:
                assert event.onset_ms >= begin + config.end_margin_s * 1000
                assert event.onset_ms <= end - config.end_margin_s * 1000
