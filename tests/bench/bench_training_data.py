"""Loading training windows: how much memory it takes as the data grows, and how fast it is beside training."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from results import Row, row
from torch import nn

from trainer.config import TrainingConfig, from_dict
from trainer.datasets.dataset import Dataset
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.line.simulator import TARGETS, simulate
from trainer.loading.loaders import Loaders, training_loaders
from trainer.loading.row_store import FOLDER
from trainer.sequence_dataset import fit_preprocessor
from trainer.sequence_models import CastingLSTM

HOURS, STRANDS = 3.0, 3
ONCE, TIMES = 4, 8
"""Copies of what is simulated that make once the data, and how many times that is held against it."""

MEMORY_REPETITIONS = 2
SEEN_STRIDE = 40
"""For memory: few windows, so that it does not take long, that still touch every row."""

MIB = 1024
"""Of the system's kilobytes."""

FLAT = 1.2
"""Most memory that eight times the data may take, against once. Most of either is torch itself, hence also:"""

HELD = 0.2
"""Most of what the rows grow by that the memory may grow by."""

FASTER = 10.0
"""Least speed of loading, against training: it then costs a tenth of a training's time at most."""

SETTINGS = {
    "hidden_size": 48, "num_layers": 1, "pooling": "last_max", "inputs": "change", "dropout": 0.1, "window_length": 120,
    "batch_size": 32, "device": "cpu", "threads": 1,
}  # fmt: skip


def rows() -> Iterator[Row]:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        once, often = Path(folder) / "once", Path(folder) / "often"
        made = list(simulate(LineConfig().with_rates({"sticker": 2.0}), strands=STRANDS, hours=HOURS, seed=1))
        _write(once, made, ONCE)
        _write(often, made, ONCE * TIMES)
        small, large = ([_peak_mib(path) for _ in range(MEMORY_REPETITIONS)] for path in (once, often))
        of = float(np.median(large))
        hours = HOURS * STRANDS * ONCE
        yield row(
            f"peak memory of loading an epoch, {hours:.0f} strand-hours", small, "MiB",
            f"{of:,.0f} MiB ({min(large):,.0f} to {max(large):,.0f}) of {TIMES * hours:.0f} strand-hours", of, 1 / FLAT,
        )  # fmt: skip
        grown = of - float(np.median(small))
        at_least = max(grown, 1.0)  # below it the two are the same to what a process's memory varies by
        rows_grown = _rows_mib(often) - _rows_mib(once)
        yield row(
            "rows on disk grown by", [rows_grown], "MiB",
            f"{grown:.1f} MiB that the memory grew by, taken as {at_least:.1f}", at_least, 1 / HELD,
        )  # fmt: skip
        yield _speed(once)


def _write(path: Path, made: list, times: int) -> None:
    """The simulated sequences, `times` over, as so many strands' more."""
    config = LineConfig()
    with DatasetWriter(
        path, line=config.version, seed=1, period_ms=config.period_ms, sensors=MouldArray.of(config).sensors,
        targets=TARGETS,
    ) as writer:  # fmt: skip
        for copy in range(times):
            for number, one in enumerate(made):
                names = {
                    "sequence_id": f"{one.sequence.sequence_id}-{copy}",
                    "strand_id": f"{one.sequence.strand_id}{copy}",
                }
                events = [replace(event, event_id=f"{event.event_id}-{copy}", **names) for event in one.events]
                writer.add(replace(one.sequence, **names), events, "train" if number else "validation")


def _loaders(path: Path, stride: int) -> tuple[Loaders, TrainingConfig]:
    config = from_dict({**SETTINGS, "targets": ["sticker"], "stride": stride})
    return training_loaders(path, config, fit_preprocessor(Dataset.open(path))), config


def _peak_mib(path: Path) -> float:
    """Peak resident memory of a new process that fits, indexes and loads an epoch.

    Through a shell, because a process counts the memory of the one that started it as its own until it is replaced.
    """
    command = ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, __file__, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["peak_kb"]) / MIB


def _rows_mib(path: Path) -> float:
    return sum(file.stat().st_size for file in (path / FOLDER).iterdir()) / 2**20


def _load_an_epoch(path: Path) -> None:
    import resource

    torch.set_num_threads(1)
    loaders, _ = _loaders(path, SEEN_STRIDE)
    loaders.train.sampler.set_epoch(1)
    windows = sum(len(labels) for loader in (loaders.train, loaders.validation) for _, labels in loader)
    print(json.dumps({"peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "windows": windows}))


def _speed(path: Path) -> Row:
    torch.set_num_threads(1)
    loaders, config = _loaders(path, 2)
    batches = list(islice(loaders.train, 40))
    model = CastingLSTM(
        len(loaders.train_data.sensor_names), config.hidden_size, config.num_layers, config.dropout, 1,
        pooling="last_max", inputs=config.inputs,
    )  # fmt: skip
    optimizer, criterion = torch.optim.AdamW(model.parameters()), nn.BCEWithLogitsLoss()

    def trained() -> float:
        began_s = time.perf_counter()
        for sequences, labels in batches:
            optimizer.zero_grad()
            torch.autograd.backward(criterion(model(sequences), labels))
            optimizer.step()
        return len(batches) * config.batch_size / (time.perf_counter() - began_s)

    def loaded() -> float:
        began_s = time.perf_counter()
        count = sum(len(labels) for _, labels in islice(loaders.train, 300))
        return count / (time.perf_counter() - began_s)

    # One after the other each time, so that both meet the same neighbours on the machine.
    pairs = [(trained(), loaded()) for _ in range(5)]
    training = float(np.median([pair[0] for pair in pairs]))
    return row(
        "windows loaded at batch 32, one thread", [pair[1] for pair in pairs], "windows/s",
        f"{training:,.0f} windows/s trained, LSTM of 48 on 120 x 20", training, FASTER,
    )  # fmt: skip


if __name__ == "__main__":
    _load_an_epoch(Path(sys.argv[1]))
