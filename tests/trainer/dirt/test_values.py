"""Each kind of dirt in values does what it says and nothing else; what is counted is what is found."""

import numpy as np
import pytest
from hypothesis import given
from support.dirty_lines import dense, line, seeds, sequences

from trainer.datasets.records import SequenceData
from trainer.dirt.arrival import WHOLE, Records, soil
from trainer.dirt.figures import KINDS, VALUE_KINDS
from trainer.dirt.values import BAD, GOOD, UNCERTAIN, spreads


def different(records: Records, sequence: SequenceData) -> np.ndarray:
    """[n, sensors]: which values are not what they were."""
    return ~((records.values == sequence.values) | (np.isnan(records.values) & np.isnan(sequence.values)))


def soiled_alone(sequence: SequenceData, kind: str, seed: int) -> Records:
    """Soil with one kind of value dirt; scans come as they would have."""
    before = sequence.values.copy()
    records = soil(sequence, dense(kind), seed)
    assert np.array_equal(sequence.values, before, equal_nan=True)
    assert np.array_equal(records.row, np.arange(sequence.rows))
    assert np.array_equal(records.event_time_ms, sequence.event_time_ms)
    assert np.array_equal(records.at_ms, sequence.event_time_ms)
    assert (records.damage == WHOLE).all()
    assert not records.begun.any()
    others = [index for index, other in enumerate(KINDS) if other != kind]
    assert not records.touched[:, others].any()
    if kind != "missing_sensor":
        assert not records.absent.any()
    if kind != "quality":
        assert (records.flags == GOOD).all()
        found = different(records, sequence).sum(axis=1)
        assert np.array_equal(records.touched[:, KINDS.index(kind)], found)
    return records


@given(sequences, seeds)
def test_a_missing_sensor_is_not_named_for_a_while(sequence, seed):
    records = soiled_alone(sequence, "missing_sensor", seed)
    assert np.isnan(records.values[records.absent]).all()
    assert not different(records, sequence)[~records.absent].any()


@given(sequences, seeds)
def test_a_stuck_sensor_shows_what_it_showed(sequence, seed):
    records = soiled_alone(sequence, "stuck", seed)
    for column, is_stuck in enumerate(different(records, sequence).T):
        shown = records.values[:, column]
        for row in np.flatnonzero(is_stuck):
            before = shown[:row][~np.isnan(shown[:row])]
            assert shown[row] == before[-1]


@given(sequences, seeds)
def test_a_drifting_sensor_still_speaks(sequence, seed):
    records = soiled_alone(sequence, "drift", seed)
    assert np.array_equal(np.isnan(records.values), np.isnan(sequence.values))


def test_a_drift_grows_steadily_and_ends():
    sequence, found = line(7200), 0
    sequence.values[np.isnan(sequence.values)] = 50
    for seed in range(20):
        records = soil(sequence, dense("drift", drift={"rate": 2, "duration_min": (5, 10)}), seed)
        off = np.abs(records.values.astype(np.float64) - sequence.values)
        rows, columns = np.nonzero(off > 1e-3)
        if len(set(columns)) != 1 or np.diff(rows).max() > 1 or rows[-1] == sequence.rows - 1:
            continue  # not one whole episode
        found += 1
        grown = off[rows, columns]
        assert (np.diff(grown) > -1e-4).all()
        assert 2 <= grown[-1] / spreads(sequence.values)[columns[0]] <= 8
        assert 5 * 60 <= len(rows) / 2 + 1 <= 10 * 60 + 1
    assert found > 2


@given(sequences, seeds)
def test_a_drop_out_takes_single_values(sequence, seed):
    records = soiled_alone(sequence, "drop_out", seed)
    assert np.isnan(records.values[different(records, sequence)]).all()


@given(sequences, seeds)
def test_a_bad_value_is_there_and_wrong_and_an_uncertain_one_is_right(sequence, seed):
    records = soiled_alone(sequence, "quality", seed)
    assert np.array_equal(records.touched[:, KINDS.index("quality")], (records.flags != GOOD).sum(axis=1))
    assert not np.isnan(records.values[records.flags != GOOD]).any()
    assert different(records, sequence)[records.flags == BAD].all()
    assert not different(records, sequence)[records.flags != BAD].any()


def test_shares_are_about_what_was_asked_for():
    sequence = line(7200)
    for kind, share in (("drop_out", 0.05), ("quality", 0.05)):
        touched = soil(sequence, dense(kind), 1).touched[:, KINDS.index(kind)].sum()
        assert touched / sequence.values.size == pytest.approx(share, rel=0.15)
    flags = soil(sequence, dense("quality"), 1).flags
    assert (flags == UNCERTAIN).sum() == pytest.approx((flags == BAD).sum(), rel=0.25)


def test_a_sensor_that_never_moves_or_never_speaks_can_be_soiled():
    sequence = line(400)
    sequence.values[:, 0], sequence.values[:, 1], sequence.values[:, 2] = 3.0, np.nan, 0.0
    records = soil(sequence, dense(*VALUE_KINDS), 3)
    assert np.isnan(records.values[:, 1]).all()
    assert (records.flags[:, 1] == GOOD).all()
    assert np.isfinite(records.values[:, 0]).any()
