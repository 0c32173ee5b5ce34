"""Training: `SequenceModelTrainer` against a bare loop, the same model on tensors that are in memory already.

The bare loop is what a textbook has: forward, loss, backward, clipping, step. Both take turns in one process, one
thread; windows in a second of processor time.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from results import REPETITIONS, Row, row
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset
from torch.utils.data import Dataset as TorchDataset

from trainer.config import TrainingConfig
from trainer.datasets.writer import DatasetWriter
from trainer.line.config import LineConfig
from trainer.line.mould_array import MouldArray
from trainer.line.simulator import TARGETS, simulate
from trainer.sequence_dataset import CastingSequenceDataset
from trainer.sequence_models import CastingLSTM
from trainer.train_sequence import Loader, SequenceModelTrainer

BATCH, LENGTH, SENSORS = 32, 120, 20
SIZES = {"48 x 1": (48, 1, 16), "128 x 2": (128, 2, 3)}
"""Hidden features, layers, and the batches of one turn."""

TURNS = 8
"""Of each in one repetition: short ones in quick alternation, so that a busy neighbour slows down both alike."""

AT_LEAST = 0.95


class InMemory(TorchDataset[tuple[Tensor, ...]]):
    """Windows that need no work but to be picked."""

    def __init__(self, windows: Tensor, labels: Tensor) -> None:
        self.windows = windows
        self.labels = labels

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, ...]:
        return self.windows[indices], self.labels[indices]


def rows() -> Iterator[Row]:
    """Measure."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, (hidden, layers, batches) in SIZES.items():
        windows = torch.randn(BATCH * batches, LENGTH, SENSORS)
        labels = (torch.rand(len(windows), 1) < 0.1).float()
        loader: Loader = DataLoader(InMemory(windows, labels), BATCH, shuffle=True, collate_fn=lambda batch: batch)
        yield _row(f"training, LSTM {name}, windows in memory", hidden, layers, loader, windows, labels)
    with tempfile.TemporaryDirectory() as folder:
        data = _line(Path(folder) / "line")
        for name, (hidden, layers, batches) in SIZES.items():
            some = Subset(data, torch.randperm(len(data))[: BATCH * batches].tolist())
            windows, labels = data.collate_fn([some[index] for index in range(len(some))])
            loader = DataLoader(some, BATCH, shuffle=True, collate_fn=data.collate_fn)
            yield _row(f"training, LSTM {name}, from a dataset", hidden, layers, loader, windows, labels)


def _row(name: str, hidden: int, layers: int, loader: Loader, windows: Tensor, labels: Tensor) -> Row:
    config = TrainingConfig(hidden_size=hidden, num_layers=layers, batch_size=BATCH, device="cpu", threads=1)
    trained, bare = (CastingLSTM(windows.shape[2], hidden, layers, config.dropout) for _ in range(2))
    trainer = SequenceModelTrainer(trained, config, loader, loader)
    optimizer = torch.optim.AdamW(bare.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(config.class_weight))

    def bare_epoch() -> None:
        bare.train()
        for start in range(0, len(windows), BATCH):
            loss = criterion(bare(windows[start : start + BATCH]), labels[start : start + BATCH])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(bare.parameters(), config.gradient_clip)
            optimizer.step()

    _seconds(bare_epoch), _seconds(trainer.train_epoch)  # what is done once only
    taken_s = [
        [(_seconds(trainer.train_epoch), _seconds(bare_epoch)) for _ in range(TURNS)] for _ in range(REPETITIONS)
    ]
    ours, theirs = (
        [TURNS * len(windows) / sum(turn[which] for turn in turns) for turns in taken_s] for which in (0, 1)
    )
    median = statistics.median(theirs)
    return row(name, ours, "windows/s", f"{median:,.0f} of a bare loop", median, AT_LEAST)


def _seconds(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def _line(path: Path) -> CastingSequenceDataset:
    config = LineConfig()
    sensors = MouldArray.of(config).sensors
    with DatasetWriter(
        path, line=config.version, seed=1, period_ms=config.period_ms, sensors=sensors, targets=TARGETS
    ) as writer:
        for made in simulate(config, strands=2, hours=1.0, seed=1):
            writer.add(made.sequence, made.events, "train")
    # One target, as many as the model has logits.
    return CastingSequenceDataset(path, LENGTH, split="train", targets=TARGETS[:1])
