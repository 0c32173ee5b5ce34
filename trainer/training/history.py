"""What a training run tells while it goes: one record a step for whoever watches, one record an epoch for good."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepRecord:
    """How far an epoch has come.

    Attributes:
        epoch: from 1.
        step: steps done in this epoch, from 1.
        steps: of the epoch.
        loss: mean over the epoch's windows so far.
        learning_rate: of this step.
        windows_per_second: since the epoch began, all processes together.
    """

    epoch: int
    step: int
    steps: int
    loss: float
    learning_rate: float
    windows_per_second: float


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch brought.

    Attributes:
        epoch: from 1.
        train_loss: mean over the epoch's windows.
        validation_loss: mean over the validation windows.
        roc_auc: on validation, the mean over the targets.
        pr_auc: average precision on validation, the mean over the targets.
        learning_rate: at the beginning of this epoch.
        seconds: wall time, validation included.
        best: whether it is the best so far.
        gradient_norm: mean before clipping, of the steps that were taken.
        windows_per_second: in training, without validation; all processes together.
        skipped_steps: left out because half precision overflowed.
        windows_at_once: the most a process ran through the model at once: its share of the batch, or what fits.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    roc_auc: float
    pr_auc: float
    learning_rate: float
    seconds: float
    best: bool
    gradient_norm: float
    windows_per_second: float
    skipped_steps: int
    windows_at_once: int


EpochReport = Callable[[EpochRecord], None]
StepReport = Callable[[StepRecord], None]
