"""Optimisers and learning-rate schedules, by their names in the configuration."""

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from trainer.config import TrainingConfig


def build_optimizer(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """AdamW, or Adam (whose weight decay is part of the gradient)."""
    kind: Callable[..., Optimizer] = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)


class Schedule:
    """Moves the learning rate, after each step or after each epoch, as its kind wants.

    `plateau` halves it when the validation ROC-AUC has not grown, by however little, for `scheduler_patience` epochs;
    `cosine` lowers it epoch by epoch to zero at `num_epochs`; `one_cycle` raises it to `learning_rate` and lowers it
    step by step, once over all `num_epochs`, and leaves it there if they are more; `none` leaves it.

    Args:
        optimizer: whose rate.
        config: names the kind.
        steps: of an epoch.
    """

    def __init__(self, optimizer: Optimizer, config: TrainingConfig, steps: int) -> None:
        self._scheduler: LRScheduler | ReduceLROnPlateau | None = None
        if config.scheduler == "plateau":
            self._scheduler = ReduceLROnPlateau(
                optimizer, mode="max", patience=config.scheduler_patience, factor=0.5, threshold=0
            )
        elif config.scheduler == "cosine":
            self._scheduler = CosineAnnealingLR(optimizer, T_max=config.num_epochs)
        elif config.scheduler == "one_cycle":
            total = config.num_epochs * max(steps, 1)
            self._scheduler = OneCycleLR(optimizer, max_lr=config.learning_rate, total_steps=total)

    def after_step(self) -> None:
        """Call after each step that was taken."""
        if isinstance(self._scheduler, OneCycleLR) and self._scheduler.last_epoch + 1 < self._scheduler.total_steps:
            self._scheduler.step()

    def after_epoch(self, roc_auc: float) -> None:
        """Call after each epoch with its validation ROC-AUC."""
        if isinstance(self._scheduler, ReduceLROnPlateau):
            self._scheduler.step(roc_auc)
        elif isinstance(self._scheduler, CosineAnnealingLR):
            self._scheduler.step()

    def state_dict(self) -> dict[str, object]:
        """Plain values."""
        return {} if self._scheduler is None else dict(self._scheduler.state_dict())

    def load_state_dict(self, state: dict[str, object]) -> None:
        """Put back what `state_dict` gave."""
        if self._scheduler is not None:
            self._scheduler.load_state_dict(state)
