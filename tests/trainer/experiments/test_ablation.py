"""An ablation: which changes are taken, going on after an interruption, differences and the page."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UsageError
from trainer import cli
from trainer.config import TrainingConfig, load_config
from trainer.datasets.dataset import Dataset
from trainer.experiments.ablation import Ablation, ablation_names, load_ablation, run_ablation
from trainer.experiments.ablation_page import OTHER_WINDOWS, as_markdown, table, write_page
from trainer.experiments.ablation_results import AblationResult, difference, differences
from trainer.experiments.runs import RunLog, RunRow, latest

CHANGES = """
about = "Of the test alone."
[architecture]
as-it-is = { about = "nothing", set.pooling = "last_max" }
[pooling]
mean = { about = "each feature's mean", set.pooling = "mean" }
[rate]
one-hertz = { about = "every second scan", every = 2 }
[sensors]
no-mould = { about = "without what the mould shows", leave_out = ["mould_", "strand_"] }
"""


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def config(small_config: TrainingConfig) -> TrainingConfig:
    return replace(small_config, num_epochs=1, positive_share=0.5, negative_share=0.2, decoy_share=0.2)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(CHANGES)
    return str(path)


def load(text: str, line: Dataset, config: TrainingConfig, folder: Path) -> Ablation:
    path = folder / "mine.toml"
    path.write_text(text)
    return load_ablation(str(path), "small", config, line)


class TestDeclared:
    def test_every_ablation_that_comes_along_fits_every_recipe_it_is_of(self, small_line: Dataset) -> None:
        assert ablation_names() == ["line"]
        made = set()
        for recipe in ("lstm", "cnn_lstm", "attention_lstm"):
            ablation = load_ablation("line", recipe, load_config(recipe), small_line)
            made |= {variant.name for variant in ablation.variants}
            assert set(ablation.left_out.values()) <= {
                "the dataset declares no symmetry",
                *(reason for reason in ablation.left_out.values() if reason.startswith("a change of ")),
            }
        assert {"no-convolutions", "no-attention", "attention", "half-hertz", "no-thermocouples", "minmax"} <= made

    def test_another_architecture_begins_without_the_recipes_options(self, small_line: Dataset) -> None:
        ablation = load_ablation("line", "cnn_lstm", load_config("cnn_lstm"), small_line, ["no-convolutions"])
        changed = ablation.variants[1].config
        assert (changed.model_type, changed.model) == ("lstm", {})
        assert ablation.variants[0].config.model["cnn_features"] == 48

    def test_a_coarser_scan_keeps_the_duration_of_a_window(
        self, small_line: Dataset, config: TrainingConfig, tmp_path: Path
    ) -> None:
        text = '[rate]\nslow = { about = "a", every = 2 }\nodd = { about = "b", every = 7 }'
        ablation = load(text, small_line, config, tmp_path)
        before, after = (variant.config.window_rules(500 * variant.every) for variant in ablation.variants)
        assert (after.length * after.period_ms, after.grid_ms) == (before.length * before.period_ms, before.grid_ms)
        assert after.max_gap_ms == before.max_gap_ms
        assert ablation.variants[1].other_windows
        assert list(ablation.left_out) == ["odd"]

    def test_a_sensor_that_the_dataset_lacks_is_told_and_not_trained(
        self, small_line: Dataset, config: TrainingConfig, tmp_path: Path
    ) -> None:
        text = '[sensors]\nno-wind = { about = "a", leave_out = ["wind_"] }'
        ablation = load(text, small_line, config, tmp_path)
        assert [variant.name for variant in ablation.variants] == [None]
        assert "`wind_`" in ablation.left_out["no-wind"]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('[a]\nb = { about = "x", set.hiden_size = 3 }', "hiden_size"),
            ('[a]\nb = { about = "x", set.model.heads = 3 }', "`heads` at model"),
            ('[a]\nb = { about = "x", set.augmentation.jiter = 3 }', "augmentation.jiter"),
            ('[a]\nb = { about = "x", set.pooling = "least" }', "pooling"),
            ('[a]\nb = { about = "x", sett.pooling = "max" }', "sett"),
            ('[a]\nb = { about = "x", every = 0 }', "every"),
            ('[a]\nb = { about = "x" }', "`set`, `leave_out` or `every`"),
            ('[a]\nb = { set.pooling = "max" }', "about"),
            ('[a]\nb = { about = "x", set.seed = 3 }', "it says what is judged"),
            ('[a]\nb = { about = "x", set.alert.sticker.on_delay_ms = 3 }', "moves the score"),
            ('[a]\nb = { about = "x", set.dropout = 0.2 }\n[c]\nb = { about = "x", set.dropout = 0 }', "`b` again"),
            ("a = 3", "a table of changes"),
            ("", "a change at least"),
            ("[a", "expected TOML"),
        ],
    )
    def test_a_mistake_is_named_with_its_file(
        self, text: str, said: str, small_line: Dataset, config: TrainingConfig, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError) as refused:
            load(text, small_line, config, tmp_path)
        assert said in str(refused.value)
        assert str(tmp_path / "mine.toml") in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_an_unknown_ablation_or_change_lists_those_there_are(
        self, small_line: Dataset, config: TrainingConfig, file: str
    ) -> None:
        with pytest.raises(UsageError, match=r"\(line\).*`nothing`"):
            load_ablation("nothing", "small", config, small_line)
        with pytest.raises(UsageError, match=r"as-it-is, mean, one-hertz, no-mould.*`meen` at --change"):
            load_ablation(file, "small", config, small_line, ["meen"])


@pytest.fixture(scope="module")
def ablated(
    small_line: Dataset, config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[AblationResult, Path, list[tuple[str | None, int]], list[RunRow]]:
    """An ablation that was stopped before its sixth training and then went on."""
    folder = tmp_path_factory.mktemp("ablation")
    ablation = load(CHANGES, small_line, config, folder)
    log = RunLog(folder / "runs.jsonl")
    begun: list[tuple[str | None, int]] = []

    def stop_at_sixth(change: str | None, seed: int, done: RunRow | None) -> None:
        if done is None:
            begun.append((change, seed))
            if len(begun) == 6:
                raise StoppedError

    with pytest.raises(StoppedError):
        run_ablation(ablation, 2, log, folder, on_run=stop_at_sixth)
    before = log.rows()
    rows = run_ablation(ablation, 2, log, folder, on_run=stop_at_sixth)
    return differences(ablation, rows), folder, begun, before


Ablated = tuple[AblationResult, Path, list[tuple[str | None, int]], list[RunRow]]


class TestRun:
    def test_goes_on_where_it_was_interrupted(self, ablated: Ablated) -> None:
        _, folder, begun, before = ablated
        runs = [(None, 0), ("mean", 0), ("one-hertz", 0), ("no-mould", 0), (None, 1), ("mean", 1)]
        assert begun[:6] == runs
        assert begun[6:] == [("mean", 1), ("one-hertz", 1), ("no-mould", 1)]
        rows = RunLog(folder / "runs.jsonl").rows()
        assert rows[:5] == before
        assert [(row.change, row.seed) for row in rows] == [*runs[:5], *begun[6:]]

    def test_a_change_that_changes_nothing_is_no_difference_and_no_training(self, ablated: Ablated) -> None:
        result, _, begun, _ = ablated
        assert not [run for run in begun if run[0] == "as-it-is"]
        changes = {change.name: change for change in result.changes}
        assert changes["as-it-is"].same
        for found in changes["as-it-is"].differences.values():
            assert (found.mean, found.low, found.high, found.by_seed) == (0.0, 0.0, 0.0, (0.0, 0.0))
        assert not changes["mean"].same
        assert any(found.mean != 0 for found in changes["mean"].differences.values())

    def test_sensors_left_out_make_the_model_smaller(self, ablated: Ablated) -> None:
        result, folder, *_ = ablated
        changes = {change.name: change for change in result.changes}
        assert changes["no-mould"].parameters < changes[None].parameters == changes["one-hertz"].parameters
        assert len(list((folder / "data").iterdir())) == 2

    def test_its_rows_are_none_of_the_series(self, ablated: Ablated, small_line: Dataset) -> None:
        rows = RunLog(ablated[1] / "runs.jsonl").rows()
        assert [(row.change, row.seed) for row in latest(rows, small_line.info.fingerprint)] == [(None, 0), (None, 1)]

    def test_rows_written_before_changes_were_told_are_the_recipes(self, ablated: Ablated) -> None:
        row = RunLog(ablated[1] / "runs.jsonl").rows()[0]
        told = msgspec.to_builtins(row)
        del told["change"]
        assert msgspec.convert(told, RunRow) == row


class TestDifference:
    def test_of_three_seeds_is_student_s_interval(self) -> None:
        found = difference([0.91, 0.92, 0.93], [0.90, 0.90, 0.90])
        # mean 0.02, deviation 0.01, t(0.975, 2) = 4.3027: a reach of 4.3027 * 0.01 / sqrt(3)
        assert found.mean == pytest.approx(0.02)
        assert found.low == pytest.approx(0.02 - 0.024841, abs=1e-6)
        assert found.high == pytest.approx(0.02 + 0.024841, abs=1e-6)
        assert not found.is_told
        assert difference([0.95, 0.951], [0.9, 0.9]).is_told

    def test_of_one_seed_has_no_interval(self) -> None:
        found = difference([0.9], [0.8])
        assert (found.low, found.high, found.is_told) == (None, None, False)

    @given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=6))
    def test_the_other_way_round_is_the_same_mirrored(self, pairs: list[tuple[float, float]]) -> None:
        one, other = zip(*pairs, strict=True)
        there, back = difference(one, other), difference(other, one)
        assert there.low is not None
        assert back.high is not None
        assert there.mean == pytest.approx(-back.mean)
        assert there.low == pytest.approx(-back.high)


class TestPage:
    def test_the_table_marks_what_was_judged_on_other_windows(self, ablated: Ablated) -> None:
        lines = as_markdown(ablated[0]).splitlines()
        rows = {
            line.split(" | ")[1]: line for line in lines if line.startswith(("| arch", "| pool", "| rate", "| sen"))
        }
        assert set(rows) == {"as-it-is", "mean", f"one-hertz {OTHER_WINDOWS}", "no-mould"}
        assert "nothing: as the recipe has it | +0.0000 [+0.0000, +0.0000]" in rows["as-it-is"]
        assert "Of the test alone." in as_markdown(ablated[0])
        assert all(len(line) <= 80 for line in table(ablated[0]))

    def test_same_rows_give_the_same_bytes(self, ablated: Ablated, tmp_path: Path) -> None:
        written = [path.read_bytes() for path in write_page(ablated[0], tmp_path)]
        assert written == [path.read_bytes() for path in write_page(ablated[0], tmp_path)]
        told = json.loads(written[0])
        assert [change["name"] for change in told["changes"]] == [None, "as-it-is", "mean", "one-hertz", "no-mould"]
        assert set(told["changes"][2]["differences"]) == {
            "validation.roc_auc", "test.roc_auc", "test.pr_auc", "test.roc_auc.sticker",
        }  # fmt: skip


def test_command_tells_the_differences(
    ablated: Ablated,
    small_line: Dataset,
    config: TrainingConfig,
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On the rows that are there already, so that nothing is trained."""
    recipe = tmp_path / "small.toml"
    recipe.write_text(tomli_w.dumps({**config.as_dict(), "seed": 0}))
    arguments = ["trainer", "ablate", "--data", str(small_line.path), "--recipe", str(recipe), "--ablation", file]
    arguments += ["--runs", str(ablated[1] / "runs.jsonl"), "--out", str(tmp_path / "out"), "--seeds", "2"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--change", "mean", "--change", "as-it-is", "--json"])
    rows = (ablated[1] / "runs.jsonl").read_bytes()
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    out = json.loads(capsys.readouterr().out)
    assert (ablated[1] / "runs.jsonl").read_bytes() == rows
    assert [change["name"] for change in out["changes"]] == [None, "as-it-is", "mean"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ablation.json", "ablation.md", "ablation.svg",
    ]  # fmt: skip

    monkeypatch.setattr(sys, "argv", [*arguments, "--set", "seed=3"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "expected --seeds N" in capsys.readouterr().err
