"""From a sequence's scans to the records that arrive at Kafka: which, in what order, when, stamped with what time.

A sequence is soiled by itself: whatever is still under way at its end arrives with its last scan, so that its dirt
does not reach into the strand's next sequence, as long as the pause between them is longer than the clock may be
wrong by. Its first and last scan are never lost in a gap.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.datasets.records import SequenceData
from trainer.dirt.draws import Int64, episodes, streams_of
from trainer.dirt.figures import KINDS, VALUE_KINDS, Backfill, Dirt
from trainer.dirt.rubbish import DAMAGES
from trainer.dirt.values import Bool, Float32, SoiledValues, soil_values, spreads
from trainer.line.signals import Streams, draw

WHOLE = -1
"""`Records.damage` of a valid scan."""

_GAP, _SKEW, _BACKFILL = KINDS.index("gap"), KINDS.index("clock_skew"), KINDS.index("backfill")
_LATE, _DUPLICATE, _RUBBISH = KINDS.index("late"), KINDS.index("duplicate"), KINDS.index("rubbish")


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """What arrives of one sequence, m records in the order of arrival.

    Attributes:
        at_ms: int64 [m], when each arrives, on the line's true clock; never falls.
        row: int64 [m], the row of the sequence it tells of.
        event_time_ms: int64 [m], the time it is stamped with.
        values: float32 [m, sensors], NaN where missing, wrong where flagged bad.
        absent: bool [m, sensors], not even named.
        flags: uint8 [m, sensors], see `trainer.dirt.values`.
        damage: int64 [m], index into `DAMAGES`, or WHOLE.
        touched: int32 [m, kinds], in the order of `KINDS`: of a kind that touches values, how many of this scan's; of
            a gap, the scans lost before it; otherwise 0 or 1. Copies and rubbish count as such alone.
        begun: int32 [m, kinds], 1 where a gap, a step of the clock or an outage shows first.
    """

    at_ms: Int64
    row: Int64
    event_time_ms: Int64
    values: Float32
    absent: Bool
    flags: npt.NDArray[np.uint8]
    damage: Int64
    touched: npt.NDArray[np.int32]
    begun: npt.NDArray[np.int32]

    @property
    def of_line(self) -> Int64:
        """Scans of the clean line done with each record: itself unless a copy, and those lost before: int64 [m]."""
        return np.asarray(1 - self.touched[:, _DUPLICATE] + self.touched[:, _GAP], np.int64)


def soil(sequence: SequenceData, dirt: Dirt, seed: int) -> Records:
    """Soil one sequence: the same seed makes the same dirt, whatever other kinds are on.

    Args:
        sequence: n clean scans of any sensors.
        dirt: how much of each kind.
        seed: the dirt's seed; other sequences have other random numbers at the same seed.
    """
    streams = streams_of(sequence.strand_id, sequence.sequence_id, seed)
    soiled = soil_values(sequence, dirt, streams)
    kept = _kept(sequence.event_time_ms, dirt, streams)
    true_ms = sequence.event_time_ms[kept]
    touched = np.zeros((len(kept), len(KINDS)), np.int32)
    begun = np.zeros_like(touched)
    for index, kind in enumerate(VALUE_KINDS):
        touched[:, index] = soiled.touched[kind][kept]
    touched[1:, _GAP] = np.diff(kept) - 1
    begun[:, _GAP] = touched[:, _GAP] > 0
    offset_ms = _offset(sequence.event_time_ms, dirt, streams)[kept]
    touched[:, _SKEW] = offset_ms != 0
    begun[:, _SKEW] = np.diff(offset_ms, prepend=0) != 0
    at_ms, touched[:, _BACKFILL], begun[:, _BACKFILL] = _backfilled(true_ms, dirt.backfill, streams)
    at_ms, touched[:, _LATE] = _delayed(at_ms, kept, sequence.rows, dirt, streams)
    damage = _damage(sequence.rows, dirt, streams)[kept]
    touched[damage != WHOLE, : len(VALUE_KINDS)] = 0
    touched[:, _RUBBISH] = damage != WHOLE
    originals = Records(
        at_ms=at_ms,
        row=kept,
        event_time_ms=np.maximum(true_ms + offset_ms, 0),
        values=soiled.values[kept],
        absent=soiled.absent[kept],
        flags=soiled.flags[kept],
        damage=damage,
        touched=touched,
        begun=begun,
    )
    return _arranged(originals, _copies(originals, sequence, soiled, dirt, streams))


def _kept(time_ms: Int64, dirt: Dirt, streams: Streams) -> Int64:
    """Rows that no gap takes: int64 [k], rising."""
    lost = np.zeros(len(time_ms), np.bool_)
    for first, stop in episodes(streams.of_sequence("gap"), time_ms, dirt.gap.rate, dirt.gap.duration_s):
        lost[first:stop] = True
    lost[:1] = lost[-1:] = False
    return np.flatnonzero(~lost).astype(np.int64)


def _offset(time_ms: Int64, dirt: Dirt, streams: Streams) -> Int64:
    """How wrong the strand's clock is at each row, milliseconds; right at first."""
    rng = streams.of_sequence("clock_skew")
    offset = np.zeros(len(time_ms), np.int64)
    # A step holds until the next, so only where it begins matters.
    for first, _ in episodes(rng, time_ms, dirt.clock_skew.rate, (1e6, 1e6)):
        offset[first:] = round(draw(rng, dirt.clock_skew.offset_s) * 1000)
    return offset


