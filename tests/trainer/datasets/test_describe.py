"""The dataset card: counts worked out by hand, leaks told, the same card for the same dataset."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.command_line import run_trainer
from support.told_line import (
    SENSORS,
    told_event,
    told_events,
    told_sequence,
    write_imported_line,
    write_told_line,
)

from models.errors import ContractError
from models.features import Sensor
from trainer.datasets import scan_facts
from trainer.datasets.card import sections
from trainer.datasets.card_layout import Section, as_markdown, as_text
from trainer.datasets.dataset import Dataset
from trainer.datasets.describe import DatasetFacts, describe
from trainer.datasets.parquet import write_events
from trainer.datasets.writer import DatasetWriter


def run(*arguments: str) -> int:
    return run_trainer("describe", *arguments)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_told_line(tmp_path_factory.mktemp("told") / "data")


@pytest.fixture(scope="module")
def facts(told: Dataset) -> DatasetFacts:
    return describe(told)


def table(facts: DatasetFacts, title: str) -> list[tuple[str, ...]]:
    (part,) = [part for part in sections(facts) if part.title.startswith(title)]
    return list(part.rows)


def test_sizes_by_split(facts):
    assert [(split.split, split.sequences, split.rows) for split in facts.splits] == [
        ("train", 1, 100),
        ("validation", 1, 50),
        ("test", 1, 50),
    ]
    assert facts.rows == 200
    assert facts.strand_hours == pytest.approx(200 / 3600)
    assert facts.strands == 3


def test_class_balance_by_target_and_split(facts):
    assert {(row.target, row.split): (row.positive, row.left_out, row.negative) for row in facts.balance} == {
        # Detectable at 52 s, ends at 60 s; two seconds before cannot be told.
        ("sticker", "train"): (8, 2, 90),
        # Ten seconds, then five until the trace has gone.
        ("sticker", "validation"): (10, 5, 35),
        ("sticker", "test"): (0, 0, 50),
        # 15 to 30 s; 10 to 15 s and 30 to 40 s are left out.
        ("quality", "train"): (15, 15, 70),
        ("quality", "validation"): (0, 0, 50),
        ("quality", "test"): (20, 1, 29),
    }
    assert ("sticker", "validation", "10", "20.00 %", "10.00 %", "70.00 %") in table(facts, "Class balance")


def test_events_by_type_and_split_without_false_records(facts):
    assert [
        (count.type, count.target, count.imitates, tuple(count.splits.values())) for count in facts.events.counts
    ] == [
        ("sticker", "sticker", (), (1, 1, 0)),
        ("crack", "quality", (), (1, 0, 1)),
        ("film_fracture", None, ("sticker",), (1, 0, 0)),
        ("speed_step", None, (), (0, 0, 1)),
    ]
    assert facts.events.pairs == 1
    # Two in 200 s are 36 an hour.
    assert ("crack", "quality", "1", "0", "1", "2", "3600.0") in table(facts, "Defects")
    assert ("film_fracture", "sticker", "1", "0", "0", "1", "1800.0") in table(facts, "Look-alikes")


def test_shares_of_difficulty(facts):
    assert facts.events.difficulty == {
        "sticker": {"summary": 0, "partial": 1, "order": 0, "untagged": 1},
        "quality": {"summary": 1, "partial": 0, "order": 1, "untagged": 0},
    }
    assert table(facts, "Difficulty") == [
        ("sticker", "2", "0 %", "50.00 %", "0 %", "50.00 %"),
        ("quality", "2", "50.00 %", "0 %", "50.00 %", "0 %"),
    ]


def test_lead_times_of_what_had_an_impact(facts):
    crack, sticker = facts.events.lead_s["crack"], facts.events.lead_s["sticker"]
    assert (crack.count, crack.min, crack.median, crack.max) == (2, 15, 17.5, 20)
    assert (sticker.count, sticker.median) == (1, 10)


def test_plant_records(facts):
    records = facts.events.records
    assert records is not None
    sticker, crack = records.types
    # The sticker that healed left nothing to write down, so nobody missed it.
    assert (sticker.happened, sticker.missed, sticker.written, sticker.healed_recorded) == (1, 0, {"crack": 1}, 0)
    assert (crack.happened, crack.missed, crack.written) == (2, 1, {"crack": 1})
    assert records.false == {"crack": 1}
    assert records.look_alikes == {"film_fracture": 1}
    assert table(facts, "Plant records") == [
        ("sticker", "crack", "1", "0", "0 %", "4.0", "-"),
        ("crack", "crack", "2", "1", "50.00 %", "2.0", "0.5"),
    ]


def test_a_healed_defect_that_was_recorded_is_told_apart(tmp_path):
    event = replace(told_event("a-1", "a", "sticker", "sticker", 5, 9), healed=True, recorded_type="sticker")
    with DatasetWriter(
        tmp_path / "d", line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("sticker",)
    ) as writer:
        writer.add(told_sequence("a", 0, 30, 0), [event])
    records = describe(Dataset.open(tmp_path / "d")).events.records
    assert records is not None
    (sticker,) = records.types
    assert (sticker.happened, sticker.missed, sticker.healed_recorded) == (0, 0, 1)


def test_sensors_and_what_is_missing(facts):
    speed, flow, temperature = facts.sensors
    assert (speed.missing, flow.missing, temperature.missing) == (1 / 200, 75 / 200, 0)
    assert (temperature.min, temperature.median, temperature.max, temperature.unit) == (0, 99.5, 199, "°C")
    assert facts.median_step == 1
    assert facts.missing_splits == ("train", "validation", "test")
    assert facts.missing.tolist() == [[0.01, 0.25, 0], [0, 1, 0], [0, 0, 0]]
    assert table(facts, "Sensors")[1][:2] == ("sec_cool_zone2_flow_l_min", "L/min")
    assert table(facts, "Sensors")[1][-1] == "37.50 %"


def test_a_number_is_told_as_short_as_it_was_stored(facts):
    assert facts.sensors[0].max == float(str(np.float32(facts.sensors[0].max)))
    assert len(str(facts.sensors[0].max)) < 12


def test_a_sensor_that_shows_nothing_has_no_numbers(tmp_path):
    data = told_sequence("a", 0, 20, 0)
    data.values[:, 1] = np.nan
    data.values[4, 2] = np.inf
    with DatasetWriter(tmp_path / "d", line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("x",)) as writer:
        writer.add(data)
    _, nothing, temperature = describe(Dataset.open(tmp_path / "d")).sensors
    assert (nothing.min, nothing.median, nothing.max, nothing.missing) == (None, None, None, 1)
    assert (temperature.max, temperature.missing) == (19, 1 / 20)


def test_medians_of_much_are_of_a_part_of_it_also_of_a_sensor_slower_than_the_scans(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_facts, "SAMPLE_ROWS", 100)
    data = told_sequence("a", 0, 1000, 0)
    data.values[:, 1] = np.where(np.arange(1000) % 2, np.arange(1000), np.nan)
    with DatasetWriter(tmp_path / "d", line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("x",)) as writer:
        writer.add(data)
    facts = describe(Dataset.open(tmp_path / "d"))
    assert facts.median_step == 10
    # Of 5, 15, ... 995; of all it would be 499.5.
    assert facts.sensors[2].median == 500
    assert facts.sensors[1].median == pytest.approx(500, abs=20)
    assert (facts.sensors[2].min, facts.sensors[2].max) == (0, 999)


def test_the_printed_card_keeps_to_eighty_columns_whatever_the_names(tmp_path, capsys):
    long = "a_type_of_defect_with_a_name_that_a_whole_committee_has_agreed_upon_in_the_end"
    sensors = (Sensor(f"{long}_mm", "mm per furlong", -1e9, 1e9), Sensor("b_c", "°C", 0, 1))
    with DatasetWriter(
        tmp_path / "d", line=f"import/{long}/{long}", seed=1, period_ms=1000, sensors=sensors, targets=(long, "y")
    ) as writer:
        data = told_sequence("a", 0, 50, 0)
        event = replace(
            told_event("a-1", "a", long, long, 5, 9), difficulty="order", impact_ms=9000, recorded_type=long
        )
        other = replace(told_event("a-2", "a", long + "_2", None, 15, 19), look_alike_of=long, recorded_type=long)
        writer.add(replace(data, values=np.ascontiguousarray(data.values[:, :2]) * -1e7), [event, other])
    assert run(str(tmp_path / "d"), "--verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(tmp_path / "d")
    assert max(len(line) for line in lines[1:]) <= 80
    (line,) = [line for line in lines if "mm per furlong" in line]
    assert line.split()[-2:] == ["0", "%"]
    assert "… " in line


def test_numbers_stay_whole_where_names_give_way():
    part = Section("T", ("name", "n"), (("x" * 50, "1,234,567"), ("y", "5")))
    assert as_text([part], 24) == [
        "T",
        "  name                 n",
        f"  {'x' * 10}…  1,234,567",
        "  y                    5",
    ]


def test_markdown_is_whole_and_means_nothing_else():
    part = Section("a_b*c", ("name|x", "n"), (("<b>", "1"),), ("see [x]",))
    assert as_markdown([part]).splitlines() == [
        r"# a\_b\*c", "", r"| name\|x | n |", "| --- | ---: |", r"| \<b\> | 1 |", "", r"see \[x\]"
    ]  # fmt: skip


def test_the_command_prints_writes_and_verifies(told, tmp_path, capsys):
    assert run(str(told.path), "--out", str(tmp_path / "card"), "--verify") == 0
    printed = capsys.readouterr()
    for line in ("Dataset line/test, seed 4", "  fingerprint  " + told.info.fingerprint):
        assert line in printed.out.splitlines()
    assert "recomputed is the same" in printed.out
    assert "leaks        none" in printed.out
    written = [line for line in printed.err.splitlines() if line.startswith("wrote ")]
    assert [Path(line.removeprefix("wrote ")).name for line in written] == [
        "card.md", "card.json", "class-balance.svg", "missing-values.svg",
        "example-sticker.svg", "example-crack.svg", "example-speed-step.svg",
    ]  # fmt: skip


def test_json_is_one_object_with_the_same_facts(told, facts, capsys):
    assert run(str(told.path), "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"path": str(told.path), **json.loads(json.dumps(facts.as_dict()))}
    assert printed["events"]["difficulty"]["quality"]["order"] == 1
    assert printed["verified"] is None


def test_the_same_dataset_has_the_same_card_byte_for_byte_and_all_its_pictures(told, tmp_path):
    for name in ("one", "two"):
        copy = write_told_line(tmp_path / f"data-{name}")
        assert run(str(copy.path), "--out", str(tmp_path / name)) == 0
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    card = (tmp_path / "one" / "card.md").read_text(encoding="utf-8")
    pictures = [file for file in files if file.endswith(".svg")]
    assert [file for file in pictures if f"]({file})" not in card] == []
    assert card.count("![") == len(pictures) == 5
    assert str(tmp_path) not in card
    assert "Matched to this very defect: film fracture." in card
    facts = json.loads((tmp_path / "one" / "card.json").read_text(encoding="utf-8"))
    assert facts["fingerprint"] == told.info.fingerprint


def test_an_import_without_look_alikes_tags_or_records_is_described(tmp_path, capsys):
    dataset = write_imported_line(tmp_path / "d")
    assert run(str(dataset.path), "--out", str(tmp_path / "card")) == 0
    out = capsys.readouterr().out
    assert "Not tagged in this dataset." in out
    assert "None in this dataset: labels are the truth." in out
    assert "Simulated" not in out
    assert "Lead times" not in out
    assert sorted(path.name for path in (tmp_path / "card").iterdir()) == [
        "card.json", "card.md", "class-balance.svg", "example-anomaly.svg"
    ]  # fmt: skip
    assert "Nothing in this dataset is said to imitate it" in (tmp_path / "card" / "card.md").read_text("utf-8")


def test_an_empty_dataset_is_described(tmp_path, capsys):
    with DatasetWriter(tmp_path / "d", line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("x",)):
        pass
    assert run(str(tmp_path / "d"), "--out", str(tmp_path / "card")) == 0
    assert "0.0 strand-hours on 0 strands, 0 scans" in capsys.readouterr().out


def _two(path: Path, *, second_start_s: int, same: bool, strand: str, splits=("train", "test")) -> Path:
    with DatasetWriter(path, line="t", seed=1, period_ms=1000, sensors=SENSORS, targets=("x",)) as writer:
        writer.add(told_sequence("a", 0, 30, 0, "p1.c1.s1"), (), splits[0])
        second = told_sequence("b", 0 if same else 1, 30, 0, strand)
        writer.add(replace(second, event_time_ms=second.event_time_ms + second_start_s * 1000), (), splits[1])
    return path


@pytest.mark.parametrize(
    ("second_start_s", "same", "strand", "parts"),
    [
        # 29 s is the first one's last scan; a default window is 120 scans.
        (100, False, "p1.c1.s1", ["a pause of at least 120000 ms, got 71000 ms", "a (train) and b (test)"]),
        (100, True, "p1.c1.s2", ["got the same values", "a (train) and b (test)"]),
    ],
)
def test_a_leak_is_told_after_the_card_and_ends_with_1(tmp_path, capsys, second_start_s, same, strand, parts):
    data = _two(tmp_path / "d", second_start_s=second_start_s, same=same, strand=strand)
    assert run(str(data), "--out", str(tmp_path / "card")) == 1
    out, err = capsys.readouterr()
    assert "Sensors" in out
    (line,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert err.splitlines()[-1] == line
    for part in parts:
        assert part in line
    assert "leaks        none" not in out
    assert json.loads((tmp_path / "card" / "card.json").read_text("utf-8"))["leaks"]
    assert run(str(data), "--json") == 1
    assert len(json.loads(capsys.readouterr().out)["leaks"]) == 1


def test_what_lies_far_enough_apart_or_in_one_split_is_no_leak(tmp_path):
    far = _two(tmp_path / "far", second_start_s=149, same=False, strand="p1.c1.s1")
    assert describe(Dataset.open(far)).leaks == ()
    one = _two(tmp_path / "one", second_start_s=100, same=True, strand="p1.c1.s2", splits=("train", "train"))
    assert describe(Dataset.open(one)).leaks == ()


def test_altered_content_is_found_only_by_verify_and_ends_with_1(tmp_path, capsys):
    dataset = write_imported_line(tmp_path / "d")
    events = dataset.events()
    write_events(dataset.path / "events.parquet", [replace(events[0], position_m=7.0), *events[1:]])
    assert run(str(dataset.path)) == 0
    assert run(str(dataset.path), "--verify") == 1
    out, err = capsys.readouterr()
    assert "ALTERED" in out
    assert err.splitlines()[-1].startswith("error: expected fingerprint ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequence_id": "z"}, "expected a sequence of the dataset, got `z` at"),
        ({"target": "z"}, "expected a target of the dataset, got `z` at"),
        ({"difficulty": "hard"}, "expected a difficulty of the dataset, got `hard` at"),
    ],
)
def test_an_event_that_belongs_to_nothing_is_named(tmp_path, change, message):
    dataset = write_told_line(tmp_path / "d")
    write_events(dataset.path / "events.parquet", [replace(told_events()[0], **change)])
    with pytest.raises(ContractError, match=message):
        describe(Dataset.open(dataset.path))


def test_a_wrong_folder_is_one_line_and_1(tmp_path, capsys):
    assert run(str(tmp_path)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: expected a dataset's index, got no such file at")
    assert err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_told_before_the_reading(told, tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert run(str(told.path), "--out", str(tmp_path / "file")) == 1
    assert "reading" not in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"
