"""One small line, one short training and one export, shared by the tests that look at them."""

from pathlib import Path

import pytest
import torch
from support.small_line import write_small_line

from trainer.config import TrainingConfig, from_dict
from trainer.datasets.dataset import Dataset
from trainer.export import Exported, export_run
from trainer.train_sequence import TrainingRun, train_on_dataset


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_line(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return write_small_line(tmp_path_factory.mktemp("line") / "data")


@pytest.fixture(scope="session")
def small_config() -> TrainingConfig:
    return from_dict(
        {
            "hidden_size": 6,
            "num_layers": 1,
            "dropout": 0.1,
            "pooling": "last_max",
            "inputs": "change",
            "learning_rate": 0.01,
            "batch_size": 32,
            "num_epochs": 2,
            "class_weight": 1.0,
            "window_length": 24,
            "stride": 2,
            "seed": 3,
            "threads": 1,
            "device": "cpu",
        }
    )


@pytest.fixture(scope="session")
def small_run(small_line: Dataset, small_config: TrainingConfig) -> TrainingRun:
    return train_on_dataset(small_line.path, small_config)


@pytest.fixture(scope="session")
def small_export(small_run: TrainingRun, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder: Path = tmp_path_factory.mktemp("bundles") / "small"
    return export_run(small_run, folder, name="small", recipe="test")
