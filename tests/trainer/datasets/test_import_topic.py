"""Records of a topic as a dataset: what a worker would have taken in, cut into casting sequences."""

import itertools
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bundles import manifest, write_bundle

from models.errors import ContractError, UsageError
from models.features import Sensor
from models.frames import ScanFrame, encode_frame, sensor_set
from models.messages import SensorScan, decode_scan, encode
from models.windows import WindowRules, plan_windows
from trainer import cli
from trainer.commands.topic_range import moment_ms
from trainer.datasets.dataset import Dataset
from trainer.datasets.importers.recorded import ImportReport
from trainer.datasets.importers.strand_scans import CastingSequences, EventTimeRange
from trainer.datasets.importers.topic import import_topic
from trainer.datasets.integrity import check_integrity
from trainer.datasets.records import SequenceData
from trainer.dirt.stream import Arrival
from trainer.packing import Frames

RULES = WindowRules(length=4, period_ms=100, stride=1, max_gap_ms=300)
PAUSE_MS = 400
BEGIN = 1_000_000
ALL = EventTimeRange(0)
BUNDLE = manifest(RULES, [Sensor("level_mm", "mm", -9.0, 9.0), Sensor("tc_c", "°C", 0.0, 400.0)], targets=["sticker"])


def record(step: int, strand: str = "p1.c1.s1", **fields: object) -> bytes:
    scan = SensorScan(strand_id=strand, event_time_ms=BEGIN + 100 * step, values={"level_mm": step, "tc_c": 1.5})
    return encode(msgspec.structs.replace(scan, **fields))


def cut(values: Iterable[bytes | None], within: EventTimeRange = ALL) -> tuple[list[SequenceData], CastingSequences]:
    cutter = CastingSequences(BUNDLE.sensor_names, RULES, within)
    found = [sequence for value in values for sequence in cutter.take(value)]
    return [*found, *cutter.end_partition()], cutter


