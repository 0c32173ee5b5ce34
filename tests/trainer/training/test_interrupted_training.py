"""Trainings that are killed, cut short or find the disk full, and go on."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from support.small_training import CONFIG, Linear, mean_of_first_sensor
from torch import Tensor

from models.errors import UsageError
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.loading.augmentation import AugmentationSettings
from trainer.train_sequence import train_on_dataset
from trainer.training.checkpoint import Checkpoints
from trainer.training.history import StepRecord
from trainer.training.sequence_trainer import SequenceModelTrainer

DRIVER = Path(__file__).parents[2] / "support" / "killed_training.py"
TINY_CNN = {"cnn_features": 6, "kernel_size": 3, "pool_size": 2}
VARIED = AugmentationSettings(share=0.5, jitter=0.1, time_warp=0.1, mixup=0.3)
STEPS = 17
"""Of an epoch on the small line."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What became of the driver's rounds: how each ended, in which folder."""

    folder: Path
    killed: list[str]
    full: list[str]


@pytest.fixture(scope="module")
def killed(small_line: Dataset, small_config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """One driver for all rounds: most of its time it imports."""
    folder = tmp_path_factory.mktemp("killed")
    rng = np.random.default_rng(20261125)
    again, full = (
        {"folder": str(folder / name), "result": str(folder / f"{name}.result")} for name in ("again", "full")
    )
    kills = [again | {"ends": "kill", "after": int(rng.integers(1, 2 * STEPS))} for _ in range(3)]
    rounds = [
        {"folder": str(folder / "once"), "ends": "whole", "result": str(folder / "once.result")},
        kills[0],
        again | {"ends": "rename"},
        kills[1],
        again | {"ends": "part"},
        kills[2],
        again | {"ends": "whole"},
        full | {"ends": "kill", "after": STEPS + 1},
        full | {"ends": "full"},
        full | {"ends": "whole"},
    ]
    # All that draws or remembers something: dropout, variations, batch norm's running means.
    config = replace(
        small_config, model_type="cnn_lstm", model=TINY_CNN, num_epochs=4, dropout=0.3, augmentation=VARIED
    )
    spec = {"data": str(small_line.path), "config": config.as_dict(), "rounds": rounds}
    ended = subprocess.run(
        [sys.executable, DRIVER, json.dumps(spec)], capture_output=True, text=True, timeout=280, check=False
    )
    assert ended.returncode == 0, ended.stderr
    said: list[str] = json.loads(ended.stdout)
    return Killed(folder, said[:7], said[7:])


def result(path: Path) -> tuple[dict[str, Tensor], str]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["history"]  # noqa: SIM118


@pytest.mark.timeout(300)  # the driver imports torch: seconds, unless the machine is busy
def test_killed_at_any_moment_it_ends_at_the_same_weights(killed: Killed) -> None:
    assert killed.killed == ["done", "SIGKILL", "SIGKILL", "SIGKILL", "SIGXFSZ", "SIGKILL", "done"]
    once, once_history = result(killed.folder / "once.result")
    again, again_history = result(killed.folder / "again.result")
    assert again_history == once_history
    assert len(json.loads(once_history)) == 4
    assert all(torch.equal(weights, again[name]) for name, weights in once.items())


@pytest.mark.timeout(300)
def test_a_full_disk_leaves_the_checkpoint_before_as_it_was(killed: Killed) -> None:
    before, full, whole = killed.full
    assert (before, whole) == ("SIGKILL", "done")
    assert full.startswith("expected room for a checkpoint of ")
    assert "got `File too large` at" in full
    assert full.endswith("make room; epoch-000001.safetensors is whole, go on from it with --resume")
    assert result(killed.folder / "full.result")[1] == result(killed.folder / "once.result")[1]
    left = sorted(path.name for path in (killed.folder / "full").iterdir())
    assert left == ["epoch-000003.safetensors", "epoch-000004.safetensors"]


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("scheduler", ["plateau", "cosine", "one_cycle", "none"])
@pytest.mark.parametrize("optimizer", ["adamw", "adam"])
def test_every_schedule_and_optimiser_goes_on_where_it_was(scheduler: str, optimizer: str, tmp_path: Path) -> None:
    config = replace(CONFIG, scheduler=scheduler, optimizer=optimizer, scheduler_patience=0, early_stopping_patience=9)

    def trainer(seed: int, stop: tuple[int, int] | None, folder: str) -> SequenceModelTrainer:
        def on_step(record: StepRecord) -> None:
            if (record.epoch, record.step) == stop:
                raise _StoppedError

        torch.manual_seed(seed)  # another seed than the first: all that matters is in the checkpoint
        return SequenceModelTrainer(
            Linear(dropout=0.4),
            config,
            mean_of_first_sensor(shuffle=True),
            mean_of_first_sensor(32),
            on_step=on_step,
            checkpoints=Checkpoints(tmp_path / folder),
        )

    once = trainer(1, None, "once")
    once.train()
    stopped = trainer(1, (4, 3), "again")
    with pytest.raises(_StoppedError):
        stopped.train()
    again = trainer(2, None, "again")
    assert again.resume() == 3
    again.train()

    def plain(of: SequenceModelTrainer) -> list[dict[str, Any]]:
        return [asdict(record) | {"seconds": 0, "windows_per_second": 0} for record in of.history]

    assert plain(again) == plain(once)
    for name, weights in once.model.state_dict().items():
        assert torch.equal(weights, again.model.state_dict()[name]), name


def test_a_training_that_was_done_is_not_trained_on(tmp_path: Path) -> None:
    def trainer() -> SequenceModelTrainer:
        loaders = mean_of_first_sensor(), mean_of_first_sensor(32)
        return SequenceModelTrainer(Linear(), CONFIG, *loaders, checkpoints=Checkpoints(tmp_path / "it"))

    first, second = trainer(), trainer()
    first.train()
    second.resume()
    assert second.train() == first.history
    assert all(map(torch.equal, first.model.state_dict().values(), second.model.state_dict().values()))


def test_another_configuration_or_other_data_are_named(
    small_line: Dataset, small_config: TrainingConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "it.training"
    config = replace(small_config, num_epochs=1)
    train_on_dataset(small_line.path, config, checkpoints=folder)
    with pytest.raises(UsageError, match=r"expected 0.01, got 0.02 at config.learning_rate, as in .*epoch-000001"):
        train_on_dataset(small_line.path, replace(config, learning_rate=0.02), checkpoints=folder, resume=True)
    other = SequenceModelTrainer(
        Linear(), CONFIG, mean_of_first_sensor(), mean_of_first_sensor(), checkpoints=Checkpoints(tmp_path / "b"),
        identity={"data": "one"},
    )  # fmt: skip
    other.train()
    other._identity = {**other._identity, "data": "another"}
    with pytest.raises(UsageError, match="expected one, got another at data"):
        other.resume()
