"""Several processes that train one model."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.errors import UsageError
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.train_sequence import train_on_dataset
from trainer.training.distributed import World, join, share_of_batch

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(UsageError, match="batch_size that 3 processes can share evenly, got 32"):
        share_of_batch(32, World(0, 3, torch.device("cpu")))


def test_one_gpu_for_several_processes_is_refused() -> None:
    with pytest.raises(UsageError, match="expected device=cuda for 2 processes, got cuda:1"):
        join("cuda:1", {"WORLD_SIZE": "2", "LOCAL_RANK": "0"}).__enter__()


def assignments(config: TrainingConfig) -> list[str]:
    wanted = {key: value for key, value in config.as_dict().items() if not isinstance(value, dict | list)}
    return [part for key, value in wanted.items() for part in ("--set", f"{key}={json.dumps(value)}")]


@pytest.mark.timeout(300)  # two processes import torch and one exports: seconds, unless the machine is busy
def test_two_processes_learn_what_one_does_also_when_stopped_between_and_write_one_bundle(
    small_line: Dataset, small_config: TrainingConfig, tmp_path: Path
) -> None:
    config = replace(small_config, dropout=0.0, num_epochs=4)
    alone = train_on_dataset(small_line.path, config).history
    out = tmp_path / "two"
    train = [*TORCHRUN, "-m", "trainer", "train", "--data", str(small_line.path), "--out", str(out), "--json"]
    train += assignments(config)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(train, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as first:
        assert first.stderr is not None
        told = [next(line for line in first.stderr if line.startswith("epoch 1/4: loss"))]
        first.send_signal(signal.SIGTERM)
        told += first.stderr
    assert not out.exists()
    assert sum("the same command with --resume goes on" in line for line in told) == 1

    ended = subprocess.run(
        [*train, "--resume"], capture_output=True, text=True, timeout=140, check=False, env=environment
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["model"] == "two@1"  # one of them speaks
    assert "epoch 1/4: loss" not in ended.stderr
    assert ended.stderr.count("epoch 4/4: loss") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["two"]
    together = json.loads((out / "training.json").read_text())["history"]
    for one, two in zip(alone, together, strict=True):
        # Without dropout the steps are the same but for the order of the sums, and for the odd window left out of an
        # epoch so that both have equally many: far below what another seed changes.
        assert two["roc_auc"] == pytest.approx(one.roc_auc, abs=0.01)
        assert two["validation_loss"] == pytest.approx(one.validation_loss, rel=0.02)
        assert two["windows_at_once"] == one.windows_at_once // 2


@pytest.mark.timeout(300)
def test_one_process_s_error_ends_the_others(small_line: Dataset, tmp_path: Path) -> None:
    code = tmp_path / "failing.py"
    code.write_text(
        "import os, sys\n"
        "from trainer import cli\n"
        f"data = 'nowhere' if os.environ['RANK'] == '1' else {str(small_line.path)!r}\n"
        f"sys.argv[1:] = ['train', '--data', data, '--out', {str(tmp_path / 'new')!r}]\n"
        "sys.argv += ['--set', 'device=cpu', '--set', 'window_length=24', '--set', 'threads=1']\n"
        "cli.main()\n"
    )
    ended = subprocess.run(
        [*TORCHRUN, code],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 1
    assert "error: expected a dataset's index, got no such file at nowhere" in ended.stderr
    assert not (tmp_path / "new").exists()
