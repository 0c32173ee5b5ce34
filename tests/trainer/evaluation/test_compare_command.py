"""`trainer compare` on a small line: networks and LightGBM trained for real, files written, twice the same."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.small_line import write_tampered

from trainer import cli
from trainer.datasets.dataset import Dataset
from trainer.evaluation.evaluate import CAVEAT

TINY = """
model_type = "lstm"
hidden_size = 4
num_layers = 1
dropout = 0.0
pooling = "last_max"
inputs = "change"
learning_rate = 0.01
num_epochs = 1
batch_size = 32
window_length = 24
stride = 8
negative_share = 0.2
threads = 1
device = "cpu"
"""


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    recipe = tmp_path / "tiny_lstm.toml"
    recipe.write_text(TINY)

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["trainer", "compare", "--recipe", str(recipe), *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return int(left.value.code or 0)

    return run


class TestCommand:
    def test_trains_asks_and_writes_and_a_second_run_writes_the_same(
        self, compare: Any, small_line: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        one, other = tmp_path / "one", tmp_path / "other"
        few = ["--data", str(small_line.path), "--seeds", "2", "--trials", "2", "--replicates", "100"]
        assert compare(*few, "--out", str(one), "--json") == 0
        captured = capsys.readouterr()
        metrics = json.loads(captured.out)
        assert metrics == json.loads((one / "metrics.json").read_text())
        assert metrics["chosen"]["recipe"] == "tiny_lstm"
        assert list(metrics["seeds"]) == ["tiny_lstm", "summary", "engineered"]
        headline = metrics["comparison"]["roc_auc"]
        assert headline["improvement"] == pytest.approx(headline["sequence"] - headline["baseline"], abs=2e-5)
        assert headline["interval"] is None  # of one test sequence
        assert [facts["trials"] for facts in metrics["seeds"]["summary"]["facts"]] == [2, 1]
        assert metrics["events"]["sticker"]["summary"]["events"] == 2
        assert CAVEAT in (one / "comparison.md").read_text()
        assert "tiny_lstm, seed 1: training" in captured.err
        assert "engineered, seed 0: searching, 2 trials" in captured.err

        assert compare(*few, "--out", str(other)) == 0
        assert "tiny_lstm, chosen on validation, mean over targets on test:" in capsys.readouterr().out
        for name in ("metrics.json", "comparison.md"):
            assert (one / name).read_bytes() == (other / name).read_bytes()
        assert str(tmp_path) not in (one / "metrics.json").read_text()

        assert compare(*few, "--out", str(one), "--seeds", "1") == 0
        assert "training" not in capsys.readouterr().err

    def test_refuses_in_one_line(
        self, compare: Any, small_line: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = ["--out", str(tmp_path / "out")]
        data = ["--data", str(small_line.path), *out]
        for arguments, code, said in (
            ([*data, "--set", "seed=3"], 2, "expected --seeds N, got `seed` at --set"),
            ([*data, "--recipe", "tiny_lstm"], 2, "expected"),
            ([*data, "--recipe", "lstm"], 2, "windows as in tiny_lstm"),
            (["--data", str(write_tampered(small_line, tmp_path / "tampered")), *out], 1, "expected content of sha256"),
            (["--data", "nowhere", *out], 1, "nowhere"),
        ):
            assert compare(*arguments) == code
            error = capsys.readouterr().err
            assert error.startswith("error: expected")
            assert said in error
            assert error.count("\n") == 1
        assert not (tmp_path / "out").exists()
