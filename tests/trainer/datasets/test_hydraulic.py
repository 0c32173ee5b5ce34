"""The hydraulic importer, on small files of its shape and, where they are there, on the data themselves."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.errors import ContractError, UsageError
from models.features import check_units
from models.windows import WindowRules, plan_windows
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.datasets.importers.hydraulic import CHANNELS, import_hydraulic
from trainer.datasets.integrity import check_integrity
from trainer.datasets.labels import label_at

# cooler, valve, pump, accumulator, stable: four conditions, one of which comes back.
CONDITIONS = ["3\t100\t0\t130\t1", "3\t73\t0\t130\t0", "20\t90\t1\t90\t0", "3\t100\t0\t130\t0"]
CYCLES = [CONDITIONS[index] for index in (0, 0, 1, 2, 2, 2, 3)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven cycles in four blocks; the value of a cell is its cycle and second."""
    folder = tmp_path / "hydraulic"
    folder.mkdir()
    for channel in CHANNELS:
        rows = ["\t".join(f"{cycle}.{second:02d}" for second in range(60)) for cycle in range(len(CYCLES))]
        (folder / f"{channel}.txt").write_text("\n".join(rows) + "\n")
    (folder / "profile.txt").write_text("\n".join(CYCLES) + "\n")
    return folder


def test_blocks_become_sequences_and_cycles_windows(source, tmp_path):
    report = import_hydraulic(source, tmp_path / "out")
    assert report.counts == {
        "cycles": 7,
        "blocks": 4,
        "valve_cycles": 4,
        "accumulator_cycles": 3,
        "unstable_cycles": 2,
    }
    assert (report.sequences, report.rows, report.events) == (4, 420, {"valve": 2, "accumulator": 1})
    dataset = Dataset.open(tmp_path / "out")
    check_units(dataset.info.sensors)
    rules = WindowRules(60, 1000, 60, 10_000)
    check_integrity(dataset, rules)
    for name, cycles in [("block-001", (0, 1)), ("block-002", (2,)), ("block-003", (3, 4, 5)), ("block-004", (6,))]:
        sequence = dataset.load(name)
        assert sequence.strand_id == f"hydraulic.rig.{name}"
        assert set(np.diff(sequence.event_time_ms).tolist()) == {1000}
        plan = plan_windows(sequence.event_time_ms, sequence.strand_id, rules)
        ends = plan.accepted[plan.due[plan.full]]
        assert sequence.values[ends, 0].tolist() == [np.float32(cycle + 0.59) for cycle in cycles]


