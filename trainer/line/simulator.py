"""The simulated line, `line/v0`: casting sequences one after another, each from its own random numbers.

What is simplified, plainly:

- The line only casts: no start, no end, no SEN change, no unsteady bulging, no clogging release; ladle changes
  happen. A sequence is cut to `sequence_s` with a pause before the next one.
- After a breakout a real strand stands still for hours; here it goes on as if restarted at once. The windows
  after an impact (until the pattern has gone, and a minute) are left out of training and scores.
- A sticker and its look-alikes never happen at the same time, and nobody slows the strand down on an alarm.
- Four thermocouples on one broad face; the flux of a tear does not enter the mould's mean flux.
- All twenty sensors are fresh in every 2 Hz scan. In a plant most come once a second or slower (the tundish
  temperature every 1 to 10 s), so that their values repeat from scan to scan.
- The onset of a slow tear away from the thermocouple columns is when it began at the meniscus, a few seconds before
  its first visible trace: for 6 % of stickers more than 5 s, for 1 % more than 10 s. A time counted from the onset is
  too long by that much; when a sticker is detectable and when it breaks out do not depend on it.
- Two strands of a caster do not share their tundish.

A score on this line shows that a method recovers this model, and nothing about a plant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models.features import CASTING_SENSORS
from trainer.datasets.records import Event, SequenceData
from trainer.line.config import LineConfig
from trainer.line.cooling import spray
from trainer.line.friction import oscillate
from trainer.line.heat import extract
from trainer.line.instruments import scan
from trainer.line.level import control
from trainer.line.patterns import Pattern, draw_pattern
from trainer.line.schedule import Scheduled, plan_events
from trainer.line.signals import Grid, Signal, Streams
from trainer.line.speed import Casting, cast
from trainer.line.thermocouples import read
from trainer.line.truth import pattern_truths, speed_step_truths, to_events
from trainer.line.tundish import Steel, pour

TARGETS = ("sticker",)
LEAD_S = 60.0
TRAINING_DOMAIN = 0
RECORDING_DOMAIN = 1


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedSequence:
    """One casting sequence and its truth.

    Attributes:
        sequence: the scans; values in the order of `models.features.CASTING_SENSORS`.
        events: what happened, in the order of time.
    """

    sequence: SequenceData
    events: tuple[Event, ...]


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

    Args:
        config: every figure of the line.
        strands: number of strands.
        hours: hours cast on each strand.
        seed: the line's seed.
    """
    for index, duration_s in enumerate(sequence_durations(config, hours)):
        for strand in range(strands):
            yield simulate_sequence(config, strand=strand, index=index, duration_s=duration_s, seed=seed)


def simulate_sequence(
    config: LineConfig,
    *,
    strand: int,
    index: int,
    duration_s: float,
    seed: int,
    schedule: Sequence[Scheduled] | None = None,
    domain: int = TRAINING_DOMAIN,
) -> SimulatedSequence:
    """Simulate one casting sequence.

    Args:
        config: every figure of the line.
        strand: index of the strand, from 0.
        index: index of the casting sequence on its strand, from 0.
        duration_s: its length.
        seed: the line's seed.
        schedule: what happens when, in the order of time; None draws it from the configured rates.
        domain: random numbers of different domains differ even at the same seed.
    """
    streams = Streams(seed, domain, strand, index)
    step_s = config.step_ms / 1000
    lead = round(LEAD_S / step_s)
    scans = int(duration_s * 1000) // config.period_ms
    steps = lead + (scans - 1) * (config.period_ms // config.step_ms) + 1
    grid = Grid(step_s, LEAD_S, (np.arange(steps, dtype=np.float64) - lead) * step_s)
    if schedule is None:
        schedule = plan_events(config, duration_s, streams.of_sequence("schedule"))
    casting = cast(config, grid, schedule, streams)
    patterns = _patterns(config, grid, schedule, casting, streams)
    steel = pour(config, grid, streams)
    values = scan(config, grid, _truth(config, grid, casting, steel, patterns, streams), streams)
    start_ms = config.epoch_ms + round(index * (config.sequence_s + config.pause_s) * 1000)
    strand_id, sequence_id = strand_name(strand), f"{strand_name(strand)}-{index:04d}"
    scan_s = np.arange(scans, dtype=np.float64) * (config.period_ms / 1000)
    sequence = SequenceData(
        sequence_id=sequence_id,
        strand_id=strand_id,
        event_time_ms=start_ms + np.arange(scans, dtype=np.int64) * config.period_ms,
        values=values,
        seq=np.arange(scans, dtype=np.int64) + round(index * config.sequence_s * 1000 / config.period_ms),
        heat_id=_heats(scan_s, steel, strand, index),
        strand_position_m=np.round(np.interp(scan_s, grid.time_s, casting.position_m), 3),
    )
    truths = [*pattern_truths(patterns), *speed_step_truths(config, casting.steps)]
    return SimulatedSequence(sequence, to_events(truths, sequence))


def _patterns(
    config: LineConfig, grid: Grid, schedule: Sequence[Scheduled], casting: Casting, streams: Streams
) -> list[Pattern]:
    rng = streams.of_sequence("patterns")
    return [
        draw_pattern(config, event, float(np.interp(event.onset_s, grid.time_s, casting.speed_m_min)), rng)
        for event in schedule
        if event.type != "speed_step"
    ]


def _truth(
    config: LineConfig, grid: Grid, casting: Casting, steel: Steel, patterns: list[Pattern], streams: Streams
) -> dict[str, Signal]:
    """Every sensor before its instrument, float64 [steps]."""
    level = control(config, grid, casting, steel, streams)
    heat = extract(config, grid, casting, steel, streams)
    motion = oscillate(config, grid, casting, patterns, streams)
    thermocouples = read(config, grid, heat, level, motion.phase, patterns, streams)
    water = spray(config, grid, casting, streams)
    channels = (
        level.level_mm,
        casting.speed_m_min,
        steel.temperature_c,
        steel.weight_t,
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
    return {sensor.name: channel for sensor, channel in zip(CASTING_SENSORS, channels, strict=True)}


def _heats(scan_s: Signal, steel: Steel, strand: int, index: int) -> tuple[str, ...]:
    """The heat cast at each scan: one number per ladle."""
    ladle = np.searchsorted(np.asarray(steel.changes_s), scan_s, side="right")
    names = [f"H{strand + 1:02d}{index:04d}{number}" for number in range(len(steel.changes_s) + 1)]
    return tuple(names[number] for number in ladle)
