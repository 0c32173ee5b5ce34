"""How a training run reports on stderr: a bar of the whole training on a terminal, one plain line an epoch anywhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from trainer.training.history import EpochRecord, EpochReport, StepRecord, StepReport


@contextmanager
def training_progress(
    epochs: int, console: Console | None = None, *, of: Callable[[], str] = str
) -> Iterator[tuple["EpochReport", "StepReport | None"]]:
    """Show a training run; yields what the trainer is to call after each epoch and each step.

    Args:
        epochs: at most.
        console: where to; None for stderr.
        of: which of several runs is under way, as `trial 3/20, `; empty for the only one.
    """
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda record: print(of() + _line(record, epochs, whole=True), file=sys.stderr, flush=True), None
        return
    columns = (TextColumn("{task.description}"), BarColumn(8), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True) as progress:
        bar = _Bar(progress, epochs, of)
        yield bar.on_epoch, bar.on_step


class _Bar:
    """What the bar says: the epoch under way, how it goes, the last epoch's ROC-AUC; the time left is that of all."""

    def __init__(self, progress: Progress, epochs: int, of: Callable[[], str]) -> None:
        self._progress = progress
        self._of = of
        self._epochs = epochs
        self._auc = "-"
        self._task = progress.add_task(f"epoch 1/{epochs}", total=None)

    def on_epoch(self, record: "EpochRecord") -> None:
        self._auc = f"{record.roc_auc:.4f}"
        self._progress.console.print(self._of() + _line(record, self._epochs), highlight=False)

    def on_step(self, record: "StepRecord") -> None:
        description = (
            f"{self._of()}{record.epoch}/{self._epochs} loss {record.loss:.4f} AUC {self._auc} "
            f"lr {record.learning_rate:.1e} {record.windows_per_second:,.0f} seq/s"
        )
        completed = (record.epoch - 1) * record.steps + record.step
        self._progress.update(
            self._task, description=description, completed=completed, total=self._epochs * record.steps
        )


def _line(record: "EpochRecord", epochs: int, *, whole: bool = False) -> str:
    """An epoch in a line; the whole of it does not fit 80 columns, and on a terminal the bar says the rest."""
    notes = [
        f"epoch {record.epoch}/{epochs}: loss {record.train_loss:.4f}",
        f"validation {record.validation_loss:.4f}",
        f"ROC-AUC {record.roc_auc:.4f}",
        *([f"lr {record.learning_rate:.1e}", f"{record.windows_per_second:,.0f} seq/s"] if whole else []),
        f"{record.seconds:.1f} s",
    ]
    if record.skipped_steps:
        notes.append(f"{record.skipped_steps} skipped")
    return ", ".join(notes + ["best"] * record.best)