def test_a_condition_that_comes_back_is_another_block(source, tmp_path):
    import_hydraulic(source, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    first, last = dataset.load("block-001"), dataset.load("block-004")
    assert (first.rows, last.rows) == (120, 60)
    assert dataset.events("block-001") == dataset.events("block-004") == []


def test_the_condition_holds_for_the_whole_of_its_cycles(source, tmp_path):
    import_hydraulic(source, tmp_path / "out")
    dataset = Dataset.open(tmp_path / "out")
    assert {event.type for event in dataset.events()} == {
        "valve_close_to_failure",
        "valve_small_lag",
        "accumulator_close_to_failure",
    }
    for number, valve, accumulator in [(1, 0, 0), (2, 1, 0), (3, 1, 1), (4, 0, 0)]:
        name = f"block-{number:03d}"
        times, events = dataset.load(name).event_time_ms, dataset.events(name)
        assert set(label_at(times, events, "valve").tolist()) == {valve}
        assert set(label_at(times, events, "accumulator").tolist()) == {accumulator}


def edit(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        lines = (folder / name).read_text().splitlines()
        (folder / name).write_text("".join(line + "\n" for line in change(lines)))

    return apply


def cell(line: int, column: int, text: str) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        cells = lines[line - 1].split("\t")
        cells[column - 1] = text
        return [*lines[: line - 1], "\t".join(cells), *lines[line:]]

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit("TS2.txt", cell(3, 17, "warm")), r"expected a number, got `warm` at .*TS2\.txt, row 3, column 17"),
        (edit("CE.txt", cell(2, 60, "-inf")), r"expected a number, got `-inf` at .*CE\.txt, row 2, column 60"),
        (edit("SE.txt", cell(4, 60, "1\t2")), r"expected 60 columns, got 61 at .*SE\.txt, row 4"),
        (edit("SE.txt", lambda lines: [*lines[:3], "", *lines[3:]]), r"expected 60 columns, got 0 at .*SE\.txt, row 4"),
        (edit("CP.txt", lambda lines: lines[:-1]), r"expected 7 rows, one a cycle .*, got 6 at .*CP\.txt, row 6"),
        (
            edit("VS1.txt", lambda lines: ["\t".join(["nan"] * 60)] * len(lines)),
            r"expected values of each sensor, got only missing ones at .*VS1\.txt, column 1 to 60",
        ),
        (edit("profile.txt", cell(5, 2, "85")), r"expected one of 73, 80, 90, 100, got `85` at .*row 5, column valve"),
        (edit("profile.txt", cell(5, 4, "90\t1\t9")), r"expected 5 columns, got 7 at .*profile\.txt, row 5"),
        (edit("profile.txt", lambda _: []), r"expected one row a cycle, got none at .*profile\.txt"),
        (
            edit("profile.txt", lambda lines: [line.replace("\t90\t0", "\t100\t0") for line in lines]),
            r"expected at least one positive of `accumulator`, got none at .*profile\.txt, column accumulator",
        ),
    ],
)
def test_a_broken_file_is_named_with_row_and_column(source, tmp_path, damage, message):
    damage(source)
    with pytest.raises(ContractError, match=message) as caught:
        import_hydraulic(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_missing_values_stay_missing(source, tmp_path):
    edit("TS1.txt", cell(1, 2, ""))(source)
    assert import_hydraulic(source, tmp_path / "out").missing_values == 1
    assert np.isnan(Dataset.open(tmp_path / "out").load("block-001").values[1, 0])


def test_a_folder_without_a_channel_is_a_usage_error(source, tmp_path):
    (source / "VS1.txt").unlink()
    with pytest.raises(UsageError, match=r"expected VS1\.txt, got no such file at"):
        import_hydraulic(source, tmp_path / "out")


def test_the_data_themselves_agree_with_their_description(tmp_path, monkeypatch, capsys):
    given = os.environ.get("HYDRAULIC_DATA")
    place = Path(given) if given else Path(__file__).parents[4] / "shared" / "data" / "hydraulic"
    if not place.is_dir():
        pytest.skip("the hydraulic data are not here: set HYDRAULIC_DATA to their folder")
    monkeypatch.setattr(
        sys, "argv", ["trainer", "import", "hydraulic", str(place), "--out", str(tmp_path / "out"), "--json"]
    )
    with pytest.raises(SystemExit) as caught:
        cli.main()
    report = json.loads(capsys.readouterr().out)
    assert caught.value.code == 0
    assert (report["cycles"], report["blocks"], report["rows"]) == (2205, 194, 2205 * 60)
    assert (report["valve_cycles"], report["accumulator_cycles"], report["unstable_cycles"]) == (1080, 808, 756)
    assert (report["missing_values"], report["repairs"]) == (0, [])
    dataset = Dataset.open(tmp_path / "out")
    check_integrity(dataset, WindowRules(60, 1000, 1, 10_000))
    infos = dataset.sequences()
    rules = WindowRules(60, 1000, 60, 10_000)
    plans = [plan_windows(dataset.load(info.sequence_id).event_time_ms, info.strand_id, rules) for info in infos]
    assert sum(int(plan.full.sum()) for plan in plans) == 2205
    for split in ("train", "validation", "test"):
        targets = {event.target for info in dataset.sequences(split) for event in dataset.events(info.sequence_id)}
        assert targets == {"valve", "accumulator"}
    for index, sensor in enumerate(CHANNELS.values()):
        values = np.concatenate([dataset.load(info.sequence_id).values[:, index] for info in infos[::10]])
        assert sensor.low <= values.min() <= values.max() <= sensor.high
