"""A series of trainings: rows, going on after an interruption, the page."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import torch

from models.bundle import RELEASED
from models.errors import ContractError
from trainer.config import AlertSettings, TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.experiments.runs import RunLog, RunRow, Scores, latest, run_key
from trainer.experiments.series import run_series
from trainer.experiments.series_page import as_markdown, as_svg, table, write_page
from trainer.experiments.weights import Weights
from trainer.train_sequence import train_on_dataset


class StoppedError(Exception):
    pass


def row(recipe: str = "lstm", seed: int = 0, roc_auc: float = 0.9, key: str = "k", configuration: str = "c") -> RunRow:
    scores = Scores(roc_auc, 0.5, {"sticker": {"roc_auc": roc_auc, "pr_auc": 0.5}})
    entry = {"epoch": 1, "train_loss": 0.5, "validation_loss": 0.6, "roc_auc": roc_auc}
    return RunRow(
        recipe=recipe, seed=seed, configuration=configuration, key=key, data_fingerprint="f", git_commit="c",
        model_type="lstm", parameters=1234,
        epochs=1, best_epoch=1, seconds=60.0, processor_seconds=50.0, threads=1,
        validation=scores, test=scores, history=[entry],
    )  # fmt: skip


class TestSeries:
    def test_goes_on_where_it_was_interrupted_and_says_the_same_for_the_same_seed(
        self, small_line: Dataset, small_config: TrainingConfig, tmp_path: Path
    ) -> None:
        recipes = {
            "small": replace(small_config, num_epochs=1),
            "slower": replace(small_config, num_epochs=1, stride=4),
        }
        log = RunLog(tmp_path / "new" / "runs.jsonl")
        begun: list[tuple[str, int]] = []

        def stop_at_third(recipe: str, seed: int, done: RunRow | None) -> None:
            if done is None:
                begun.append((recipe, seed))
                if len(begun) == 3:
                    raise StoppedError

        with pytest.raises(StoppedError):
            run_series(small_line.path, recipes, 2, log, on_run=stop_at_third)
        before = log.rows()
        assert [(one.recipe, one.seed) for one in before] == [("small", 0), ("slower", 0)]

        rows = run_series(small_line.path, recipes, 2, log, on_run=stop_at_third)
        assert begun[3:] == [("small", 1), ("slower", 1)]
        assert log.rows() == rows
        assert rows[:2] == before

        again = run_series(small_line.path, {"small": recipes["small"]}, 1, RunLog(tmp_path / "again"), on_run=ignore)
        assert (again[0].key, again[0].validation, again[0].test) == (rows[0].key, rows[0].validation, rows[0].test)

    def test_a_run_s_network_is_kept_for_who_judges_it_later(
        self, small_line: Dataset, small_config: TrainingConfig, tmp_path: Path
    ) -> None:
        config = replace(small_config, num_epochs=1)
        weights = Weights(tmp_path / "weights")
        run = train_on_dataset(small_line.path, config)
        fingerprint = small_line.info.fingerprint
        size = {"input_size": len(run.train.sensor_names), "output_size": len(run.train.targets)}
        assert weights.model(config, fingerprint, **size) is None

        path = weights.keep(run)
        kept = weights.model(config, fingerprint, **size)
        assert kept is not None
        windows = torch.randn(3, 24, size["input_size"])
        assert torch.equal(kept.predict_proba(windows), run.model.predict_proba(windows))
        assert weights.model(replace(config, seed=8), fingerprint, **size) is None

        path.write_bytes(path.read_bytes()[:-4])
        with pytest.raises(ContractError, match=r"expected the weights of the run, got .*safetensors: remove it"):
            weights.model(config, fingerprint, **size)

    def test_another_configuration_or_dataset_is_another_run(self, small_config: TrainingConfig) -> None:
        keys = {run_key(small_config, "a"), run_key(small_config, "b"), run_key(replace(small_config, seed=9), "a")}
        assert len(keys) == 3
        assert run_key(replace(small_config), "a") in keys
        alerts = {"sticker": AlertSettings(2000, 30_000, 60_000, "critical", false_per_strand_day=1.0)}
        assert run_key(replace(small_config, alert=alerts), "a") in keys  # thresholds are chosen after training


def ignore(recipe: str, seed: int, done: RunRow | None) -> None:
    pass


class TestRunLog:
    def test_half_a_row_is_dropped_and_the_next_one_is_whole(self, tmp_path: Path) -> None:
        log = RunLog(tmp_path / "runs.jsonl")
        log.append(row(seed=0))
        with log.path.open("ab") as file:
            file.write(msgspec.json.encode(row(seed=1))[:50])
        assert log.rows() == [row(seed=0)]
        log.append(row(seed=2))
        assert log.rows() == [row(seed=0), row(seed=2)]

    def test_a_row_that_is_none_is_named(self, tmp_path: Path) -> None:
        log = RunLog(tmp_path / "runs.jsonl")
        log.append(row())
        with log.path.open("ab") as file:
            file.write(b'{"recipe": 3}\n')
        with pytest.raises(ContractError, match=r"runs\.jsonl, line 2"):
            log.rows()

    def test_a_file_of_somebody_else_is_left_as_it_is(self, tmp_path: Path) -> None:
        notes = tmp_path / "notes.txt"
        notes.write_text("precious notes")
        for touch in (RunLog(notes).rows, lambda: RunLog(notes).append(row())):
            with pytest.raises(ContractError, match=r"got `precious notes` at the end of .*notes\.txt"):
                touch()
        assert notes.read_text() == "precious notes"

    def test_rows_of_a_recipe_before_it_was_changed_do_not_count(self) -> None:
        rows = [row(configuration="old"), row(seed=1, configuration="old"), row(configuration="new"), row("other")]
        assert latest(rows, "f") == [rows[2], rows[3]]
        assert latest(rows, "another dataset") == []


class TestPage:
    ROWS = (row(seed=0, roc_auc=0.9), row(seed=1, roc_auc=0.92), row("cnn-lstm", 0, 0.95))

    def test_table_gives_mean_and_standard_deviation_over_seeds(self) -> None:
        text = as_markdown(self.ROWS)
        assert "| lstm | lstm | 1,234 | 2 | 0.9100 ± 0.0141 | 0.9100 ± 0.0141 |" in text
        assert "| cnn-lstm | lstm | 1,234 | 1 | 0.9500 | 0.9500 |" in text
        assert all(len(line) <= 80 for line in table(self.ROWS))

    def test_the_committed_page_is_of_the_committed_rows(self, tmp_path: Path) -> None:
        folder = RELEASED / "evaluation/line-v1"
        rows = RunLog(folder / "runs.jsonl").rows()
        page, _ = write_page(latest(rows, rows[0].data_fingerprint), tmp_path)
        assert page.read_bytes() == (folder / "training.md").read_bytes()
        seeds = {(row.recipe, row.seed) for row in rows}
        assert seeds == {(recipe, seed) for recipe in ("cnn_lstm", "lstm", "attention_lstm") for seed in range(5)}

    def test_same_rows_give_the_same_bytes(self, tmp_path: Path) -> None:
        written = [path.read_bytes() for path in write_page(self.ROWS, tmp_path)]
        assert written == [path.read_bytes() for path in write_page(self.ROWS, tmp_path)]
        assert as_svg(self.ROWS).startswith("<?xml")
