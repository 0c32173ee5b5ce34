"""`trainer explain`: what it writes and says."""

import json
import sys
from pathlib import Path

import pytest
from support.marked_line import SENSORS, OneSensor, Rules, raw, write_marked_line

from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.explanation.explain import explain_windows
from trainer.explanation.page import UNKNOWN, findings
from trainer.explanation.pictures import draw_explained
from trainer.explanation.summary import summarize
from trainer.export import Exported


def run(*arguments: str) -> int:
    before = sys.argv
    sys.argv = ["trainer", "explain", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    finally:
        sys.argv = before
    return 0


@pytest.fixture(scope="module")
def written(small_line: Dataset, small_export: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explained")
    where = ("--data", str(small_line.path), "--bundle", str(small_export.bundle.path), "--out", str(out))
    assert run(*where, "--windows", "4") == 0
    return out


def test_writes_json_a_page_and_a_small_picture_of_each_type(written: Path) -> None:
    found = json.loads((written / "explain.json").read_text())
    assert found["judged"] is True
    assert found["windows"] == {"sticker": {"sticker": 4}}
    assert {entry["verdict"] for entry in found["judgements"]} == {"cannot be told"}  # one casting sequence
    assert len(found["ranking"]["sticker"]) == 20
    gap = found["completeness"]["sticker"]
    assert gap["median"] < 0.05 * gap["moved"]
    (example,) = found["examples"]
    picture = (written / example["file"]).read_text()
    assert "<svg" in picture
    assert len(picture) < 110_000
    page = (written / "explain.md").read_text()
    assert f"]({example['file']})" in page
    assert "cannot be told, too few casting sequences" in page


def test_the_same_command_writes_the_same_bytes(
    written: Path, small_line: Dataset, small_export: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    where = ("--data", str(small_line.path), "--bundle", str(small_export.bundle.path), "--out", str(out))
    assert run(*where, "--windows", "4", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == json.loads((written / "explain.json").read_text())
    assert "explaining: " in told.err
    files = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert len(files) == 3
    for file in files:
        assert (out / file).read_bytes() == (written / file).read_bytes()


def test_nothing_is_judged_where_no_event_says_what_it_touched(tmp_path: Path) -> None:
    line = write_marked_line(tmp_path / "data", known=False)
    windows = explain_windows(raw(OneSensor()), Rules(), line, count=6, steps=8)
    found = summarize(windows, Rules(), 0)
    assert (found.judgements, found.scores) == ([], {"bump": None})
    assert found.ranking["bump"][0].sensor == SENSORS[2].name
    assert "touched" not in UNKNOWN or "nothing can be judged" in UNKNOWN
    assert "<svg" in draw_explained(windows[0], Rules())


def test_what_is_no_better_than_a_control_is_said_in_words(tmp_path: Path) -> None:
    line = write_marked_line(tmp_path / "data")
    windows = explain_windows(raw(OneSensor(sensor=4)), Rules(), line, count=6, steps=8)
    told = findings(summarize(windows, Rules(), 0).judgements)
    assert any("is no better than" in sentence and "cells of all types" in sentence for sentence in told)


def test_a_dataset_that_does_not_fit_is_one_line(
    small_export: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = write_marked_line(tmp_path / "data")
    out = tmp_path / "out"
    assert run("--data", str(line.path), "--bundle", str(small_export.bundle.path), "--out", str(out)) == 2
    assert capsys.readouterr().err.strip().startswith("error: expected a scan period of 500 ms")
    assert not out.exists()