def steps(sequence: SequenceData) -> list[int]:
    return ((sequence.event_time_ms - BEGIN) // 100).tolist()


def test_a_sequence_ends_at_a_silence_longer_than_a_window_and_is_given_out_at_once():
    cutter = CastingSequences(BUNDLE.sensor_names, RULES, ALL)
    before = [0, 1, 2, 3, 7]  # 400 ms after the last: as long as a window, not longer
    assert [list(cutter.take(record(step))) for step in before] == [[]] * 5
    (sequence,) = cutter.take(record(12))
    assert steps(sequence) == before
    assert list(cutter.end_partition()) == []
    assert cutter.counts["short"] == 1


def test_null_bad_and_absent_values_are_missing_and_unknown_sensors_are_counted():
    values = {"level_mm": None, "tc_c": 7.0, "speed": 1.0}
    odd = [record(0, values=values), record(1, quality={"tc_c": "bad"}), record(2, values={})]
    (sequence,), cutter = cut([*odd, record(3, quality={"tc_c": "uncertain"})])
    np.testing.assert_array_equal(sequence.values, np.float32([[np.nan, 7], [1, np.nan], [np.nan, np.nan], [3, 1.5]]))
    assert cutter.counts["unknown_values"] == 1
    assert cutter.observed.tolist() == [2, 2]


def test_rubbish_duplicates_and_late_scans_are_left_out_and_counted():
    order = [0, 1, 2, 2, 4, 3, 5, 6]
    rubbish = [None, b"", b"{", b"\x00\x01", b"[]", record(7, values={"level_mm": 1e300})]
    (sequence,), cutter = cut([*map(record, order), *rubbish])
    assert steps(sequence) == [0, 1, 2, 4, 5, 6]
    assert cutter.counts == {"records": 14, "invalid": 6, "duplicate": 1, "late": 1, "used": 6, "unknown_values": 0}
    assert cutter.invalid == {"empty": 2, "malformed": 1, "encoding": 1, "schema": 2}


def test_what_was_taken_in_ahead_of_a_clock_set_back_gives_way_to_what_came_after():
    ahead, back = [0, 1, 2, 3, 20, 21, 22, 23], list(range(4, 18))
    sequences, cutter = cut(map(record, [*ahead, *back]))
    # Nine late scans go before the strand is believed.
    assert [steps(sequence) for sequence in sequences] == [[0, 1, 2, 3], [13, 14, 15, 16, 17]]
    assert cutter.counts["late"] == 9
    assert cutter.counts["set_back"] == 4


def test_what_was_sent_late_after_an_outage_is_kept_from_a_silence_after_what_is_finished():
    before, live, buffered = range(6), range(30, 33), range(6, 30)
    sequences, cutter = cut(map(record, [*before, *live, *buffered, *range(33, 36)]))
    # Nine of the buffer go before the strand is believed: 6 to 14; the silence after 5 ends with 9.
    assert [steps(sequence) for sequence in sequences] == [list(before), [*range(15, 30), 33, 34, 35]]
    assert (cutter.counts["late"], cutter.counts["set_back"], cutter.counts["overlapping"]) == (9, 3, 0)


def test_a_strand_in_two_partitions_is_taken_from_the_first_and_then_a_silence_later():
    cutter = CastingSequences(BUNDLE.sensor_names, RULES, ALL)
    ended: list[list[int]] = []
    for partition in (range(6), range(3, 20)):
        assert not [sequence for step in partition for sequence in cutter.take(record(step))]
        ended += [steps(sequence) for sequence in cutter.end_partition()]
    assert ended == [list(range(6)), list(range(10, 20))]
    assert cutter.counts["overlapping"] == 7


def test_scans_are_kept_by_event_time_while_the_rules_see_all():
    within = EventTimeRange(BEGIN + 200, BEGIN + 800)
    (sequence,), cutter = cut(map(record, [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]), within)
    assert steps(sequence) == [3, 4, 5, 6, 7]
    assert (cutter.counts["outside"], cutter.counts["late"]) == (4, 1)


def test_a_strand_keeps_its_heats_positions_and_numbers_where_all_scans_have_one():
    told = [record(step, seq=7 + step, heat_id=f"H{step // 2}", strand_position_m=step / 2) for step in range(4)]
    (sequence,), _ = cut(told)
    assert sequence.seq.tolist() == [7, 8, 9, 10]
    assert sequence.heat_id == ("H0", "H0", "H1", "H1")
    assert sequence.strand_position_m.tolist() == [0, 0.5, 1, 1.5]
    (sequence,), _ = cut([*told[:3], record(3)])
    assert sequence.seq.tolist() == [0, 1, 2, 3]
    assert sequence.heat_id[-1] is None
    assert np.isnan(sequence.strand_position_m[-1])


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["p1.c1.s1", "p1.c1.s2"]), st.integers(0, 60)),
            st.none(),
        ),
        max_size=120,
    )
)
def test_every_record_is_counted_once_and_what_is_kept_was_accepted(order: list[tuple[str, int] | None]):
    values = [None if one is None else record(one[1], one[0]) for one in order]
    sequences, cutter = cut(values)
    kinds = ("used", "invalid", "duplicate", "late", "set_back", "short", "overlapping")
    assert sum(cutter.counts[kind] for kind in kinds) == cutter.counts["records"] == len(order)
    assert sum(sequence.rows for sequence in sequences) == cutter.counts["used"]
    for strand in ("p1.c1.s1", "p1.c1.s2"):
        times = np.array([BEGIN + 100 * one[1] for one in order if one is not None and one[0] == strand], np.int64)
        accepted = times[plan_windows(times, strand, RULES).accepted]
        ours = sorted(
            (sequence.event_time_ms for sequence in sequences if sequence.strand_id == strand), key=lambda one: one[0]
        )
        assert set(np.concatenate([np.empty(0, np.int64), *ours])) <= set(accepted)
        assert all(after[0] - before[-1] > PAUSE_MS for before, after in itertools.pairwise(ours))
        if accepted.size and (np.diff(accepted) > 0).all():
            # No clock was set back: nothing but short stretches is left out.
            ends = np.flatnonzero(np.diff(accepted) > PAUSE_MS) + 1
            assert [part.tolist() for part in np.split(accepted, ends) if part.size >= RULES.length] == [
                one.tolist() for one in ours
            ]


