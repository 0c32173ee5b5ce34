"""Each kind of dirt on the way does what it says and nothing else; what is counted is what is found."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dirty_lines import DENSE, dense, line, seeds, sequences

from models.windows import Outcome, StrandTimeline
from trainer.datasets.records import SequenceData
from trainer.dirt.arrival import WHOLE, Records, soil
from trainer.dirt.dataset import ACCEPTANCE, accepted_records
from trainer.dirt.figures import KINDS, Kind, choose_dirt


def column(records: Records, kind: Kind) -> np.ndarray:
    return records.touched[:, KINDS.index(kind)]


def episodes(records: Records, kind: Kind) -> int:
    return int(records.begun[:, KINDS.index(kind)].sum())


def soiled_alone(sequence: SequenceData, kind: Kind, seed: int, **figures: object) -> Records:
    """Soil with one kind of arrival dirt; values of originals stay what they are."""
    records = soil(sequence, dense(kind, **{kind: figures}), seed)
    others = [index for index, other in enumerate(KINDS) if other != kind]
    assert not records.touched[:, others].any()
    assert not records.begun[:, others].any()
    original = np.ones(len(records.row), bool) if kind != "duplicate" else column(records, kind) == 0
    row = records.row[original]
    assert np.array_equal(records.values[original], sequence.values[row], equal_nan=True)
    assert not records.absent.any()
    assert not records.flags.any()
    if kind != "clock_skew":
        assert np.array_equal(records.event_time_ms, sequence.event_time_ms[records.row])
    if kind != "rubbish":
        assert (records.damage == WHOLE).all()
    if kind not in ("gap", "duplicate"):
        assert np.array_equal(np.sort(row), np.arange(sequence.rows))
    if kind not in ("late", "backfill"):
        assert np.array_equal(records.at_ms[original], sequence.event_time_ms[row])
    assert (np.diff(records.at_ms) >= 0).all()
    assert records.of_line.sum() == sequence.rows
    return records


@given(sequences, seeds)
def test_without_dirt_every_scan_arrives_as_it_is(sequence, seed):
    records = soil(sequence, choose_dirt([]), seed)
    assert np.array_equal(records.row, np.arange(sequence.rows))
    assert np.array_equal(records.at_ms, sequence.event_time_ms)
    assert np.array_equal(records.event_time_ms, sequence.event_time_ms)
    assert np.array_equal(records.values, sequence.values, equal_nan=True)
    assert not records.touched.any()
    assert not records.begun.any()
    assert not records.absent.any()
    assert not records.flags.any()
    assert (records.damage == WHOLE).all()


@given(sequences, seeds)
def test_the_same_seed_makes_the_same_dirt(sequence, seed):
    first, second = soil(sequence, dense(), seed), soil(sequence, dense(), seed)
    for name in Records.__dataclass_fields__:
        a, b = getattr(first, name), getattr(second, name)
        assert np.array_equal(a, b, equal_nan=a.dtype == np.float32)


def test_another_seed_or_another_sequence_makes_other_dirt():
    first, other = soil(line(400), dense(), 1), soil(line(400), dense(), 2)
    elsewhere = soil(line(400, seed=2), dense(), 1)
    assert not np.array_equal(first.row, other.row)
    assert not np.array_equal(first.row, elsewhere.row)


@given(sequences, seeds, st.sampled_from(KINDS))
def test_a_kind_that_is_off_leaves_the_others_as_they_were(sequence, seed, off):
    everything = soil(sequence, dense(), seed)
    without = soil(sequence, dense(*(kind for kind in KINDS if kind != off)), seed)
    assert not column(without, off).any()
    chosen: dict[str, list[dict[int, object]]] = {}
    for records in (everything, without):
        originals = column(records, "duplicate") == 0
        skew = records.event_time_ms - np.maximum(sequence.event_time_ms[records.row], 0)
        rows = records.row.tolist()
        of = {
            "missing_sensor": [tuple(absent) for absent in records.absent.tolist()],
            "clock_skew": skew.tolist(),
            "rubbish": records.damage.tolist(),
            "backfill": column(records, "backfill").tolist(),
            "late": column(records, "late").tolist(),
        }
        for kind, answers in of.items():
            chosen.setdefault(kind, []).append(
                {row: answer for row, answer, mine in zip(rows, answers, originals, strict=True) if mine}
            )
        copied = {row: not mine for row, mine in zip(rows, originals, strict=True) if not mine}
        chosen.setdefault("duplicate", []).append({row: copied.get(row, False) for row in rows})
        chosen.setdefault("gap", []).append(dict.fromkeys(rows, True))
    # What backfill and late do depends on the scans there are and when the sequence ends, so a gap may move them.
    compared = {"missing_sensor", "clock_skew", "rubbish", "duplicate"} | (
        {"backfill", "late"} if off != "gap" else set()
    )
    if off == "backfill":
        compared.discard("late")
    for kind in compared - {off}:
        first, second = chosen[kind]
        both = first.keys() & second.keys()
        assert {row: first[row] for row in both} == {row: second[row] for row in both}, kind
    if off != "gap":
        assert chosen["gap"][0] == chosen["gap"][1]


@given(sequences, seeds)
def test_a_gap_takes_scans_but_never_the_first_or_last(sequence, seed):
    records = soiled_alone(sequence, "gap", seed)
    step = np.diff(records.row)
    assert (step >= 1).all()
    assert column(records, "gap").sum() == sequence.rows - len(records.row)
    assert episodes(records, "gap") == (step > 1).sum()
    if sequence.rows:
        assert (records.row[0], records.row[-1]) == (0, sequence.rows - 1)


@given(sequences, seeds)
def test_the_clock_steps_and_stands_wrong_by_so_much(sequence, seed):
    records = soiled_alone(sequence, "clock_skew", seed)
    offset = records.event_time_ms - sequence.event_time_ms
    assert (np.abs(offset) <= 2000).all()
    assert (records.event_time_ms >= 0).all()
    if sequence.rows and sequence.event_time_ms[0] > 2000:
        assert np.array_equal(column(records, "clock_skew"), offset != 0)
        assert episodes(records, "clock_skew") == np.count_nonzero(np.diff(offset, prepend=0))


def test_the_clock_also_steps_backwards():
    records = soiled_alone(line(7200), "clock_skew", 1, rate=20)
    steps = np.diff(records.event_time_ms - line(7200).event_time_ms)
    assert (steps < 0).any()
    assert (steps > 0).any()
    assert len(accepted_records(records, "p1.c1.s1")) < 7200


@given(sequences, seeds)
def test_a_late_scan_comes_after_its_time_and_within_the_sequence(sequence, seed):
    records = soiled_alone(sequence, "late", seed)
    late = column(records, "late") == 1
    delay_ms = records.at_ms - records.event_time_ms
    assert (delay_ms[~late] == 0).all()
    assert ((delay_ms[late] >= 199) & (delay_ms[late] <= 8000)).all()
    assert (records.at_ms <= sequence.event_time_ms[-1:]).all()


@given(sequences, seeds)
def test_a_duplicate_tells_of_the_same_scan_again_and_later(sequence, seed):
    records = soiled_alone(sequence, "duplicate", seed)
    copy = column(records, "duplicate") == 1
    assert np.array_equal(records.row[~copy], np.arange(sequence.rows))
    place = {row: index for index, row in enumerate(records.row) if not copy[index]}
    for index in np.flatnonzero(copy):
        original = place[records.row[index]]
        assert original < index
        assert 0 <= records.at_ms[index] - records.at_ms[original] <= 1000


def test_some_duplicates_have_other_values():
    records = soiled_alone(line(7200), "duplicate", 1)
    copy = column(records, "duplicate") == 1
    clean = line(7200).values[records.row]
    altered = (np.nan_to_num(records.values - clean) != 0).any(axis=1)
    assert altered[copy].mean() == pytest.approx(0.2, abs=0.07)
    assert copy.mean() == pytest.approx(0.05, rel=0.15)


def test_duplicates_before_the_next_scan_are_duplicates_by_rule():
    records = soiled_alone(line(7200), "duplicate", 1, delay_s=(0, 0.3))
    timeline = StrandTimeline(ACCEPTANCE, "p1.c1.s1")
    outcomes = [timeline.observe(time).outcome for time in records.event_time_ms.tolist()]
    copy = column(records, "duplicate") == 1
    assert [outcome is Outcome.DUPLICATE for outcome in outcomes] == copy.tolist()


@given(sequences, seeds)
def test_rubbish_is_a_scan_mutilated(sequence, seed):
    records = soiled_alone(sequence, "rubbish", seed)
    assert np.array_equal(records.row, np.arange(sequence.rows))
    assert np.array_equal(records.damage != WHOLE, column(records, "rubbish") == 1)


@given(sequences, seeds)
def test_what_an_outage_kept_comes_when_the_link_is_up(sequence, seed):
    records = soiled_alone(sequence, "backfill", seed)
    kept = column(records, "backfill") == 1
    delay_ms = records.at_ms - records.event_time_ms
    assert (delay_ms >= 0).all()
    assert (records.at_ms <= sequence.event_time_ms[-1:]).all()
    # A live scan waits behind a queue at most as long as that takes to drain, at a hundred times the line's pace.
    assert (delay_ms[~kept] <= 0.02 * sequence.rows * 2000).all()
    assert episodes(records, "backfill") <= kept.sum()


def one_outage(way: str) -> tuple[SequenceData, Records]:
    """An hour with one outage of a minute, well within."""
    shares = {"in_order": (1, 0), "beside": (0, 1), "dumped": (0, 0)}[way]
    figures = {"rate": 1, "outage_s": (60, 60), "in_order_share": shares[0], "beside_share": shares[1]}
    sequence = line(7200)
    for seed in itertools.count():
        records = soiled_alone(sequence, "backfill", seed, **(DENSE["backfill"] | figures))
        rows = records.row[column(records, "backfill") == 1]
        if episodes(records, "backfill") == 1 and 100 < rows.min() < rows.max() < 6000:
            return sequence, records
    raise AssertionError


def outcomes(records: Records) -> dict[int, Outcome]:
    timeline = StrandTimeline(ACCEPTANCE, "p1.c1.s1")
    return {
        row: timeline.observe(time).outcome
        for row, time in zip(records.row.tolist(), records.event_time_ms.tolist(), strict=True)
    }


def test_a_queue_that_is_drained_in_order_loses_nothing():
    sequence, records = one_outage("in_order")
    assert np.array_equal(records.row, np.arange(sequence.rows))
    assert column(records, "backfill").sum() in (119, 120, 121)
    assert set(outcomes(records).values()) == {Outcome.USED}


def test_what_trickles_in_beside_live_scans_is_late_all_of_it():
    _, records = one_outage("beside")
    kept = set(records.row[column(records, "backfill") == 1].tolist())
    assert {row for row, outcome in outcomes(records).items() if outcome is Outcome.LATE} == kept


def test_what_is_dumped_after_live_scans_sets_the_window_back_with_the_tenth():
    _, records = one_outage("dumped")
    kept = records.row[column(records, "backfill") == 1]
    judged = outcomes(records)
    assert [judged[row] for row in kept[:10].tolist()] == [Outcome.LATE] * 9 + [Outcome.USED]
    assert sum(outcome is Outcome.LATE for outcome in judged.values()) < len(kept) / 2


def test_at_the_rates_of_a_plant_the_shares_are_what_was_asked_for():
    sequence = line(200_000)
    records = soil(sequence, choose_dirt(["late", "duplicate", "rubbish"]), 1)
    for kind, share in (("late", 0.005), ("duplicate", 0.003), ("rubbish", 0.0005)):
        assert column(records, kind).sum() / sequence.rows == pytest.approx(share, rel=0.25)