def _backfilled(
    time_ms: Int64, figures: Backfill, streams: Streams
) -> tuple[Int64, npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """When rows arrive through a link that is down now and then; which were kept meanwhile; where outages begin."""
    rng = streams.of_sequence("backfill")
    at_ms = time_ms.copy()
    kept, begun = np.zeros(len(time_ms), np.int32), np.zeros(len(time_ms), np.int32)
    period_ms = float(np.median(np.diff(time_ms))) if len(time_ms) > 1 else 0.0
    free_from = 0
    for first, stop in episodes(rng, time_ms, figures.rate, figures.outage_s):
        way, wait_s = float(rng.random()), draw(rng, figures.wait_s)
        burst, beside = draw(rng, figures.burst_speed), draw(rng, figures.beside_speed)
        if first < free_from:  # the link is down already
            continue
        free_from = stop
        up_ms = float(time_ms[min(stop, len(time_ms) - 1)])
        if way < figures.in_order_share:
            _queue(at_ms, time_ms, first, stop, up_ms, period_ms / burst)
        else:
            is_beside = way < figures.in_order_share + figures.beside_share
            step_ms = period_ms / (beside if is_beside else burst)
            at_ms[first:stop] = (up_ms + wait_s * 1000 + np.arange(stop - first) * step_ms).astype(np.int64)
        kept[first:stop] = begun[first] = 1
    return np.minimum(at_ms, time_ms[-1:]), kept, begun


def _queue(at_ms: Int64, time_ms: Int64, first: int, stop: int, up_ms: float, step_ms: float) -> None:
    """One queue from row `first` on: nothing overtakes, and from `up_ms` on one record leaves every `step_ms`."""
    ready = np.maximum(at_ms[first:], time_ms[first:]).astype(np.float64)
    ready[: stop - first] = up_ms
    turn = np.arange(len(ready)) * step_ms
    at_ms[first:] = np.ceil(np.maximum.accumulate(ready - turn) + turn).astype(np.int64)


def _delayed(at_ms: Int64, kept: Int64, rows: int, dirt: Dirt, streams: Streams) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """Some rows come later than they would; never after the sequence's end, where nothing newer would have come."""
    rng = streams.of_sequence("late")
    chosen = (rng.random(rows) < dirt.late.rate)[kept]
    delay_ms = (rng.uniform(*dirt.late.delay_s, rows)[kept] * 1000).astype(np.int64)
    chosen &= at_ms + delay_ms <= at_ms[-1:]
    return np.where(chosen, at_ms + delay_ms, at_ms), chosen


def _damage(rows: int, dirt: Dirt, streams: Streams) -> Int64:
    rng = streams.of_sequence("rubbish")
    chosen = rng.random(rows) < dirt.rubbish.rate
    return np.where(chosen, rng.integers(len(DAMAGES), size=rows), WHOLE).astype(np.int64)


def _copies(originals: Records, sequence: SequenceData, soiled: SoiledValues, dirt: Dirt, streams: Streams) -> Records:
    """The records that come a second time."""
    rng, figures, rows = streams.of_sequence("duplicate"), dirt.duplicate, sequence.rows
    chosen = rng.random(rows) < figures.rate
    delay_ms = (rng.uniform(*figures.delay_s, rows) * 1000).astype(np.int64)
    altered = rng.random(rows) < figures.altered_share
    which = np.flatnonzero(chosen[originals.row])
    row = originals.row[which]
    values = soiled.values[row]
    noise = rng.standard_normal((int(chosen.sum()), values.shape[1]))[np.searchsorted(np.flatnonzero(chosen), row)]
    change = figures.altered_sd * noise * spreads(sequence.values)
    touched = np.zeros((len(which), len(KINDS)), np.int32)
    touched[:, _DUPLICATE] = 1
    return Records(
        at_ms=originals.at_ms[which] + delay_ms[row],
        row=row,
        event_time_ms=originals.event_time_ms[which],
        values=np.where(altered[row, None], values + change, values).astype(np.float32),
        absent=originals.absent[which],
        flags=originals.flags[which],
        damage=np.full(len(which), WHOLE, np.int64),
        touched=touched,
        begun=np.zeros_like(touched),
    )


def _arranged(originals: Records, copies: Records) -> Records:
    """Both together in the order of arrival; at the same instant older rows first, and a copy after its original."""
    is_copy = np.repeat([False, True], [len(originals.row), len(copies.row)])
    row, at_ms = (np.concatenate([getattr(one, name) for one in (originals, copies)]) for name in ("row", "at_ms"))
    order = np.lexsort((is_copy, row, at_ms))
    columns: dict[str, Any] = {
        field.name: np.concatenate([getattr(originals, field.name), getattr(copies, field.name)])[order]
        for field in fields(Records)
    }
    return Records(**columns)
