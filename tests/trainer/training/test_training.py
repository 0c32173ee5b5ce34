"""Configuration and the training loop."""

import copy
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from support.small_line import write_leaky, write_small_line, write_tampered
from support.small_training import CONFIG, Linear, loader, mean_of_first_sensor
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, RandomSampler

from models.errors import UsageError
from trainer import cli
from trainer.config import RECIPES, AlertSettings, TrainingConfig, from_dict, load_config, recipe_names
from trainer.datasets.dataset import Dataset
from trainer.errors import TrainingError
from trainer.export import export_run
from trainer.train_sequence import EpochRecord, SequenceModelTrainer, TrainingRun, train_on_dataset, window_scores


class TestConfiguration:
    def test_defaults_are_the_specification_s(self) -> None:
        config = TrainingConfig()
        expected = {
            "model_type": "lstm",
            "hidden_size": 128,
            "num_layers": 2,
            "dropout": 0.3,
            "learning_rate": 0.001,
            "batch_size": 32,
            "num_epochs": 100,
            "early_stopping_patience": 15,
            "class_weight": 3.0,
            "gradient_clip": 1.0,
            "weight_decay": 1e-5,
            "scheduler_patience": 5,
        }
        assert {key: config.as_dict()[key] for key in expected} == expected
        assert config.device == ("cuda" if torch.cuda.is_available() else "cpu")

    def test_every_recipe_loads(self) -> None:
        assert "tiny" in recipe_names()
        for name in recipe_names():
            assert isinstance(load_config(name), TrainingConfig), RECIPES / name

    def test_assignments_win_over_the_recipe(self) -> None:
        config = load_config(
            "tiny",
            ["hidden_size=7", "pooling=max", "targets=['a']", "alert.sticker.on_delay_ms=3000", "inputs=both"],
        )
        assert (config.hidden_size, config.pooling, config.targets, config.inputs) == (7, "max", ["a"], "both")
        assert config.alert_settings("sticker").on_delay_ms == 3000
        assert config.alert_settings("sticker").min_lead_s == 15.0  # the rest of the table keeps its defaults

    def test_targets_have_their_own_alert_defaults(self) -> None:
        config = TrainingConfig()
        assert config.alert_settings("sticker").on_delay_ms == 2000
        assert config.alert_settings("sticker").false_per_strand_day == pytest.approx(1 / 7)
        assert config.alert_settings("quality").severity == "advisory"
        assert config.alert_settings("defect") == AlertSettings(5000, 30_000, 60_000, "critical")

    @pytest.mark.parametrize(
        ("assignment", "said"),
        [
            ("hiden_size=3", "hiden_size"),
            ("hidden_size=many", "hidden_size"),
            ("dropout=1.5", "dropout"),
            ("pooling=min", "pooling"),
            ("alert.sticker.on_dely_ms=3", "alert.sticker.on_dely_ms"),
            ("hidden_size.x=3", "hidden_size"),
            ("hidden_size", "key=value"),
            ("device=banana", "device of --set"),
            ("targets=sticker", r"got `str` at targets of --set: write \['sticker'\]"),
            ("alert.sticker.min_lead_s=inf", r"1e\+30 at alert.sticker.min_lead_s of --set"),
            ("alert.sticker=loud", "at alert.sticker of --set"),
            ("alert=3", "at alert of --set"),
            ("augmentation.jitter=inf", "augmentation.jitter"),
            ("device=cuda:x", "device of --set"),
        ],
    )
    def test_a_wrong_field_is_named(self, assignment: str, said: str) -> None:
        with pytest.raises(UsageError, match=said.replace(".", r"\.")):
            load_config("tiny", [assignment])

    def test_unknown_recipe_lists_those_there_are(self) -> None:
        with pytest.raises(UsageError, match="tiny"):
            load_config("huge")

    def test_window_rules_scale_with_the_period(self) -> None:
        rules = from_dict({"window_length": 60, "max_gap_periods": 4}).window_rules(1000)
        assert (rules.length, rules.period_ms, rules.max_gap_ms) == (60, 1000, 4000)


