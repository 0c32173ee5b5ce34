"""Losses of a batch of windows, from logits: binary cross-entropy with a weight for positives, and focal loss.

A label is 1, 0, between the two (mixed windows) or NaN (truth left out for that target: it has no part). The loss of a
batch is, for each target, the mean over the windows whose label is known, and then the mean over the targets; as
`label_weights` says beforehand what each label counts, a batch may be worked through in parts.

Shape suffixes: b windows, k targets.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.config import TrainingConfig


class FocalWithLogitsLoss(nn.Module):
    """Focal loss (Lin et al. 2017) of each label: cross-entropy that counts less the better a window is told already.

    `-w y (1 - p)^γ log p - (1 - y) p^γ log(1 - p)`, linear in the label, so that a mixed window's loss is the mixture
    of the two losses. With γ = 0 it is the cross-entropy.

    Args:
        gamma: γ ≥ 0.
        pos_weight: w, of a positive.
    """

    def __init__(self, gamma: float, pos_weight: Tensor) -> None:
        super().__init__()
        self.gamma = gamma
        self.pos_weight: Tensor
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, logits_bk: Tensor, labels_bk: Tensor) -> Tensor:
        """Loss [b, k] of each label."""
        # log p and log(1 - p) straight from the logit, and the powers as exponentials of them: nothing overflows, and
        # the gradient of 0^γ, which is not finite below γ = 1, never occurs.
        minus_log_p, minus_log_q = functional.softplus(-logits_bk), functional.softplus(logits_bk)
        positive = self.pos_weight * torch.exp(-self.gamma * minus_log_q) * minus_log_p
        negative = torch.exp(-self.gamma * minus_log_p) * minus_log_q
        return labels_bk * positive + (1 - labels_bk) * negative


def build_loss(config: TrainingConfig) -> nn.Module:
    """The configured loss of each label: (logits [b, k], labels [b, k] without NaN) to [b, k]."""
    pos_weight = torch.tensor(config.class_weight)
    if config.loss == "focal":
        return FocalWithLogitsLoss(config.focal_gamma, pos_weight)
    return nn.BCEWithLogitsLoss(pos_weight=pos_weight, reduction="none")


def as_columns(labels: Tensor) -> Tensor:
    """Labels float32 [b, k], also of one target that came as [b], or as whole numbers."""
    return (labels[:, None] if labels.dim() == 1 else labels).float()


def label_weights(labels_bk: Tensor, total: Callable[[Tensor], Tensor] = lambda counts: counts) -> Tensor:
    """What each label counts in the loss of its batch: [b, k], sums to one (zero where no label is known at all).

    Args:
        labels_bk: of this process's windows, NaN where left out.
        total: adds up counts [k] over the processes whose windows make the batch.
    """
    known_bk = ~torch.isnan(labels_bk)
    of_target_k = total(known_bk.sum(0))
    targets = (of_target_k > 0).sum().clamp(min=1)
    return known_bk / (of_target_k.clamp(min=1) * targets)


def weighted_loss(criterion: nn.Module, logits_bk: Tensor, labels_bk: Tensor, weights_bk: Tensor) -> Tensor:
    """Loss of some windows of a batch, in float32.

    Args:
        criterion: from `build_loss`.
        logits_bk: of these windows.
        labels_bk: of these windows, NaN where left out.
        weights_bk: of these windows, from `label_weights` of the whole batch.

    Returns:
        A scalar; the scalars of a batch's parts add up to its loss.
    """
    each_bk: Tensor = criterion(logits_bk.float(), labels_bk.nan_to_num())
    return (each_bk * weights_bk).sum()
