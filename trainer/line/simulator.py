"""The simulated line, `line/v1`: casting sequences, each from its own random numbers.

What is simplified, plainly:

- Two or three heats make a sequence; real ones cast for many hours. A sequence starts slowly, casts, and ends slowly.
- After a breakout a real strand stands still for hours; here it goes on as if restarted at once. The windows
  after an impact (until the pattern has gone, and a minute) are left out of training and scores.
- Within a lane (see `schedule`) two things never happen at the same time, and nobody slows the strand on an alarm.
- One broad face, four thermocouples unless told otherwise; the flux of a tear does not enter the mould's mean flux.
- All twenty sensors are fresh in every 2 Hz scan. In a plant most come once a second or slower (the tundish
  temperature every 1 to 10 s), so that their values repeat from scan to scan.
- The onset of a slow tear away from the thermocouple columns is when it began at the meniscus, a few seconds before
  its first visible trace. When a sticker is detectable and when it breaks out do not depend on it.
- Two strands of a caster do not share their tundish.
- Slag is entrained at releases of the nozzle alone (their own term of the hazard is in its base rate); neither a nozzle
  exchange nor a level swing takes any down.
- Transverse cracks come at a rate of their own, under the conditions their hazard asks for (cold surface, long negative
  strip); the hazard itself is not integrated.
- The position of an event is the strand's at the meniscus when it began there; the steel that a zone harmed is metres
  further down.
- Positions are told along the strand; pieces are only cut in `plant_records`, to place false records on sound ones.

A score on this line shows that a method recovers this model, and nothing about a plant.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.datasets.records import Event, SequenceData
from trainer.line import dips, look_alikes, slow_defects, tears
from trainer.line.clogging import Clogging, clog
from trainer.line.config import LineConfig
from trainer.line.cooling import spray
from trainer.line.friction import oscillate
from trainer.line.happenings import TARGETS, Happening, Scene
from trainer.line.heat import extract, face_ratio
from trainer.line.instruments import scan
from trainer.line.level import MouldLevel, loop_inputs, observe, releases
from trainer.line.level_loop import LoopInputs, run_loops
from trainer.line.mould_array import MouldArray
from trainer.line.plant_records import to_events
from trainer.line.schedule import Scheduled, margin_s, plan
from trainer.line.signals import Grid, Signal, Streams
from trainer.line.speed import Casting, base_speed_m_min, cast
from trainer.line.thermocouples import read
from trainer.line.tundish import Melt, Steel, ladle_changes, melt, pour

__all__ = [
    "TARGETS",
    "SequencePlace",
    "SimulatedSequence",
    "sequence_durations",
    "simulate",
    "simulate_sequence",
    "simulate_sequences",
]

LEAD_S = 60.0
TRAINING_DOMAIN = 0
RECORDING_DOMAIN = 1
BATCH = 24
"""Sequences simulated side by side: the level's loop costs the same for one as for many, memory does not."""

DRAW = {
    "sticker": tears.sticker,
    "film_patch": tears.film_patch,
    "film_fracture": tears.film_fracture,
    "depression": dips.depression,
    "local_dips": dips.local_dips,
    "transverse_crack": slow_defects.transverse_crack,
    "internal_crack": slow_defects.internal_crack,
    "shell_thinning": slow_defects.shell_thinning,
    "segregation": slow_defects.segregation,
    "speed_step": look_alikes.speed_step,
    "sen_change": look_alikes.sen_change,
    "level_retuning": look_alikes.level_retuning,
    "bulging": look_alikes.bulging,
    "powder_change": look_alikes.powder_change,
    "level_glitch": look_alikes.level_glitch,
    "tc_fault": look_alikes.tc_fault,
}


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedSequence:
    """One casting sequence and its truth.

    Attributes:
        sequence: the scans; values in the order of `MouldArray.of(config).sensors`.
        events: what happened, in the order of time.
    """

    sequence: SequenceData
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class SequencePlace:
    """Which casting sequence: the strand, and its number on it, both from 0."""

    strand: int
    index: int


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A sequence up to the level's loop."""

    place: SequencePlace
    streams: Streams
    grid: Grid
    what: Melt
    happenings: tuple[Happening, ...]
    casting: Casting
    steel: Steel
    nozzle: Clogging
    inputs: LoopInputs


