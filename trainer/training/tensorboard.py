"""A training run's history for TensorBoard (`tensorboard --logdir DIR`), epoch by epoch while it goes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from trainer.training.history import EpochRecord, EpochReport

_TAGS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "roc_auc": "validation/roc_auc",
    "pr_auc": "validation/pr_auc",
    "learning_rate": "training/learning_rate",
    "gradient_norm": "training/gradient_norm",
    "windows_per_second": "training/windows_per_second",
    "skipped_steps": "training/skipped_steps",
    "windows_at_once": "training/windows_at_once",
}


@contextmanager
def tensorboard_log(folder: Path) -> Iterator[EpochReport]:
    """Write event files into a folder; yields what the trainer is to call after each epoch."""
    with SummaryWriter(str(folder)) as writer:

        def on_epoch(record: EpochRecord) -> None:
            values = asdict(record)
            for field, tag in _TAGS.items():
                writer.add_scalar(tag, values[field], record.epoch)
            writer.flush()

        yield on_epoch