def test_growing_windows_are_learnt_from_and_the_bundle_serves_whole_ones(
    small_line: Dataset, small_config: TrainingConfig, tmp_path: Path
) -> None:
    config = replace(small_config, model_type="cnn_lstm", variable_length=True, workers=1, num_epochs=1, stride=4)
    run = train_on_dataset(small_line.path, config)
    assert len(run.train) > len(train_on_dataset(small_line.path, replace(config, variable_length=False)).train)
    exported = export_run(run, tmp_path / "new", name="new", recipe="test")  # verified against torch
    assert exported.bundle.manifest.window.length == config.window_length


class Worsening(nn.Module):
    """Right before its first step, the wrong way round ever after."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(-1.0))
        self.epochs = 0

    def train(self, mode: bool = True) -> "Worsening":
        self.epochs += int(mode)
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)[:, :1] * (1.0 if self.epochs == 1 else -1.0) + 0.0 * self.weight


class TestTrainer:
    def test_takes_the_windows_and_labels_that_a_plain_loader_gives(self) -> None:
        batches = list(mean_of_first_sensor())
        windows, labels = (torch.cat(part) for part in zip(*batches, strict=True))
        torch.manual_seed(0)
        model = Linear()
        losses = []
        for given in ((windows, labels), (windows.double(), labels.squeeze().long())):
            trainer = SequenceModelTrainer(copy.deepcopy(model), CONFIG, loader(*given), loader(*given))
            losses.append((trainer.train_epoch()["loss"], trainer.validate()["loss"]))
        assert losses[0] == losses[1]

    def test_a_loader_without_a_length_is_refused(self) -> None:
        class Stream(IterableDataset[tuple[Tensor, ...]]):
            def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
                yield torch.zeros(4, 2), torch.zeros(1)

        with pytest.raises(UsageError, match="knows its number of batches, got one without len"):
            SequenceModelTrainer(Linear(), CONFIG, DataLoader(Stream(), 8), mean_of_first_sensor())

    def test_learns_what_can_be_learnt(self) -> None:
        torch.manual_seed(0)
        trainer = SequenceModelTrainer(Linear(), CONFIG, mean_of_first_sensor(), mean_of_first_sensor(32))
        history = trainer.train()
        assert history[-1].train_loss < history[0].train_loss
        assert max(entry.roc_auc for entry in history) > 0.95

    def test_stops_early_and_keeps_the_best_weights(self) -> None:
        model = Worsening()
        trainer = SequenceModelTrainer(model, CONFIG, mean_of_first_sensor(), mean_of_first_sensor(32))
        history = trainer.train()
        assert [entry.best for entry in history] == [True, False, False]
        assert history[0].roc_auc == 1.0
        assert not model.training

    def test_learning_rate_is_halved_when_nothing_improves(self) -> None:
        config = replace(CONFIG, scheduler_patience=0)
        trainer = SequenceModelTrainer(Worsening(), config, mean_of_first_sensor(), mean_of_first_sensor(32))
        assert [entry.learning_rate for entry in trainer.train()] == [0.1, 0.1, 0.05]

    def test_loss_that_is_no_number_is_an_error(self) -> None:
        windows = torch.full((8, 6, 2), torch.nan)
        trainer = SequenceModelTrainer(Linear(), CONFIG, loader(windows, torch.zeros(8, 1)), mean_of_first_sensor())
        with pytest.raises(TrainingError, match="finite loss, got nan at step 1 of epoch 1"):
            trainer.train_epoch()

    def test_class_weight_counts_positives_more(self) -> None:
        windows, labels = torch.zeros(4, 6, 2), torch.tensor([[1.0], [0.0], [0.0], [0.0]])
        model = Linear()
        nn.init.zeros_(model.layer.bias)
        losses = [
            SequenceModelTrainer(
                model, replace(CONFIG, class_weight=weight), loader(windows, labels), loader(windows, labels)
            ).validate()["loss"]
            for weight in (1.0, 5.0)
        ]
        assert losses == pytest.approx([np.log(2), np.log(2) * (5 + 3) / 4])

    def test_labels_left_out_have_no_part(self) -> None:
        windows = torch.randn(6, 6, 2)
        labels = torch.tensor([[1.0], [0.0], [1.0], [0.0], [torch.nan], [torch.nan]])
        model = Linear()
        whole, part = (
            SequenceModelTrainer(model, CONFIG, loader(windows[:n], labels[:n]), loader(windows[:n], labels[:n]))
            for n in (6, 4)
        )
        assert whole.validate() == pytest.approx(part.validate())
        whole.train_epoch()
        assert all(torch.isfinite(parameter).all() for parameter in model.parameters())

    def test_every_epoch_is_drawn_anew_also_by_whoever_loops_alone(self) -> None:
        class Noting(RandomSampler):
            epochs: ClassVar[list[int]] = []

            def set_epoch(self, epoch: int) -> None:
                self.epochs.append(epoch)

        data = mean_of_first_sensor(16).dataset
        drawn = DataLoader(data, 8, sampler=Noting(data))
        trainer = SequenceModelTrainer(Linear(), CONFIG, drawn, mean_of_first_sensor())
        trainer.train_epoch()
        trainer.train_epoch()
        assert Noting.epochs == [0, 1]

    def test_steps_and_epochs_are_reported(self) -> None:
        steps: list[tuple[int, int]] = []
        epochs: list[int] = []
        config = replace(CONFIG, num_epochs=1)
        SequenceModelTrainer(
            Linear(),
            config,
            mean_of_first_sensor(24),
            mean_of_first_sensor(),
            on_epoch=lambda record: epochs.append(record.epoch),
            on_step=lambda record: steps.append((record.step, record.steps)),
        ).train()
        assert steps == [(1, 3), (2, 3), (3, 3)]
        assert epochs == [1]


def test_window_scores_leave_out_unknown_labels_and_average_targets() -> None:
    probabilities = np.array([[0.9, 0.2], [0.8, 0.9], [0.1, 0.5], [0.5, 0.5]], np.float32)
    labels = np.array([[1, 0], [1, 1], [0, 1], [np.nan, np.nan]], np.float32)
    assert window_scores(probabilities, labels)["roc_auc"] == 1.0


class TestTrainingOnADataset:
    def test_same_seed_gives_the_same_weights_and_another_seed_others(
        self, small_run: TrainingRun, small_line: Dataset
    ) -> None:
        config = small_run.config
        again = train_on_dataset(small_line.path, config)
        other = train_on_dataset(small_line.path, replace(config, seed=config.seed + 1, num_epochs=1))
        for key, weights in small_run.model.state_dict().items():
            assert torch.equal(weights, again.model.state_dict()[key]), key
        assert not torch.equal(small_run.model.fc_layers[0].weight, other.model.fc_layers[0].weight)

    def test_a_split_without_positives_is_named(self, tmp_path: Path, small_config: TrainingConfig) -> None:
        quiet = write_small_line(tmp_path / "quiet", stickers=False)
        with pytest.raises(UsageError, match="positive windows of `sticker` in the split `train`"):
            train_on_dataset(quiet.path, small_config)


def run_cli(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trainer", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


class TestCommand:
    @pytest.mark.timeout(180)  # a process that imports torch: seconds, unless the machine is busy
    def test_after_ctrl_c_it_says_how_to_go_on_and_resume_ends_as_if_nothing_had_been(
        self, small_line: Dataset, small_config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config, out = replace(small_config, num_epochs=5), tmp_path / "mine"
        arguments = ["train", "--data", str(small_line.path), "--out", str(out)]
        for key, value in config.as_dict().items():
            if not isinstance(value, dict | list):
                arguments += ["--set", f"{key}={json.dumps(value)}"]
        command = [sys.executable, "-m", "trainer", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            told = [next(line for line in process.stderr if line.startswith("epoch 1/5: loss"))]
            process.send_signal(signal.SIGINT)
            told += process.stderr
        assert process.returncode != 0
        assert re.fullmatch(r"stopped after epoch [1-4]; the same command with --resume goes on\n", told[-1])
        assert not out.exists()

        assert run_cli(*arguments, "--resume", monkeypatch=monkeypatch) == 0
        whole = train_on_dataset(small_line.path, config)
        kept = load_file(out / "weights.safetensors")
        assert all(torch.equal(tensor, kept[name]) for name, tensor in whole.model.state_dict().items())
        assert not (tmp_path / "mine.training").exists()

    def test_trains_a_bundle_and_refuses_to_replace_it(
        self, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = tmp_path / "mine"
        wanted = ["window_length=16", "hidden_size=4", "num_epochs=1", "threads=1", "validation_share=1"]
        sets = [part for pair in wanted for part in ("--set", pair)]
        arguments = ["train", "--data", str(small_line.path), "--out", str(out), *sets]
        assert run_cli(*arguments, "--json", monkeypatch=monkeypatch) == 0
        captured = capsys.readouterr()
        assert json.loads(captured.out)["model"] == "mine@1"
        assert captured.err.splitlines()[0].startswith("epoch 1/1: loss")
        assert (out / "manifest.json").is_file()
        assert (out / "curves.svg").read_text().startswith("<?xml")
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]  # no checkpoints stay behind
        assert run_cli(*arguments, monkeypatch=monkeypatch) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: expected a new folder, got a bundle at")
        assert error.count("\n") == 1

    def test_a_training_killed_after_its_bundle_was_written_is_finished_by_resume(
        self, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, left = tmp_path / "mine", tmp_path / "mine.training"
        wanted = ["window_length=16", "hidden_size=4", "num_epochs=2", "threads=1", "validation_share=1", "device=cpu"]
        arguments = ["train", "--data", str(small_line.path), "--out", str(out)]
        arguments += [part for pair in wanted for part in ("--set", pair)]
        run = train_on_dataset(small_line.path, load_config("tiny", wanted), checkpoints=left)
        export_run(run, out, name="mine")  # and then the kill
        before = (out / "manifest.json").read_bytes()
        assert run_cli(*arguments, "--resume", monkeypatch=monkeypatch) == 0
        assert "was finished" in capsys.readouterr().out
        assert not left.exists()
        assert (out / "manifest.json").read_bytes() == before
        assert run_cli(*arguments, "--resume", "--set", "seed=9", monkeypatch=monkeypatch) == 2

    def test_a_bundle_of_an_earlier_training_does_not_end_the_one_that_is_to_replace_it(
        self, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out, left = tmp_path / "mine", tmp_path / "mine.training"
        wanted = ["window_length=16", "hidden_size=4", "num_epochs=2", "threads=1", "validation_share=1", "device=cpu"]
        config = load_config("tiny", wanted)
        export_run(train_on_dataset(small_line.path, config), out, name="mine")
        earlier = json.loads((out / "training.json").read_text())["history"]

        def interrupt(_: EpochRecord) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train_on_dataset(small_line.path, config, checkpoints=left, on_epoch=interrupt)
        arguments = ["train", "--data", str(small_line.path), "--out", str(out), "--force", "--resume"]
        arguments += [part for pair in wanted for part in ("--set", pair)]
        assert run_cli(*arguments, monkeypatch=monkeypatch) == 0
        assert "was finished" not in capsys.readouterr().out
        assert json.loads((out / "training.json").read_text())["history"] != earlier
        assert not left.exists()

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["--data", "nowhere", "--out", "new"], 1, "nowhere"),
            (["--data", "nowhere", "--out", "new", "--set", "hiden_size=3"], 2, "hiden_size"),
            (["--data", "nowhere", "--out", "new", "--recipe", "huge"], 2, "huge"),
            (["--data", "nowhere", "--out", "new", "--name", "current"], 2, "current"),
            (["--data", "nowhere", "--out", "new", "--current"], 2, "--current"),
            (["--data", "nowhere", "--out", "full"], 2, "something else"),
            (["--data", "nowhere", "--out", "new", "--set", "device=banana"], 2, "device"),
            (["--data", "nowhere", "--out", "new", "--set", "device=cuda:99"], 1, "CUDA GPU"),
            (["--data", "nowhere", "--out", "/proc/new"], 1, "/proc/new"),
            (["--data", "folders", "--out", "new"], 1, "`Is a directory` at folders/dataset.json"),
        ],
    )
    def test_mistakes_are_one_clear_line(
        self,
        arguments: list[str],
        code: int,
        said: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "notes.txt").write_text("mine")
        (tmp_path / "folders" / "dataset.json").mkdir(parents=True)
        assert run_cli("train", *arguments, monkeypatch=monkeypatch) == code
        error = capsys.readouterr().err
        assert said in error
        assert error.startswith("error: ")
        assert error.count("\n") == 1

    def test_data_that_was_altered_or_leaks_is_not_trained_on(
        self, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = ["--out", str(tmp_path / "new"), "--set", "window_length=24", "--set", "threads=1"]
        tampered = write_tampered(small_line, tmp_path / "tampered")
        assert run_cli("train", "--data", str(tampered), *out, monkeypatch=monkeypatch) == 1
        assert capsys.readouterr().err.startswith("error: expected content of sha256")
        leaky = write_leaky(small_line, tmp_path / "leaky")
        assert run_cli("train", "--data", str(leaky), *out, monkeypatch=monkeypatch) == 1
        assert capsys.readouterr().err.startswith("error: expected a pause of at least 12000 ms, got 5000 ms between")
        assert not (tmp_path / "new").exists()

    def test_alert_settings_of_a_target_that_is_not_learnt_are_refused(
        self, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        recipe = tmp_path / "mine.toml"
        recipe.write_text('device = "cpu"\nthreads = 1\n[alert.stikcer]\non_delay_ms = 3000\n')
        train = ["train", "--data", str(small_line.path), "--out", str(tmp_path / "new")]
        for how in (["--set", "alert.stikcer.on_delay_ms=3000", "--set", "threads=1"], ["--recipe", str(recipe)]):
            assert run_cli(*train, *how, monkeypatch=monkeypatch) == 2
            assert "error: expected alert.sticker, got `alert.stikcer`" in capsys.readouterr().err

    def test_help_does_not_wait_for_torch(self) -> None:
        code = "import sys, trainer.cli; sys.exit('torch' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    def test_an_interrupted_training_is_not_trampled_on(
        self, small_line: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        train_on_dataset(
            small_line.path,
            load_config("tiny", ["window_length=16", "hidden_size=4", "num_epochs=1", "threads=1"]),
            checkpoints=tmp_path / "new.training",
        )
        train = ["train", "--data", str(small_line.path), "--out", str(tmp_path / "new"), "--set", "threads=1"]
        assert run_cli(*train, monkeypatch=monkeypatch) == 2
        error = capsys.readouterr().err
        assert "got one interrupted after epoch 1 at" in error
        assert "add --resume to go on with it, or --force to begin anew" in error
        assert run_cli(*train, "--resume", monkeypatch=monkeypatch) == 2
        assert "error: expected 4, got 48 at config.hidden_size, as in " in capsys.readouterr().err
        newest = tmp_path / "new.training" / "epoch-000001.safetensors"
        newest.write_bytes(newest.read_bytes()[:-1])
        assert run_cli(*train, "--resume", monkeypatch=monkeypatch) == 1
        error = capsys.readouterr().err
        assert f"at {newest}: delete it and begin anew" in error
        assert error.count("\n") == 1

    def test_recipes_are_listed(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_cli("train", "--list-recipes", monkeypatch=monkeypatch) == 0
        listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
        assert listed == set(recipe_names())