def strand_name(strand: int) -> str:
    """`<plant>.<caster>.<strand>`: two slab strands to a caster."""
    return f"p1.c{1 + strand // 2}.s{1 + strand % 2}"


def sequence_durations(config: LineConfig, hours: float) -> list[float]:
    """Lengths in seconds of the casting sequences that make up some hours: full ones, then the rest.

    A rest shorter than a quarter of a sequence is added to the last one.
    """
    full, rest_s = divmod(round(hours * 3600), config.sequence_s)
    durations = [config.sequence_s] * int(full)
    if not durations or rest_s >= config.sequence_s / 4:
        return [*durations, rest_s] if rest_s else durations
    durations[-1] += rest_s
    return durations


def simulate(config: LineConfig, *, strands: int, hours: float, seed: int) -> Iterator[SimulatedSequence]:
    """Simulate some hours of each strand, sequence by sequence, the strands side by side in time.

    Sequence k of a strand is the same whatever the number of strands and of sequences, as long as it is as long.
    Memory is bounded by a batch of sequences.

    Args:
        config: every figure of the line.
        strands: number of strands.
        hours: hours cast on each strand.
        seed: the line's seed.
    """
    batch: list[SequencePlace] = []
    durations = sequence_durations(config, hours)
    for index, duration_s in enumerate(durations):
        batch += [SequencePlace(strand, index) for strand in range(strands)]
        is_last = index + 1 == len(durations) or durations[index + 1] != duration_s
        while batch and (is_last or len(batch) >= BATCH):
            yield from simulate_sequences(config, batch[:BATCH], duration_s=duration_s, seed=seed)
            batch = batch[BATCH:]


def simulate_sequences(
    config: LineConfig,
    places: Sequence[SequencePlace],
    *,
    duration_s: float,
    seed: int,
    schedules: Sequence[Sequence[Scheduled]] | None = None,
    domain: int = TRAINING_DOMAIN,
) -> list[SimulatedSequence]:
    """Simulate casting sequences of one length side by side.

    Args:
        config: every figure of the line.
        places: which sequences.
        duration_s: their length.
        seed: the line's seed.
        schedules: for each, what happens when; None draws it from the configured rates.
        domain: random numbers of different domains differ even at the same seed.
    """
    given: Sequence[Sequence[Scheduled] | None] = schedules if schedules is not None else [None] * len(places)
    prepared = [
        _prepare(config, place, duration_s, Streams(seed, domain, place.strand, place.index), schedule)
        for place, schedule in zip(places, given, strict=True)
    ]
    answers = run_loops([one.inputs for one in prepared], config.step_ms / 1000)
    return [_finish(config, one, answer) for one, answer in zip(prepared, answers, strict=True)]


def simulate_sequence(
    config: LineConfig, *, strand: int, index: int, duration_s: float, seed: int,
    schedule: Sequence[Scheduled] | None = None, domain: int = TRAINING_DOMAIN,
) -> SimulatedSequence:  # fmt: skip
    """Simulate one casting sequence; see `simulate_sequences`."""
    schedules = None if schedule is None else [schedule]
    (made,) = simulate_sequences(
        config, [SequencePlace(strand, index)], duration_s=duration_s, seed=seed, schedules=schedules, domain=domain
    )
    return made


