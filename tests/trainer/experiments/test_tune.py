"""The search: which spaces are taken, and that a study goes on as if it had never been stopped."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from models.errors import UsageError
from trainer import cli
from trainer.architectures import architecture_names
from trainer.config import TrainingConfig, load_config
from trainer.datasets.dataset import Dataset
from trainer.errors import TrainingError
from trainer.experiments.space import load_space, space_names
from trainer.experiments.tune import BEST_FILE, TRIALS_FILE, Study, tune
from trainer.train_sequence import EpochRecord

SPACE = """
learning_rate = { low = 1e-3, high = 1e-1, log = true }
hidden_size = { low = 2, high = 6, step = 2 }
pooling = { choices = ["max", "last_max"] }
"""


@pytest.fixture
def space(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(SPACE)
    return str(path)


@pytest.fixture(scope="module")
def config(small_config: TrainingConfig) -> TrainingConfig:
    """Short: a tenth of the windows are enough to tell a trial from another."""
    return replace(small_config, num_epochs=2, positive_share=0.5, negative_share=0.1, decoy_share=0.1)


def values(study: Study) -> list[dict[str, object]]:
    return [trial.values for trial in study.trials if trial.state != "interrupted"]


class TestSpace:
    def test_every_space_that_comes_along_fits_the_configuration(self) -> None:
        assert space_names() == architecture_names()
        for name in space_names():
            assert load_space(name, load_config(name))

    def test_tables_lead_to_fields_with_dots(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text("augmentation.shift = { low = 1, high = 5 }\n[dropout]\nlow = 0\nhigh = 0.5\n")
        space = load_space(str(path), TrainingConfig(device="cpu"))
        assert sorted(space) == ["augmentation.shift", "dropout"]
        assert str(space["dropout"].distribution()).startswith("FloatDistribution")
        assert str(space["augmentation.shift"].distribution()).startswith("IntDistribution")

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("hiden_size = { low = 2, high = 4 }", "hiden_size"),
            ("alert.sticker.on_dely_ms = { low = 2, high = 4 }", "alert.sticker.on_dely_ms"),
            ("hidden_size = { lwo = 2, high = 4 }", "lwo"),
            ("hidden_size = { low = 4, high = 2 }", "low must be there and below high"),
            ("hidden_size = { high = 2 }", "low must be there"),
            ("hidden_size = { low = 2, high = 5, step = 2 }", "step must lead from low to high"),
            ("hidden_size = { low = 0, high = 4 }", "hidden_size of space"),
            ("hidden_size = { low = 2.5, high = 4.5 }", "hidden_size of space"),
            ("dropout = { low = 0.0, high = 1.0 }", "dropout of space"),
            ("learning_rate = { low = 1e-3, high = 1e-1, log = true, step = 1e-3 }", "log or step"),
            ("learning_rate = { low = 0.0, high = 1e-1, log = true }", "learning_rate"),
            ('pooling = { choices = ["max", "least"] }', "pooling of space"),
            ('pooling = { choices = ["max"], low = 1 }', "choices have no low"),
            ("hidden_size = 4", "use --set"),
            ("seed = { low = 0, high = 9 }", "judged on"),
            ("alert.sticker.on_delay_ms = { low = 1000, high = 5000 }", "moves the score"),
            ("window_length = { low = 20, high = 30 }", "judged on"),
            ("hidden_size = {", "expected TOML"),
            ("", "a field at least"),
        ],
    )
    def test_a_mistake_is_named(self, line: str, said: str, tmp_path: Path) -> None:
        path = tmp_path / "mine.toml"
        path.write_text(line)
        with pytest.raises(UsageError) as refused:
            load_space(str(path), TrainingConfig(device="cpu"))
        assert said in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_an_unknown_space_lists_those_there_are(self) -> None:
        with pytest.raises(UsageError, match="lstm"):
            load_space("huge", TrainingConfig(device="cpu"))


class TestStudy:
    def test_a_study_cut_off_goes_on_as_one_that_was_not(
        self, small_line: Dataset, config: TrainingConfig, space: str, tmp_path: Path
    ) -> None:
        begun: list[int] = []

        def cut(record: EpochRecord) -> None:
            if begun == [1, 2]:
                raise KeyboardInterrupt

        config = replace(config, num_epochs=1)
        whole = tune(small_line.path, config, space, 3, tmp_path / "whole")
        with pytest.raises(KeyboardInterrupt):
            tune(small_line.path, config, space, 3, tmp_path / "cut", on_begin=begun.append, on_epoch=cut)
        before = json.loads((tmp_path / "cut" / TRIALS_FILE).read_text())
        assert [trial["state"] for trial in before] == ["complete"]
        resumed = tune(small_line.path, config, space, 3, tmp_path / "cut")
        assert [trial.state for trial in resumed.trials] == ["complete", "interrupted", "complete", "complete"]
        assert values(resumed) == values(whole)
        assert resumed.best is not None
        assert whole.best is not None
        assert resumed.best.roc_auc == whole.best.roc_auc
        assert load_config(str(tmp_path / "cut" / BEST_FILE)) == resumed.config
        assert resumed.config == replace(config, **resumed.best.values)
        # Nothing is left to do, and other settings are another study.
        assert tune(small_line.path, config, space, 3, tmp_path / "cut") == resumed
        with pytest.raises(UsageError, match="expected the config that this study began with"):
            tune(small_line.path, replace(config, dropout=0.2), space, 4, tmp_path / "cut")

    def test_a_trial_that_falls_behind_is_given_up(
        self, small_line: Dataset, config: TrainingConfig, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.toml"
        # What learns nothing at all comes out below what learns, whatever the seed.
        path.write_text("learning_rate = { choices = [1e-9, 0.01] }")
        study = tune(small_line.path, config, str(path), 6, tmp_path / "study", startup_trials=1, warmup_epochs=1)
        pruned = [trial for trial in study.trials if trial.state == "pruned"]
        assert pruned
        assert all(len(trial.epochs) < config.num_epochs for trial in pruned)
        assert study.best is not None
        assert all((trial.roc_auc or 0) <= (study.best.roc_auc or 0) for trial in pruned)

    def test_a_trial_whose_loss_is_no_number_does_not_end_the_study(
        self, small_line: Dataset, config: TrainingConfig, tmp_path: Path
    ) -> None:
        path = tmp_path / "mine.toml"
        path.write_text("learning_rate = { choices = [1e30, 0.01] }")
        study = tune(small_line.path, replace(config, num_epochs=1), str(path), 5, tmp_path / "study")
        states = {trial.values["learning_rate"]: (trial.state, trial.error) for trial in study.trials}
        assert states[0.01] == ("complete", None)
        assert states[1e30][0] == "failed"
        assert "finite" in str(states[1e30][1])
        path.write_text("learning_rate = { choices = [1e30] }")
        with pytest.raises(TrainingError, match="a trial that comes through, got none of 1"):
            tune(small_line.path, config, str(path), 1, tmp_path / "hopeless")

    def test_a_folder_at_work_is_not_entered(
        self, small_line: Dataset, config: TrainingConfig, space: str, tmp_path: Path
    ) -> None:
        refusals: list[UsageError] = []

        def second(record: EpochRecord) -> None:
            with pytest.raises(UsageError, match="one at work") as refused:
                tune(small_line.path, config, space, 1, tmp_path / "study")
            refusals.append(refused.value)

        tune(small_line.path, replace(config, num_epochs=1), space, 1, tmp_path / "study", on_epoch=second)
        assert len(refusals) == 1

    def test_what_is_wrong_with_every_trial_is_the_user_s_mistake(
        self, small_line: Dataset, config: TrainingConfig, space: str, tmp_path: Path
    ) -> None:
        with pytest.raises(UsageError, match="stikcer"):
            tune(small_line.path, replace(config, targets=["stikcer"]), space, 2, tmp_path / "study")


def test_the_command_tells_trials_and_the_winner(
    small_line: Dataset,
    config: TrainingConfig,
    space: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "base.toml"
    recipe.write_text('device = "cpu"\nthreads = 1\nwindow_length = 24\nnum_epochs = 1\nstride = 4\n')
    out = tmp_path / "study"
    where = ["--data", str(small_line.path), "--out", str(out)]
    arguments = ["tune", *where, "--space", space, "--recipe", str(recipe), "--trials", "1", "--json"]
    monkeypatch.setattr(sys, "argv", ["trainer", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert not left.value.code
    told = capsys.readouterr()
    assert json.loads(told.out)["best"]["state"] == "complete"
    lines = told.err.splitlines()
    assert lines[0].startswith("trial 1/1, epoch 1/1: loss ")
    assert lines[1].startswith("trial 1/1 complete: ROC-AUC")
    assert load_config(str(out / BEST_FILE)).window_length == 24
