"""How a training run reports on stderr: a bar of the epoch's steps on a terminal, one plain line an epoch anywhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from trainer.train_sequence import EpochRecord, EpochReport, StepReport


@contextmanager
def training_progress(epochs: int) -> Iterator[tuple["EpochReport", "StepReport | None"]]:
    """Show a training run; yields what the trainer is to call after each epoch and each step."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda record: print(_line(record, epochs), file=sys.stderr, flush=True), None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield _bar(bar, epochs)


def _bar(bar: Progress, epochs: int) -> tuple["EpochReport", Callable[[int, int], None]]:
    task = bar.add_task(f"epoch 1/{epochs}", total=None)

    def on_epoch(record: "EpochRecord") -> None:
        bar.console.print(_line(record, epochs), highlight=False)
        bar.update(task, description=f"epoch {record.epoch + 1}/{epochs}", completed=0)

    def on_step(step: int, steps: int) -> None:
        bar.update(task, completed=step, total=steps)

    return on_epoch, on_step


def _line(record: "EpochRecord", epochs: int) -> str:
    return (
        f"epoch {record.epoch}/{epochs}: loss {record.train_loss:.4f}, validation {record.validation_loss:.4f}, "
        f"ROC-AUC {record.roc_auc:.4f}, PR-AUC {record.pr_auc:.4f}, {record.seconds:.1f} s"
        + (", best" if record.best else "")
    )