def _prepare(
    config: LineConfig, place: SequencePlace, duration_s: float, streams: Streams, schedule: Sequence[Scheduled] | None
) -> _Prepared:
    step_s = config.step_ms / 1000
    lead = round(LEAD_S / step_s)
    scans = int(duration_s * 1000) // config.period_ms
    steps = lead + (scans - 1) * (config.period_ms // config.step_ms) + 1
    grid = Grid(step_s, LEAD_S, (np.arange(steps, dtype=np.float64) - lead) * step_s)
    what = melt(config, streams)
    if schedule is None:
        schedule = plan(config, duration_s, what.grade, streams.of_sequence("schedule"))
    base_m_min = base_speed_m_min(config, streams)
    happenings = tuple(_drawn(config, schedule, what, base_m_min, streams))
    is_whole = duration_s >= config.whole_from_s
    casting = cast(config, grid, base_m_min, happenings, whole=is_whole, streams=streams)
    steel = pour(config, grid, what, happenings, streams)
    margin = margin_s(config, duration_s)
    nozzle = clog(config, grid, (margin, duration_s - margin), streams)
    inputs = loop_inputs(config, grid, casting, steel, nozzle, happenings, streams)
    return _Prepared(place, streams, grid, what, happenings, casting, steel, nozzle, inputs)


def _drawn(
    config: LineConfig, schedule: Sequence[Scheduled], what: Melt, speed_m_min: float, streams: Streams
) -> Iterator[Happening]:
    """What each scheduled happening is; the speed an operator has left behind holds for those after."""
    array, imbalance = MouldArray.of(config), abs(face_ratio(config, streams) - 1)
    for number, event in enumerate(schedule):
        # Twins draw what they have in common from the same numbers.
        rng = streams.of_sequence(f"happening-{event.pair or number}")
        scene = Scene(config, array, what.grade, what.superheat_k, imbalance, speed_m_min)
        happening = DRAW[event.type](scene, event, rng)
        speed_m_min += happening.settled("speed_m_min")
        yield happening


def _finish(config: LineConfig, one: _Prepared, answer: tuple[Signal, Signal]) -> SimulatedSequence:
    grid, streams, place = one.grid, one.streams, one.place
    level = observe(config, grid, one.inputs, answer, one.nozzle, one.happenings, streams)
    values = scan(config, grid, _truth(config, one, level), streams)
    scans = len(values)
    start_ms = config.epoch_ms + round(place.index * (config.sequence_s + config.pause_s) * 1000)
    scan_s = np.arange(scans, dtype=np.float64) * (config.period_ms / 1000)
    sequence = SequenceData(
        sequence_id=f"{strand_name(place.strand)}-{place.index:04d}",
        strand_id=strand_name(place.strand),
        event_time_ms=start_ms + np.arange(scans, dtype=np.int64) * config.period_ms,
        values=values,
        seq=np.arange(scans, dtype=np.int64) + round(place.index * config.sequence_s * 1000 / config.period_ms),
        heat_id=_heats(scan_s, one.steel, place),
        strand_position_m=np.round(np.interp(scan_s, grid.time_s, one.casting.position_m), 3),
    )
    slag = releases(config, grid, one.nozzle, level, one.casting, streams.of_sequence("slag"))
    return SimulatedSequence(
        sequence, to_events(config, [*one.happenings, *slag, *ladle_changes(one.steel)], sequence, streams)
    )


def _truth(config: LineConfig, one: _Prepared, level: MouldLevel) -> Mapping[str, Signal]:
    """Every sensor before its instrument, float64 [steps], in the order of the strand's sensors."""
    grid, streams, happenings = one.grid, one.streams, one.happenings
    heat = extract(config, grid, one.casting, one.what, one.steel, happenings, streams)
    motion = oscillate(config, grid, one.casting, happenings, streams)
    thermocouples = read(config, grid, heat, level, motion.phase, happenings, streams)
    water = spray(config, grid, one.casting, happenings, streams)
    channels = (
        level.measured_mm,
        one.casting.speed_m_min,
        one.steel.temperature_c,
        one.steel.weight_t,
        level.stopper_pct,
        level.argon_nl_min,
        level.back_pressure_kpa,
        heat.loose_mw_m2,
        heat.fixed_mw_m2,
        heat.water_flow_l_min,
        heat.water_delta_k,
        *thermocouples,
        motion.friction_kn,
        motion.frequency_hz,
        water.zone2_l_min,
        water.zone5_l_min,
        water.surface_c,
    )
    return {sensor.name: channel for sensor, channel in zip(MouldArray.of(config).sensors, channels, strict=True)}


def _heats(scan_s: Signal, steel: Steel, place: SequencePlace) -> tuple[str, ...]:
    """The heat cast at each scan: one number per ladle."""
    ladle = np.searchsorted([change.opens_s for change in steel.changes], scan_s, side="right")
    names = [f"H{place.strand + 1:02d}-{place.index:04d}-{number}" for number in range(len(steel.changes) + 1)]
    return tuple(names[number] for number in ladle)
