"""The truth about a sequence: from seconds within it to events in event time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from trainer.datasets.records import Event, SequenceData
from trainer.line.config import LineConfig
from trainer.line.patterns import Pattern
from trainer.line.schedule import EventType
from trainer.line.speed import SpeedStep


@dataclass(frozen=True, slots=True)
class Truth:
    """What `trainer.datasets.records.Event` tells, in seconds from the first scan."""

    type: EventType
    target: str | None
    onset_s: float
    detectable_s: float
    impact_s: float | None
    end_s: float
    ignore_until_s: float
    healed: bool


def pattern_truths(patterns: Iterable[Pattern]) -> list[Truth]:
    """Stickers are positives of the target `sticker`; film fractures must not alarm."""
    return [
        Truth(
            type=pattern.kind,
            target="sticker" if pattern.kind == "sticker" else None,
            onset_s=pattern.onset_s,
            detectable_s=pattern.detectable_s,
            impact_s=pattern.impact_s,
            end_s=pattern.end_s,
            ignore_until_s=pattern.ignore_until_s,
            healed=pattern.healed,
        )
        for pattern in patterns
    ]


def speed_step_truths(config: LineConfig, steps: Iterable[SpeedStep]) -> list[Truth]:
    """Speed steps must not alarm; each lasts until the thermocouples have followed."""
    ends = [(step, step.onset_s + step.ramp_s + config.speed_step.settle_s) for step in steps]
    return [Truth("speed_step", None, step.onset_s, step.onset_s, None, end, end, healed=False) for step, end in ends]


def to_events(truths: Iterable[Truth], sequence: SequenceData) -> tuple[Event, ...]:
    """Events of one sequence in the order of their onset, numbered within it."""
    start_ms = int(sequence.event_time_ms[0])

    def at(seconds: float) -> int:
        return start_ms + round(seconds * 1000)

    return tuple(
        Event(
            event_id=f"{sequence.sequence_id}-{number:02d}",
            sequence_id=sequence.sequence_id,
            strand_id=sequence.strand_id,
            type=truth.type,
            target=truth.target,
            onset_ms=at(truth.onset_s),
            detectable_ms=at(truth.detectable_s),
            impact_ms=None if truth.impact_s is None else at(truth.impact_s),
            end_ms=at(truth.end_s),
            ignore_until_ms=at(truth.ignore_until_s),
            healed=truth.healed,
            position_m=float(np.interp(at(truth.onset_s), sequence.event_time_ms, sequence.strand_position_m)),
        )
        for number, truth in enumerate(sorted(truths, key=lambda truth: truth.onset_s))
    )
