"""The truth about a sequence in event time, and what the plant would have written down about it.

Labels of a real plant come per piece, late and partly wrong: defects that nobody saw, defects written down for sound
pieces, a position half a metre off. Only a breakout is known at once and exactly.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from trainer.datasets.records import FALSE_RECORD, Event, SequenceData
from trainer.line.config import LineConfig
from trainer.line.happenings import QUALITY, STICKER, Happening
from trainer.line.signals import Streams, draw

_INSPECTED = ("longitudinal_crack", "depression", "transverse_crack", "internal_crack", "slag")
_MS_PER_H = 3_600_000


def to_events(
    config: LineConfig, happenings: Iterable[Happening], sequence: SequenceData, streams: Streams
) -> tuple[Event, ...]:
    """Events of one sequence in the order of their onset, numbered within it, with the plant's records.

    A false record is an event of its own: type `false_record`, no target, nothing behind it but the piece it names.
    """
    rng = streams.of_sequence("records")
    missed = draw(rng, config.records.missed_share)
    error_m = draw(rng, config.records.position_error_m)
    told = [
        _written_down(config, _event(one, sequence), one, missed, error_m, rng)
        for one in sorted(happenings, key=lambda one: one.onset_s)
    ]
    told += _false_records(config, sequence, {_piece(config, event) for event in told if event.target}, rng)
    told.sort(key=lambda event: event.onset_ms)
    return tuple(replace(event, event_id=f"{sequence.sequence_id}-{number:02d}") for number, event in enumerate(told))


def _event(one: Happening, sequence: SequenceData) -> Event:
    start_ms = int(sequence.event_time_ms[0])

    place_s = one.onset_s if one.position_s is None else one.position_s

    def at(seconds: float) -> int:
        return start_ms + round(seconds * 1000)

    return Event(
        event_id="",
        sequence_id=sequence.sequence_id,
        strand_id=sequence.strand_id,
        type=one.type,
        target=one.target,
        onset_ms=at(one.onset_s),
        detectable_ms=at(one.detectable_s),
        impact_ms=None if one.impact_s is None else at(one.impact_s),
        end_ms=at(one.end_s),
        ignore_until_ms=at(one.ignore_until_s),
        healed=one.healed,
        position_m=float(np.interp(at(place_s), sequence.event_time_ms, sequence.strand_position_m)),
        difficulty=one.difficulty,
        look_alike_of=one.look_alike_of,
        pair_id=None if one.pair is None else f"{sequence.sequence_id}-{one.pair}",
        sensors=one.sensors,
    )


def _written_down(
    config: LineConfig, event: Event, one: Happening, missed: float, error_m: float, rng: np.random.Generator
) -> Event:
    if event.target == STICKER and event.impact_ms is not None:
        return replace(
            event, recorded_type="breakout", recorded_at_ms=event.impact_ms, recorded_position_m=event.position_m
        )
    is_seen = rng.random() >= missed
    off_m, delay_ms = error_m * rng.standard_normal(), _delay_ms(config, rng)
    if event.target != QUALITY or not one.recordable or not is_seen:
        return event
    return replace(
        event,
        recorded_type="slag" if event.type == "clogging_release" else event.type,
        recorded_at_ms=event.end_ms + delay_ms,
        recorded_position_m=round(event.position_m + off_m, 3),
    )


def _piece(config: LineConfig, event: Event) -> int:
    return int(event.position_m // config.geometry.piece_m)


def _false_records(
    config: LineConfig, sequence: SequenceData, harmed: set[int], rng: np.random.Generator
) -> list[Event]:
    """Records of sound pieces: `harmed` are those that really hold a defect."""
    pieces = int(sequence.strand_position_m[-1] / config.geometry.piece_m)
    wrong = np.flatnonzero(rng.random(pieces) < draw(rng, config.records.false_per_piece))
    made = []
    for piece in sorted(set(wrong.tolist()) - harmed):
        position_m = round((float(piece) + rng.random()) * config.geometry.piece_m, 3)
        at_ms = round(float(np.interp(position_m, sequence.strand_position_m, sequence.event_time_ms)))
        made.append(
            Event(
                event_id="", sequence_id=sequence.sequence_id, strand_id=sequence.strand_id, type=FALSE_RECORD,
                target=None, onset_ms=at_ms, detectable_ms=at_ms, impact_ms=None, end_ms=at_ms, ignore_until_ms=at_ms,
                healed=False, position_m=position_m, recorded_type=_INSPECTED[int(rng.integers(len(_INSPECTED)))],
                recorded_at_ms=at_ms + _delay_ms(config, rng), recorded_position_m=position_m,
            )
        )  # fmt: skip
    return made


def _delay_ms(config: LineConfig, rng: np.random.Generator) -> int:
    return round(draw(rng, config.records.delay_h) * _MS_PER_H)
