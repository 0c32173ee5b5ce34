"""The importer of long tables: CSV or Parquet, labels or events, with a mapping file."""

import datetime as dt
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ContractError, StrandwatchError, UsageError
from models.windows import WindowRules
from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.datasets.importers.table import import_table
from trainer.datasets.importers.table_mapping import read_mapping
from trainer.datasets.integrity import check_integrity
from trainer.datasets.labels import label_at

HEADER = "timestamp,heat,campaign,ML,TC,is_sticker"
BEGIN = dt.datetime(2026, 3, 1, 6, tzinfo=dt.UTC)
MAPPING = """
time = "timestamp"
run = "heat"
group = "campaign"
sensors = [
  {column = "ML", name = "level_mm", unit = "mm", low = -60, high = 60},
  {column = "TC", unit = "°C", low = 0, high = 400},
]
"""
LABELS = 'labels.sticker = "is_sticker"\n'
EVENTS = 'events.file = "events.csv"\n'

Row = tuple[dt.datetime, str, str, float, float | None, bool]


def rows() -> list[Row]:
    """Eight heats of twenty rows in four campaigns, mixed; rows 5 to 7 of each other heat are positive."""
    return [
        (
            BEGIN + dt.timedelta(hours=heat, milliseconds=500 * row),
            f"H {heat}",
            f"c{heat // 2}",
            heat + row / 100,
            None if row == 3 else 150.5,
            heat % 2 == 1 and 5 <= row < 8,
        )
        for row in range(20)
        for heat in range(8)
    ]


def lines() -> list[str]:
    return [
        f"{time.isoformat()},{heat},{campaign},{level},{'' if tc is None else tc},{int(flag)}"
        for time, heat, campaign, level, tc, flag in rows()
    ]


def write(folder: Path, body: list[str] | None = None, mapping: str = MAPPING + LABELS, header: str = HEADER) -> Path:
    (folder / "map.toml").write_text(mapping)
    (folder / "heats.csv").write_text("\n".join([header, *(lines() if body is None else body)]) + "\n")
    return folder / "heats.csv"


def write_events(folder: Path, *body: str) -> None:
    (folder / "events.csv").write_text("\n".join(["run,target,start,end", *body]) + "\n")


def moment(heat: int, row: int) -> str:
    return (BEGIN + dt.timedelta(hours=heat, milliseconds=500 * row)).isoformat()


def load(source: Path, **options: int):
    report = import_table(source, source.parent / "map.toml", source.parent / "out", **options)
    return report, Dataset.open(source.parent / "out")


def test_runs_become_sequences_and_flagged_rows_positives(tmp_path):
    report, dataset = load(write(tmp_path))
    assert report.counts == {"runs": 8, "groups": 4, "sticker_rows": 12}
    assert (report.rows, report.events, report.missing_values, report.repairs) == (160, {"sticker": 4}, 8, [])
    check_integrity(dataset, WindowRules(8, 500, 1, 5000))
    assert (dataset.info.period_ms, dataset.info.line) == (500, "import/table")
    assert [sensor.name for sensor in dataset.info.sensors] == ["level_mm", "tc"]
    for heat in range(8):
        sequence = dataset.load(f"h-{heat}")
        assert sequence.strand_id == f"table.heats.h-{heat}"
        np.testing.assert_allclose(sequence.values[:, 0], heat + np.arange(20) / 100, rtol=1e-6)
        found = label_at(sequence.event_time_ms, dataset.events(f"h-{heat}"), "sticker")
        assert found.tolist() == [int(heat % 2 == 1 and 5 <= row < 8) for row in range(20)]
    splits = {info.sequence_id: info.split for info in dataset.sequences()}
    assert all(splits[f"h-{heat}"] == splits[f"h-{heat + 1}"] for heat in range(0, 8, 2))


def test_csv_parquet_and_a_table_of_events_say_the_same(tmp_path):
    report, _ = load(write(tmp_path))
    columns = list(zip(*rows(), strict=True))
    types = [pa.timestamp("us", "UTC"), pa.string(), pa.string(), pa.float64(), pa.float32(), pa.bool_()]
    table = pa.table(
        {name: pa.array(column, kind) for name, column, kind in zip(HEADER.split(","), columns, types, strict=True)}
    )
    table = table.set_column(2, "campaign", table["campaign"].dictionary_encode())
    pq.write_table(table, tmp_path / "heats.parquet", row_group_size=50)
    same = import_table(tmp_path / "heats.parquet", tmp_path / "map.toml", tmp_path / "parquet")
    assert same.fingerprint == report.fingerprint
    write(tmp_path, mapping=MAPPING + EVENTS)
    write_events(tmp_path, *(f"H {heat},sticker,{moment(heat, 5)},{moment(heat, 8)}" for heat in range(1, 8, 2)))
    same = import_table(tmp_path / "heats.csv", tmp_path / "map.toml", tmp_path / "events")
    assert same.fingerprint == report.fingerprint


