"""The two forms of dirt hold to each other: what datasets keep is what a worker's windows take of the stream."""

import numpy as np
import pytest
from hypothesis import given
from support.dirty_lines import SENSORS, dense, line, row_of, seeds, sequences

from models.errors import MessageError
from models.messages import SensorScan, decode_scan, encode
from models.strand_window import StrandWindow
from models.windows import Outcome, WindowRules
from trainer.datasets.records import SequenceData
from trainer.dirt.arrival import soil
from trainer.dirt.counts import DirtCounts
from trainer.dirt.dataset import accepted_records, soiled
from trainer.dirt.figures import KINDS, choose_dirt
from trainer.dirt.ledger import Ledger
from trainer.dirt.rubbish import DAMAGES, mangled
from trainer.dirt.stream import Arrival, Soil, arrivals

RULES = WindowRules(length=5, period_ms=500, stride=2, max_gap_ms=3000)


def streamed(sequence: SequenceData, seed: int) -> list[Arrival]:
    return list(arrivals(sequence, SENSORS, Soil(dense(), seed)))


@given(sequences, seeds)
def test_a_dataset_holds_the_scans_that_windows_take_of_the_stream(sequence, seed):
    window = StrandWindow(RULES, sequence.strand_id, len(SENSORS))
    taken: list[tuple[SensorScan, np.ndarray]] = []
    for arrival in streamed(sequence, seed):
        if arrival.damage is not None:
            continue
        scan = decode_scan(arrival.encoded())
        if window.push(scan.event_time_ms, row_of(scan, SENSORS)).outcome is Outcome.USED:
            # A window that goes back in time forgets what it had from there on.
            while taken and taken[-1][0].event_time_ms >= scan.event_time_ms:
                taken.pop()
            taken.append((scan, window.rows[-1].copy()))
    kept = soiled(sequence, dense(), seed)
    assert kept.event_time_ms.tolist() == [scan.event_time_ms for scan, _ in taken]
    rows = np.array([row for _, row in taken]).reshape(-1, len(SENSORS))
    assert np.array_equal(kept.values, rows, equal_nan=True)
    assert kept.seq.tolist() == [scan.seq for scan, _ in taken]
    assert list(kept.heat_id) == [scan.heat_id for scan, _ in taken]
    assert kept.strand_position_m.tolist() == [scan.strand_position_m for scan, _ in taken]
    assert (kept.sequence_id, kept.strand_id) == (sequence.sequence_id, sequence.strand_id)


def test_without_a_way_back_in_time_a_dataset_holds_every_accepted_scan():
    sequence, kinds = line(7200), tuple(kind for kind in KINDS if kind != "backfill")
    records = soil(sequence, dense(*kinds, clock_skew={"offset_s": (-0.9, 0.9)}), 1)
    accepted = accepted_records(records, sequence.strand_id)
    kept = soiled(sequence, dense(*kinds, clock_skew={"offset_s": (-0.9, 0.9)}), 1)
    assert kept.event_time_ms.tolist() == records.event_time_ms[accepted].tolist()
    assert 0.5 * 7200 < kept.rows < 7200


@given(sequences, seeds)
def test_a_clean_line_is_left_alone_in_either_form(sequence, seed):
    clean = choose_dirt([])
    kept = soiled(sequence, clean, seed)
    assert np.array_equal(kept.event_time_ms, sequence.event_time_ms)
    assert np.array_equal(kept.values, sequence.values, equal_nan=True)
    assert (kept.seq.tolist(), kept.heat_id) == (sequence.seq.tolist(), sequence.heat_id)
    plain = [(one.at_ms, one.encoded()) for one in arrivals(sequence, SENSORS, None)]
    assert [(one.at_ms, one.encoded()) for one in arrivals(sequence, SENSORS, Soil(clean, seed))] == plain
    assert [at_ms for at_ms, _ in plain] == sequence.event_time_ms.tolist()


@given(sequences, seeds)
def test_the_books_tell_what_was_sent_and_what_windows_make_of_it(sequence, seed):
    ledger, counts, window = Ledger(), DirtCounts(), StrandWindow(RULES, sequence.strand_id, len(SENSORS))
    found = dict.fromkeys(("used", "duplicate", "late", "invalid"), 0)
    sent = streamed(sequence, seed)
    for arrival in sent:
        ledger.note(arrival)
        try:
            scan = decode_scan(arrival.encoded())
        except MessageError:
            found["invalid"] += 1
        else:
            found[window.push(scan.event_time_ms, row_of(scan, SENSORS)).outcome.value] += 1
    assert ledger.samples == found
    assert sum(found.values()) == len(sent)
    soiled(sequence, dense(), seed, counts)
    told = ledger.dirt.as_dict()
    assert told == counts.as_dict()
    assert told["rubbish"]["scans"] == found["invalid"]
    assert len(sent) == sequence.rows - told["gap"]["scans_lost"] + told["duplicate"]["scans"]
    assert sum(arrival.of_line for arrival in sent) == sequence.rows


@given(sequences, seeds)
def test_absent_null_and_flagged_values_are_told_as_such(sequence, seed):
    records = soil(sequence, dense(), seed)
    for index, arrival in enumerate(streamed(sequence, seed)):
        scan, flags = arrival.scan, records.flags[index]
        assert [name not in scan.values for name in SENSORS] == records.absent[index].tolist()
        assert {name for name, value in scan.values.items() if value is None} == {
            name
            for name, value, absent in zip(SENSORS, records.values[index], records.absent[index], strict=True)
            if np.isnan(value) and not absent
        }
        wanted = {1: "uncertain", 2: "bad"}
        assert scan.quality == {name: wanted[flag] for name, flag in zip(SENSORS, flags.tolist(), strict=True) if flag}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("values", [{}, {"mould_level_mm": 0.4, "größe": None}])
def test_rubbish_is_never_a_valid_scan(damage, values):
    value = encode(SensorScan(strand_id="p1.c1.s1", event_time_ms=1, values=values, heat_id="Häät"))
    with pytest.raises(MessageError):
        decode_scan(mangled(value, damage))


def test_counts_of_several_sequences_add_up():
    counts, each = DirtCounts(), [DirtCounts(), DirtCounts()]
    for seed, alone in enumerate(each):
        soiled(line(400, seed=seed), dense(), 1, counts)
        soiled(line(400, seed=seed), dense(), 1, alone)
    assert (counts.scans == each[0].scans + each[1].scans).all()
    assert (counts.values == each[0].values + each[1].values).all()
    assert (counts.episodes == each[0].episodes + each[1].episodes).all()
    assert counts.episodes.sum() > 0
