"""The dataset's form of dirt: a sequence as a worker's windows would have it after all that happened on the way."""

from dataclasses import replace

import numpy as np

from models.windows import WindowRules, plan_windows
from trainer.datasets.records import SequenceData
from trainer.dirt.arrival import WHOLE, Records, soil
from trainer.dirt.counts import DirtCounts
from trainer.dirt.draws import Int64
from trainer.dirt.figures import Dirt
from trainer.dirt.values import BAD

ACCEPTANCE = WindowRules(length=1, period_ms=1, stride=1, max_gap_ms=1)
"""Which scans are accepted depends on the order of their times alone: any rules answer it."""


def soiled(sequence: SequenceData, dirt: Dirt, seed: int, counts: DirtCounts | None = None) -> SequenceData:
    """Soil one sequence as `trainer stream --dirt` does, and keep what the rules of `models.windows` accept of it.

    Bad values and absent ones are NaN; event times are as stamped, by a clock that may be wrong by a little.

    Only one thing a worker sees cannot be told in scans of rising time: the tenth late scan in a row, with which its
    window goes back in time. What it had accepted from there on is left out here, in favour of what it accepted
    after; without that, the scans here are exactly the accepted ones.

    Args:
        sequence: clean scans of any sensors.
        dirt: how much of each kind.
        seed: the dirt's seed.
        counts: if given, what came of the sequence is added to it.

    Returns:
        The sequence under the same names, as many rows as remained, at worst none.
    """
    records = soil(sequence, dirt, seed)
    if counts is not None:
        counts.add(records.touched, records.begun)
    accepted = accepted_records(records, sequence.strand_id)
    time_ms = records.event_time_ms[accepted]
    later_ms = np.minimum.accumulate(np.append(time_ms, np.iinfo(np.int64).max)[::-1])[::-1][1:]
    accepted = accepted[time_ms < later_ms]
    row = records.row[accepted]
    heats = sequence.heat_id
    return replace(
        sequence,
        event_time_ms=records.event_time_ms[accepted],
        values=np.where(records.flags[accepted] == BAD, np.float32(np.nan), records.values[accepted]),
        seq=sequence.seq[row],
        heat_id=tuple(heats[index] for index in row.tolist()),
        strand_position_m=sequence.strand_position_m[row],
    )


def accepted_records(records: Records, strand_id: str) -> Int64:
    """Indices of the records whose scans a worker's window takes in, in the order of arrival: int64 [a]."""
    whole = np.flatnonzero(records.damage == WHOLE)
    return whole[plan_windows(records.event_time_ms[whole], strand_id, ACCEPTANCE).accepted].astype(np.int64)
