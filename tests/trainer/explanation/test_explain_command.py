"""`trainer explain`: what it writes and says."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from support import bundles as made
from support.command_line import run_trainer
from support.marked_line import SENSORS, WINDOW, write_marked_line

from models import bundle as bundles
from models.manifest import Missing, Normalisation
from trainer.explanation.page import UNKNOWN
from trainer.sequence_models import CastingAttentionLSTM


def run(*arguments: str) -> int:
    return run_trainer("explain", *arguments)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network with random weights; its graph is another's, for nothing here reads it."""
    torch.manual_seed(0)
    network = CastingAttentionLSTM(len(SENSORS), 8, 1, 4)
    count = len(SENSORS)
    manifest = made.manifest(
        WINDOW,
        list(SENSORS),
        targets=["bump"],
        alert={"bump": made.POLICY},
        architecture=network.architecture,
        normalisation=Normalisation("zscore", [5.0] * count, [1.0] * count, 8.0),
        missing=Missing("forward_fill", [5.0] * count),
    )
    folder = tmp_path_factory.mktemp("bundles") / "test"
    graph = made.graph(WINDOW, count).SerializeToString()
    bundles.write(
        folder, manifest, graph, made.golden(WINDOW, count), {"weights.safetensors": save(network.state_dict())}
    )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_marked_line(tmp_path_factory.mktemp("marked") / "data").path


@pytest.fixture(scope="module")
def written(data: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explained")
    assert run("--data", str(data), "--bundle", str(bundle), "--out", str(out), "--windows", "6") == 0
    return out


def test_writes_json_a_page_and_a_small_picture_of_each_type(written: Path) -> None:
    found = json.loads((written / "explain.json").read_text())
    assert found["judged"] is True
    assert found["windows"] == {"bump": {"bump": 3, "hump": 3}}
    assert found["methods"] == ["integrated_gradients", "occlusion", "attention"]
    assert {rank["sensor"] for rank in found["ranking"]["bump"]} == {sensor.name for sensor in SENSORS}
    gap = found["completeness"]["bump"]
    assert gap["median"] < 0.05 * gap["moved"]
    assert [example["file"] for example in found["examples"]] == ["examples/bump.svg", "examples/bump-hump.svg"]
    page = (written / "explain.md").read_text()
    for example in found["examples"]:
        assert f"]({example['file']})" in page
        picture = (written / example["file"]).read_text()
        assert picture.endswith("</svg>\n")
        assert len(picture) < 120_000


def test_what_no_better_than_a_control_or_cannot_be_told_is_said_in_words(written: Path) -> None:
    found = json.loads((written / "explain.json").read_text())
    judged = {entry["verdict"] for entry in found["judgements"] if entry["type"] is None}
    assert any(verdict.startswith("no better than") for verdict in judged)
    assert {entry["verdict"] for entry in found["judgements"] if entry["type"] == "hump"} == {"cannot be told"}
    page = (written / "explain.md").read_text()
    for remark in found["remarks"]:
        assert f"- {remark}" in page
    assert any("is no better than" in remark and "cells of all types" in remark for remark in found["remarks"])
    assert any("cannot be told, too few casting sequences" in remark for remark in found["remarks"])


def test_the_same_command_writes_the_same_bytes(
    written: Path, data: Path, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    assert run("--data", str(data), "--bundle", str(bundle), "--out", str(out), "--windows", "6", "--json") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == json.loads((written / "explain.json").read_text())
    assert "explaining: 6.00 of 6.00 windows" in told.err
    files = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert len(files) == 4
    for file in files:
        assert (out / file).read_bytes() == (written / file).read_bytes()


def test_another_split_for_who_has_yet_to_choose(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--data", str(data), "--bundle", str(bundle), "--out", str(tmp_path), "--windows", "6")
    assert run(*arguments, "--split", "validation") == 2  # the line has a test split alone
    assert "none in the split `validation`" in capsys.readouterr().err
    assert run(*arguments, "--split", "all") == 0
    assert "events of the all split" in (tmp_path / "explain.md").read_text()
    assert json.loads((tmp_path / "explain.json").read_text())["data"]["split"] == "all"


def test_nothing_is_judged_where_no_event_says_what_it_touched(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = write_marked_line(tmp_path / "data", known=False)
    out = tmp_path / "out"
    assert run("--data", str(line.path), "--bundle", str(bundle), "--out", str(out), "--windows", "6") == 0
    assert UNKNOWN in capsys.readouterr().out
    found = json.loads((out / "explain.json").read_text())
    assert (found["judged"], found["judgements"], found["scores"]) == (False, [], {"bump": None})
    assert len(found["ranking"]["bump"]) == len(SENSORS)
    assert UNKNOWN in (out / "explain.md").read_text()
    assert len(list((out / "examples").iterdir())) == 2


def test_a_dataset_that_does_not_fit_is_one_line(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = write_marked_line(tmp_path / "data", sequences=0)
    out = tmp_path / "out"
    assert run("--data", str(line.path), "--bundle", str(bundle), "--out", str(out)) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: expected full windows that end within an event of bump, got none")
    assert "\n" not in error
    assert not out.exists()