@pytest.mark.parametrize(("unit", "factor"), [("s", 0.001), ("ms", 1), ("us", 1e3), ("ns", 1e6)])
def test_times_may_be_numbers_since_1970(tmp_path, unit, factor):
    body = [
        f"{time.timestamp() * 1000 * factor:.3f},{line.partition(',')[2]}"
        for (time, *_), line in zip(rows(), lines(), strict=True)
    ]
    _, dataset = load(write(tmp_path, body, f'time_unit = "{unit}"\n' + MAPPING + LABELS))
    assert dataset.load("h-3").event_time_ms.tolist() == [
        round((BEGIN + dt.timedelta(hours=3)).timestamp() * 1000) + 500 * row for row in range(20)
    ]


def test_the_ways_of_plants_with_csv(tmp_path):
    body = [line.replace(",", ";").replace(".", ",") for line in lines()]
    body = [line.replace(";150,5;", ";Bad;") if ";H 2;" in line else line for line in body]
    mapping = 'delimiter = ";"\ndecimal = ","\nmissing = ["Bad"]\n' + MAPPING + LABELS
    write(tmp_path, body, mapping, HEADER.replace(",", ";"))
    (tmp_path / "heats.csv").write_bytes(
        b"\xef\xbb\xbf" + (tmp_path / "heats.csv").read_bytes().replace(b"\n", b"\r\n")
    )
    report, dataset = load(tmp_path / "heats.csv")
    assert report.missing_values == 8 + 19
    assert dataset.load("h-2").values[7, 0] == np.float32(2.07)


def test_a_point_where_the_decimal_is_a_comma_is_no_number(tmp_path):
    body = [line.replace(",", ";").replace(".", ",") for line in lines()]
    body[4] = body[4].replace(";150,5;", ";1.150,5;")
    source = write(tmp_path, body, 'delimiter = ";"\ndecimal = ","\n' + MAPPING + LABELS, HEADER.replace(",", ";"))
    with pytest.raises(ContractError, match=r"expected a number, got `1\.150,5` at .*, row 6, column TC"):
        load(source)


def test_rows_out_of_order_are_dropped_and_told(tmp_path):
    body = lines()
    body[40], body[48] = body[48], body[40]
    body.append(body[-1])
    report, dataset = load(write(tmp_path, body))
    assert report.repairs == [
        "H 0: dropped 0 rows of the same time and 1 rows out of order",
        "H 7: dropped 1 rows of the same time and 0 rows out of order",
    ]
    assert (dataset.load("h-0").rows, dataset.load("h-7").rows, report.rows) == (19, 20, 159)


def test_a_run_that_is_a_strand_keeps_its_name_and_the_table_may_say_the_split(tmp_path):
    body = [line.replace("H ", "P1.c2.S") + f",{'test' if ',c3,' in line else 'train'}" for line in lines()]
    _, dataset = load(write(tmp_path, body, 'split = "part"\n' + MAPPING + LABELS, HEADER + ",part"))
    info = dataset.sequences()[7]
    assert (info.sequence_id, info.strand_id) == ("p1-c2-s7", "P1.c2.S7")
    assert [info.split for info in dataset.sequences()] == ["train"] * 6 + ["test"] * 2


def put(number: int, column: int, text: str) -> list[str]:
    """The lines with one cell changed; `number` is the row of the file."""
    body = [line.split(",") for line in lines()]
    body[number - 2][column] = text
    return [",".join(cells) for cells in body]


def all_of(column: int, text: str) -> list[str]:
    return [",".join([*cells[:column], text, *cells[column + 1 :]]) for cells in (line.split(",") for line in lines())]