def heats(period: int = 1) -> list[tuple[int, bytes]]:
    """Two strands in two partitions, five heats each of twenty scans."""
    return [
        (strand, record(100 * heat + period * step, f"p1.c1.s{strand}", seq=strand * 1000 + step))
        for strand in (1, 2)
        for heat in range(5)
        for step in range(20)
    ]


def write_events(path: Path, *rows: tuple[int, int, str], iso: bool = False) -> Path:
    """A csv with an event from step 5 to 9 of each (strand, heat)."""
    moments = [
        (strand, target, *(BEGIN + 10_000 * heat + 100 * step for step in (5, 9))) for strand, heat, target in rows
    ]
    lines = [f"p1.c1.s{strand},{target},{start},{end}" for strand, target, start, end in moments]
    if iso:
        lines = [
            f"p1.c1.s{strand},{target},{np.datetime64(start, 'ms')}+00:00,{np.datetime64(end, 'ms')}Z"
            for strand, target, start, end in moments
        ]
    path.write_text("\n".join(["run,target,start,end", *lines]) + "\n")
    return path


STICKERS = [(1, 0, "sticker"), (1, 1, "sticker"), (2, 2, "sticker"), (2, 3, "sticker"), (1, 4, "quality")]


def load(tmp_path: Path, name: str = "out", records: list[tuple[int, bytes]] | None = None, **options: object):
    events = write_events(tmp_path / "events.csv", *STICKERS)
    given = {"topic": "t", "within": ALL, **options}
    report = import_topic(lambda: records or heats(), BUNDLE, events, tmp_path / name, **given)
    assert isinstance(report, ImportReport)
    return report, Dataset.open(tmp_path / name)


def test_an_import_is_a_dataset_of_the_bundles_sensors_with_the_tables_events(tmp_path: Path):
    report, dataset = load(tmp_path)
    check_integrity(dataset, RULES)
    assert dataset.info.sensors == tuple(BUNDLE.sensors)
    assert dataset.info.targets == ("sticker", "quality")
    assert dataset.info.line == report.importer == "import/kafka"
    assert (report.sequences, report.rows, report.counts["strands"]) == (10, 200, 2)
    assert report.events == {"sticker": 4, "quality": 1}
    for split in ("train", "validation", "test"):
        held = [event.target for info in dataset.sequences(split) for event in dataset.events(info.sequence_id)]
        assert "sticker" in held
    event = dataset.events()[0]
    assert (event.strand_id, event.onset_ms, event.end_ms) == ("p1.c1.s1", BEGIN + 500, BEGIN + 900)


def test_the_same_records_and_seed_give_the_same_dataset_and_another_seed_other_splits(tmp_path: Path):
    fingerprints = [load(tmp_path, f"out{index}", seed=seed)[0].fingerprint for index, seed in enumerate((1, 1, 2))]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]


def framed(records: list[tuple[int, bytes]], scans: int) -> list[tuple[int, bytes | None]]:
    """The same scans in packed frames, a partition after another."""
    found: list[tuple[int, bytes | None]] = []
    for partition, of_it in itertools.groupby(records, lambda record: record[0]):
        packing = Frames(BUNDLE.sensor_names, scans)
        arrivals = [Arrival(scan.event_time_ms, scan) for scan in (decode_scan(value) for _, value in of_it)]
        packed = [one for arrival in arrivals for one in packing.take(arrival)]
        found += [(partition, one.value) for one in [*packed, *packing.rest()]]
    return found


