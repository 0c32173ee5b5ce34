"""The SKAB importer, on small files of its shape and, where it is there, on the benchmark itself."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from models.errors import ContractError, UsageError
from models.features import check_units
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.datasets.importers.skab import COLUMNS, import_skab
from trainer.datasets.labels import label_at

HEADER = (
    "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage;"
    "Volume Flow RateRMS;anomaly;changepoint"
)


def row(second: int, anomaly: str = "0.0", first: str = "0.0270797") -> str:
    return f"2020-03-09 10:14:{second:02d};{first};0.04;1.3;0.05;75.5;25.8;244.0;32.0;{anomaly};0.0"


def write_run(path: Path, rows: list[str], header: str = HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Five labelled runs with seconds missing, and one without labels."""
    root = tmp_path / "skab"
    for number in range(5):
        flags = ["0.0", "0.0", "1.0", "1.0", "0.0", "1.0"]
        rows = [row(second + second // 3 + number, flag) for second, flag in enumerate(flags)]
        write_run(root / "valve1" / f"{number}.csv", rows)
    free = [line.rsplit(";", 2)[0] for line in (row(1), row(2), row(4))]
    write_run(root / "anomaly-free" / "anomaly-free.csv", free, HEADER.rsplit(";", 2)[0])
    return root


def test_runs_become_sequences_and_anomalous_rows_positives(source, tmp_path):
    report = import_skab(source, tmp_path / "out")
    assert report.rows == 33
    assert report.counts == {
        "runs": 6,
        "labelled_runs": 5,
        "labelled_rows": 30,
        "anomalous_rows": 15,
        "anomalous_share": 0.5,
    }
    assert (report.events, report.repairs, report.missing_values) == ({"defect": 10}, [], 0)
    assert report.splits == {"train": 4, "validation": 1, "test": 1}
    dataset = Dataset.open(tmp_path / "out")
    dataset.verify()
    check_units(dataset.info.sensors)
    assert dataset.info.targets == ("defect",)
    for number in range(5):
        sequence = dataset.load(f"valve1-{number}")
        assert np.diff(sequence.event_time_ms).tolist() == [1000, 1000, 2000, 1000, 1000]
        found = label_at(sequence.event_time_ms, dataset.events(f"valve1-{number}"), "defect")
        assert found.tolist() == [0, 0, 1, 1, 0, 1]
        assert sequence.strand_id == f"skab.valve1.{number}"
        assert sequence.values[0, 0] == np.float32(0.0270797)
    assert [info.split for info in dataset.sequences() if info.sequence_id == "anomaly-free"] == ["train"]


def test_the_folder_above_data_is_understood(source, tmp_path):
    (tmp_path / "clone").mkdir()
    source.rename(tmp_path / "clone" / "data")
    assert import_skab(tmp_path / "clone", tmp_path / "out").sequences == 6


def test_rows_out_of_order_are_dropped_and_told(source, tmp_path):
    write_run(source / "valve1" / "0.csv", [row(1), row(3), row(3), row(2, "1.0"), row(4), row(5, first="")])
    report = import_skab(source, tmp_path / "out")
    assert report.repairs == ["valve1-0: dropped 1 rows of the same time and 1 rows out of order"]
    assert report.missing_values == 1
    sequence = Dataset.open(tmp_path / "out").load("valve1-0")
    assert sequence.rows == 4
    assert np.isnan(sequence.values[3, 0])


@pytest.mark.parametrize(
    ("rows", "header", "message"),
    [
        ([row(1)], HEADER.replace("Current", "Amps"), r"expected `Current`, got `Amps` at .*7\.csv, row 1, column 4"),
        ([row(1)], HEADER.rsplit(";", 1)[0], r"expected `changepoint`, got `nothing` at .*7\.csv, row 1, column 11"),
        ([row(1)], HEADER + ";x", r"expected `no further column`, got `x` at .*row 1, column 12"),
        ([row(1), row(2) + ";9"], HEADER, r"expected 11 columns, got 12 at .*7\.csv, row 3"),
        ([row(1), row(2)[:30]], HEADER, r"expected 11 columns, got \d at .*7\.csv, row 3"),
        ([row(1), "", row(2)], HEADER, r"expected 11 columns, got 0 at .*7\.csv, row 3"),
        ([row(1), row(2, first="abc")], HEADER, r"expected a number, got `abc` at .*row 3, column Accelerometer1RMS"),
        ([row(1, first="inf")], HEADER, r"expected a number, got `inf` at .*row 2, column Accelerometer1RMS"),
        ([row(1, anomaly="0.5")], HEADER, r"expected 0 or 1, got `0\.5` at .*7\.csv, row 2, column anomaly"),
        ([row(1, anomaly="")], HEADER, r"expected 0 or 1, got `` at .*7\.csv, row 2, column anomaly"),
        (
            [row(1).replace("2020-03-09", "09.03.2020")],
            HEADER,
            r"expected a date and time, got .*row 2, column datetime",
        ),
        ([row(1, first=""), row(2, first="nan")], HEADER, r"only missing ones at .*7\.csv, column Accelerometer1RMS"),
        ([row(5), row(4), row(3), row(2)], HEADER, r"times that rise, got 3 of 4 rows .* at .*7\.csv, run valve1-7"),
        ([], HEADER, r"expected rows below the header, got none at .*7\.csv"),
    ],
)
def test_a_broken_file_is_named_with_row_and_column(source, tmp_path, rows, header, message):
    write_run(source / "valve1" / "7.csv", rows, header)
    with pytest.raises(ContractError, match=message) as caught:
        import_skab(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_text_is_named(source, tmp_path):
    (source / "valve1" / "7.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ContractError, match=r"expected a `;`-separated text in UTF-8, got .* at .*7\.csv"):
        import_skab(source, tmp_path / "out")


def test_runs_without_any_anomaly_cannot_be_learnt_from(source, tmp_path):
    for number in range(5):
        write_run(source / "valve1" / f"{number}.csv", [row(1), row(2)])
    with pytest.raises(
        ContractError, match=r"expected at least one positive of `defect`, got none at .*column anomaly"
    ):
        import_skab(source, tmp_path / "out")


def test_a_folder_that_is_not_the_benchmark_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"expected folders valve1, valve2, other, got none of them at"):
        import_skab(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "valve1").mkdir()
    with pytest.raises(UsageError, match=r"expected \*\.csv files, got none"):
        import_skab(tmp_path, tmp_path / "out")


def test_the_command_ends_with_one_line_and_code_2_for_an_occupied_folder(source, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["trainer", "import", "skab", str(source), "--out", str(source)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: expected a new or empty folder, got a folder that is not empty")


def test_the_benchmark_itself_agrees_with_its_description(tmp_path):
    given = os.environ.get("SKAB_DATA")
    place = Path(given) if given else Path(__file__).parents[4] / "shared" / "data" / "skab"
    if not place.is_dir():
        pytest.skip("SKAB is not here: set SKAB_DATA to its data folder")
    report = import_skab(place, tmp_path / "out")
    assert (report.counts["labelled_runs"], report.counts["labelled_rows"]) == (34, 37_401)
    assert round(report.counts["anomalous_share"], 3) == 0.349
    assert report.repairs == []
    dataset = Dataset.open(tmp_path / "out")
    for index, sensor in enumerate(COLUMNS.values()):
        for info in dataset.sequences("test"):
            values = dataset.load(info.sequence_id).values[:, index]
            assert sensor.low <= values.min() <= values.max() <= sensor.high