@pytest.mark.parametrize(
    ("body", "header", "message"),
    [
        (lines(), HEADER.replace("TC", "T C"), r"expected column `TC`, got `timestamp`, .* at .*heats\.csv: name"),
        (lines(), HEADER.replace("campaign", "ML"), r"expected column `campaign`, got"),
        ([f"{line},1" for line in lines()], HEADER + ",ML", r"expected column `ML` once, got it twice at .*heats\.csv"),
        (put(7, 3, "1,2"), HEADER, r"expected 6 columns, got 7 at .*heats\.csv, row 7"),
        ([*lines()[:5], "", *lines()[5:]], HEADER, r"expected 6 columns, got 0 at .*heats\.csv, row 7"),
        (put(9, 3, "high"), HEADER, r"expected a number, got `high` at .*heats\.csv, row 9, column ML"),
        (put(9, 3, "1e39"), HEADER, r"expected a number, got `1e39` at .*heats\.csv, row 9, column ML"),
        (put(4, 0, "06:00"), HEADER, r"expected a date and time, got `06:00` at .*heats\.csv, row 4, column timestamp"),
        (put(4, 0, "1969-01-01"), HEADER, r"time between the years 1970 and 9999, got `1969-01-01` at .*row 4"),
        (put(4, 1, " "), HEADER, r"expected a strand or run id, got `` at .*heats\.csv, row 4, column heat"),
        (put(4, 2, ""), HEADER, r"expected a group, got `` at .*heats\.csv, row 4, column campaign"),
        (
            put(84, 2, "c9"),
            HEADER,
            r"expected `c1` for `H 2` as in an earlier row, got `c9` at .*row 84, column campaign",
        ),
        (put(11, 5, "2"), HEADER, r"expected 0 or 1, got `2` at .*heats\.csv, row 11, column is_sticker"),
        (put(11, 5, "yes"), HEADER, r"expected 0 or 1, got `yes` at .*heats\.csv, row 11, column is_sticker"),
        (all_of(5, "0"), HEADER, r"expected at least one positive of `sticker`, got none at .*csv, column is_sticker"),
        (all_of(4, ""), HEADER, r"expected values of each sensor, got only missing ones at .*csv, column TC"),
        (
            all_of(0, moment(0, 0)),
            HEADER,
            r"got 19 of 20 rows at or before an earlier one at .*, column timestamp, run H 0",
        ),
        ([], HEADER, r"expected rows below the header, got none at .*heats\.csv"),
        (lines()[:8], HEADER, r"expected at least one positive|expected runs of several rows, got one row each"),
    ],
)
def test_a_broken_table_is_named_with_row_and_column(tmp_path, body, header, message):
    with pytest.raises(ContractError, match=message) as caught:
        load(write(tmp_path, body, header=header))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("ML", [[1.0]] * 160, r"expected numbers, got list<.*> at .*heats\.parquet, column ML"),
        ("ML", ["1.5"] * 159 + ["x"], r"expected a number, got `x` at .*heats\.parquet, row 160, column ML"),
        ("ML", [1.5] * 100 + [float("inf")] * 60, r"expected a number, got `inf` at .*parquet, row 101, column ML"),
        (
            "is_sticker",
            [True] * 9 + [None] * 151,
            r"expected 0 or 1, got `nan` at .*parquet, row 10, column is_sticker",
        ),
        (
            "timestamp",
            list(range(160)),
            r"expected timestamps or text, got int64 at .*, column timestamp: set time_unit",
        ),
        (
            "timestamp",
            [None] + [BEGIN] * 159,
            r"a time between .*, got `` at .*heats\.parquet, row 1, column timestamp",
        ),
    ],
)
def test_a_broken_parquet_is_named_with_row_and_column(tmp_path, column, values, message):
    write(tmp_path)
    table = pa.table(dict(zip(HEADER.split(","), map(list, zip(*rows(), strict=True)), strict=True)))
    table = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
    pq.write_table(table, tmp_path / "heats.parquet")
    with pytest.raises(ContractError, match=message):
        load(tmp_path / "heats.parquet")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            f"H 9,sticker,{moment(1, 5)},{moment(1, 8)}",
            r"expected a run of the table, got `H 9` at .*row 3, column run",
        ),
        (f"H 1,,{moment(1, 5)},{moment(1, 8)}", r"expected a target's name, got `` at .*row 3, column target"),
        (f"H 1,sticker,{moment(1, 8)},{moment(1, 8)}", r"expected an end after its start, got .* row 3, column end"),
        (
            f"H 1,sticker,{moment(2, 5)},{moment(2, 8)}",
            r"expected an event with scans of run H 1 in it, got .*row 3, column start",
        ),
        (
            f"H 1,sticker,soon,{moment(1, 8)}",
            r"expected a date and time, got `soon` at .*events\.csv, row 3, column start",
        ),
        ("H 1,sticker", r"expected 4 columns, got 2 at .*events\.csv, row 3"),
    ],
)
def test_a_broken_event_is_named_with_row_and_column(tmp_path, event, message):
    source = write(tmp_path, mapping=MAPPING + EVENTS)
    write_events(tmp_path, f"H 1,sticker,{moment(1, 5)},{moment(1, 8)}", event)
    with pytest.raises(ContractError, match=message):
        load(source)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (MAPPING, "expected either labels or events, got none"),
        (MAPPING + LABELS + EVENTS, "expected either labels or events, got both"),
        (
            MAPPING.replace("low = 0", "lowest = 0") + LABELS,
            r"unknown field `lowest` at .*map\.toml, sensors\[1\]: see",
        ),
        (MAPPING.replace('run = "heat"', "") + LABELS, r"missing required field `run` at .*map\.toml, the top level"),
        (
            MAPPING.replace("low = 0", "low = 500") + LABELS,
            r"expected low < high, got 500 and 400 at .*map\.toml, sensors",
        ),
        (MAPPING.replace("level_mm", "seq") + LABELS, r"expected each sensor's name once and none of .*, got `seq` at"),
        (
            MAPPING.replace("level_mm", "mould_level_cm") + LABELS,
            r"expected sensor `mould_level_mm`, got `mould_level_cm`",
        ),
        ("time_unit = 'min'\n" + MAPPING + LABELS, r"invalid enum value 'min' at .*map\.toml, time_unit"),
        ("time = ", r"expected TOML, got something else \(.*\) at .*map\.toml"),
        ('sensors = []\ntime = "t"\nrun = "r"\n' + LABELS, r"expected at least one sensor, got none at .*map\.toml"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_a_usage_error(tmp_path, mapping, message):
    with pytest.raises(UsageError, match=message) as caught:
        load(write(tmp_path, mapping=mapping))
    assert "\n" not in str(caught.value)


def test_files_of_another_kind_are_named(tmp_path):
    source = write(tmp_path)
    for name, kind, message in [
        ("none.csv", UsageError, r"expected a table, got no such file at .*none\.csv"),
        ("map.toml", UsageError, r"expected a file of \.csv, \.tsv, \.txt or \.parquet, got `\.toml`"),
        ("text.parquet", ContractError, r"expected a Parquet file, got .* at .*text\.parquet"),
        ("binary.csv", ContractError, r"expected a `,`-separated text in UTF-8, got .* at .*binary\.csv"),
    ]:
        (tmp_path / "text.parquet").write_text("a,b\n")
        (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(kind, match=message):
            import_table(tmp_path / name, tmp_path / "map.toml", tmp_path / "out")
    with pytest.raises(UsageError, match=r"expected a mapping file, got no such file at .*none\.toml"):
        import_table(source, tmp_path / "none.toml", tmp_path / "out")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_file_holds_ends_in_a_dataset_or_one_line(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("any")
    text = "\n".join([HEADER, *lines()[:24]]).encode()
    place = data.draw(st.integers(0, len(text) - 1))
    junk = data.draw(st.binary(max_size=6) | st.sampled_from([b",", b"\n", b'"', b"\n\n", b"nan", b"-1", b"1e400"]))
    cut = data.draw(st.integers(0, 8))
    source = write(folder)
    source.write_bytes(text[:place] + junk + text[place + cut :])
    with suppress(StrandwatchError):
        _, dataset = load(source)
        dataset.verify()


def test_the_example_of_the_help_is_a_mapping(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trainer", "import", "table", "--help"])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        cli.main()
    told = capsys.readouterr().out
    example = told.partition("map.toml:")[2].partition("The numbers of")[0]
    (tmp_path / "map.toml").write_text("\n".join(line for line in example.splitlines() if "events.file" not in line))
    mapping = read_mapping(tmp_path / "map.toml")
    assert (mapping.run, mapping.missing, mapping.labels) == ("heat", ["-", "Bad"], {"sticker": "is_sticker"})
    assert mapping.sensors[0].sensor().name == "level_mm"


def test_the_command_ends_with_one_line_for_a_broken_file(tmp_path, monkeypatch, capsys):
    source = write(tmp_path, put(9, 3, "high"))
    arguments = ["--mapping", str(tmp_path / "map.toml"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", ["trainer", "import", "table", str(source), *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("error: expected a number, got `high` at")