@pytest.mark.parametrize("scans", [1, 7])
def test_packed_frames_give_the_same_dataset_as_scans_in_json(tmp_path: Path, scans: int):
    expected = load(tmp_path)[0]
    records = framed(heats(), scans)
    report = load(tmp_path, "framed", records, encoding="packed")[0]
    assert len(records) < len(heats()) or scans == 1
    assert report.fingerprint == expected.fingerprint
    assert report.counts == {**expected.counts, "records": len(records)}


def test_a_frame_of_other_sensors_or_none_at_all_is_left_out_and_counted():
    other = encode_frame(ScanFrame("p1.c1.s1", BEGIN, 100, np.ones((2, 2), np.float32)), sensor_set(["a", "b"]))
    cutter = CastingSequences(BUNDLE.sensor_names, RULES, ALL, "packed")
    assert [list(cutter.take(value)) for value in (other, record(0), None)] == [[]] * 3
    assert cutter.invalid == {"schema": 1, "encoding": 1, "empty": 1}


def test_events_in_iso_times_are_the_same_as_in_milliseconds(tmp_path: Path):
    expected = load(tmp_path)[0].fingerprint
    events = write_events(tmp_path / "events.csv", *STICKERS, iso=True)
    assert import_topic(heats, BUNDLE, events, tmp_path / "iso", topic="t", within=ALL).fingerprint == expected


@pytest.mark.parametrize(
    ("records", "rows", "options", "expected"),
    [
        (
            heats()[:3],
            STICKERS,
            {},
            "expected scans for a window of 4 between --from and --to, got 3 records, 3 short scans",
        ),
        (heats(period=2), STICKERS, {}, "expected a scan period of 100 ms, got a median step of 200 ms at topic t"),
        (heats(), STICKERS[4:], {}, "expected at least one positive of `sticker`, got none at "),
        (heats(), [(1, 99, "sticker")], {"within": EventTimeRange(0, BEGIN)}, "expected an event between --from and"),
        (heats(), [(1, 0, "")], {}, "expected a target's name, got `` at "),
        ([(1, record(step, values={"tc_c": 1})) for step in range(9)], STICKERS, {}, "expected values of each sensor"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_and_nothing_is_left(
    records: list[tuple[int, bytes]],
    rows: list[tuple[int, int, str]],
    options: dict[str, EventTimeRange],
    expected: str,
    tmp_path: Path,
):
    events = write_events(tmp_path / "events.csv", *rows)
    with pytest.raises(ContractError, match="^" + expected.replace("(", r"\(")):
        import_topic(lambda: records, BUNDLE, events, tmp_path / "out", **{"topic": "t", "within": ALL, **options})
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-25T06:00:00Z", 1_795_586_400_000),
        ("2026-11-25T07:00:00+01:00", 1_795_586_400_000),
        ("2026-11-25 06:00:00.250", 1_795_586_400_250),
        ("2026-11-25", 1_795_564_800_000),
        ("1795586400000", 1_795_586_400_000),
    ],
)
def test_times_are_iso_in_utc_or_milliseconds(text: str, expected: int):
    assert moment_ms(text, "--from") == expected


@given(st.text(max_size=20))
def test_a_time_is_one_or_a_mistake(text: str):
    with suppress(UsageError):
        assert 0 <= moment_ms(text, "--from") <= 253_402_300_799_999


def test_a_broker_that_is_not_there_ends_the_import_in_time_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_bundle(tmp_path / "bundle")
    write_events(tmp_path / "events.csv", *STICKERS)
    monkeypatch.chdir(tmp_path)
    where = ("--bootstrap", "127.0.0.1:1", "--timeout", "0.3", "--from", "1970-01-01", "--events", "events.csv")
    monkeypatch.setattr(sys, "argv", ["trainer", "import", "kafka", *where, "--bundle", "bundle", "--out", "out"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("error: expected a broker within 0.3 s, got none at 127.0.0.1:1 (")
    assert told.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "events.csv"]
