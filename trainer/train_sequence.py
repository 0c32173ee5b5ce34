"""Training a sequence model: the loop, and a whole run from a dataset to the best weights.

    run = train_on_dataset("data/line", load_config("tiny"))
    run.model, run.preprocessor, run.history

Notable decisions: the loss takes logits; a label that is NaN (truth left out for that target) has no part in it; the
best epoch by validation ROC-AUC is kept, not the last; the seed fixes weights, dropout and sampling, so that the same
seed, data and thread count give the same weights.
"""

import copy
import math
import time
from collections.abc import Callable, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn
from torch.utils.data import DataLoader

from models.windows import Float32Array
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.datasets.integrity import check_integrity
from trainer.device import open_device
from trainer.errors import TrainingError
from trainer.preprocess import SequencePreprocessor
from trainer.sequence_dataset import (
    CastingSequenceDataset,
    EpochSampler,
    check_alerts,
    check_targets,
    fit_preprocessor,
    open_split,
)
from trainer.sequence_models import SequenceModel, build_model

Loader = DataLoader[tuple[Tensor, ...]]
StepReport = Callable[[int, int], None]
"""Called after each training step with the steps done and those of the epoch."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch brought.

    Attributes:
        epoch: from 1.
        train_loss: mean over the epoch's windows.
        validation_loss: mean over the validation windows.
        roc_auc: on validation, the mean over the targets.
        pr_auc: average precision on validation, the mean over the targets.
        learning_rate: in use in this epoch.
        seconds: wall time, validation included.
        best: whether it is the best so far.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    roc_auc: float
    pr_auc: float
    learning_rate: float
    seconds: float
    best: bool


EpochReport = Callable[[EpochRecord], None]


class SequenceModelTrainer:
    """Trains one model.

    Args:
        model: windows [b, time, sensor] to logits [b, target].
        config: of the run.
        train_loader: batches `(sequences, labels)` or `(sequences, labels, lengths)`.
        val_loader: likewise; both classes of each target must occur.
        on_epoch: told of every epoch.
        on_step: told of every training step.

    Attributes:
        history: one record an epoch.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        train_loader: Loader,
        val_loader: Loader,
        *,
        on_epoch: EpochReport | None = None,
        on_step: StepReport | None = None,
    ) -> None:
        self.config = config
        self.device = open_device(config.device)
        self.model = model.to(self.device)
        self.train_loader = train_loader
        self.val_loader = val_loader
        self.history: list[EpochRecord] = []
        self._on_epoch = on_epoch
        self._on_step = on_step
        # NaN labels are taken out before the mean, so the reduction is ours.
        self.criterion = nn.BCEWithLogitsLoss(
            pos_weight=torch.tensor(config.class_weight, device=self.device), reduction="none"
        )
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, mode="max", patience=config.scheduler_patience, factor=0.5
        )

    def train_epoch(self) -> dict[str, float]:
        """One pass over the training loader.

        Returns:
            `loss`: mean over the windows; `gradient_norm`: mean before clipping.

        Raises:
            TrainingError: the loss is not finite.
        """
        self.model.train()
        losses, norms, windows = 0.0, 0.0, 0
        steps = len(cast("Sized", self.train_loader))
        for step, batch in enumerate(self.train_loader, start=1):
            logits, labels = self._forward(batch)
            loss = self._loss(logits, labels)
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"expected a finite loss, got {loss.item()} at step {step} of epoch {len(self.history) + 1}: "
                    "lower learning_rate or look at the data"
                )
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
            self.optimizer.step()
            losses += loss.item() * len(labels)
            norms += norm.item()
            windows += len(labels)
            if self._on_step:
                self._on_step(step, steps)
        return {"loss": losses / max(windows, 1), "gradient_norm": norms / max(steps, 1)}

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Judge the model on the validation loader.

        Returns:
            `loss`, and `roc_auc` and `pr_auc`, each the mean over the targets.

        Raises:
            TrainingError: a logit is not finite.
        """
        self.model.eval()
        parts = [self._forward(batch) for batch in self.val_loader]
        logits, labels = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        if not bool(torch.isfinite(logits).all()):
            raise TrainingError(f"expected finite logits, got others in validation, epoch {len(self.history) + 1}")
        scores = window_scores(torch.sigmoid(logits).cpu().numpy(), labels.cpu().numpy())
        return {"loss": self._loss(logits, labels).item(), **scores}

    def train(self) -> list[EpochRecord]:
        """Train until the last epoch or until patience runs out; the model ends with the best epoch's weights.

        Returns:
            The history, one record an epoch.
        """
        best_auc, best_state, since_best = -math.inf, copy.deepcopy(self.model.state_dict()), 0
        for epoch in range(1, self.config.num_epochs + 1):
            started = time.perf_counter()
            rate = float(self.optimizer.param_groups[0]["lr"])
            training, validation = self.train_epoch(), self.validate()
            self.scheduler.step(validation["roc_auc"])
            is_best = validation["roc_auc"] > best_auc
            since_best = 0 if is_best else since_best + 1
            if is_best:
                best_auc, best_state = validation["roc_auc"], copy.deepcopy(self.model.state_dict())
            record = EpochRecord(
                epoch=epoch,
                train_loss=training["loss"],
                validation_loss=validation["loss"],
                roc_auc=validation["roc_auc"],
                pr_auc=validation["pr_auc"],
                learning_rate=rate,
                seconds=time.perf_counter() - started,
                best=is_best,
            )
            self.history.append(record)
            if self._on_epoch:
                self._on_epoch(record)
            if since_best >= self.config.early_stopping_patience:
                break
        self.model.load_state_dict(best_state)
        self.model.eval()
        return self.history

    def _forward(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        sequences, labels, *lengths = batch
        logits = self.model(sequences.to(self.device), *lengths)
        return logits, labels.to(self.device)

    def _loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        known = ~torch.isnan(labels)
        each = self.criterion(logits, labels.nan_to_num())
        mean: Tensor = (each * known).sum() / known.sum().clamp(min=1)
        return mean


def window_scores(probabilities: Float32Array, labels: Float32Array) -> dict[str, float]:
    """ROC-AUC and PR-AUC (average precision) of windows, the mean over the targets.

    Args:
        probabilities: [n, target].
        labels: [n, target], NaN where left out; both classes of each target must occur.
    """
    scores = []
    for probability, label in zip(probabilities.T, labels.T, strict=True):
        known = ~np.isnan(label)
        truth, said = label[known], probability[known]
        scores.append((roc_auc_score(truth, said), average_precision_score(truth, said)))
    roc, pr = np.mean(scores, axis=0)
    return {"roc_auc": float(roc), "pr_auc": float(pr)}


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A finished training.

    Attributes:
        model: with the best epoch's weights, in eval mode, on the CPU.
        preprocessor: fitted on the training split.
        dataset: what it was trained on.
        train: the training windows.
        validation: the validation windows.
        history: one record an epoch.
        config: of the run.
    """

    model: SequenceModel
    preprocessor: SequencePreprocessor
    dataset: Dataset
    train: CastingSequenceDataset
    validation: CastingSequenceDataset
    history: list[EpochRecord]
    config: TrainingConfig

    def record(self) -> dict[str, Any]:
        """For training.json."""
        return {"config": self.config.as_dict(), "history": [asdict(entry) for entry in self.history]}


def train_on_dataset(
    data: str | Path,
    config: TrainingConfig,
    *,
    on_epoch: EpochReport | None = None,
    on_step: StepReport | None = None,
) -> TrainingRun:
    """Train on a dataset's training split, judged on its validation split.

    Raises:
        ContractError: no dataset there, one that was altered, or splits that leak.
        UsageError: a target it does not have, alert settings of another, or a split without windows of both classes.
        TrainingError: the device is not there, or the loss is no number any more.
    """
    open_device(config.device)  # before the data is read, which may take minutes
    torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    dataset = Dataset.open(data)
    check_alerts(config, check_targets(dataset, config.targets))
    check_integrity(dataset, config.window_rules(dataset.info.period_ms))
    preprocessor = fit_preprocessor(dataset, normalization=config.normalization, clip=config.clip)
    train = open_split(data, "train", config, preprocessor)
    validation = open_split(data, "validation", config, preprocessor)
    sampler = EpochSampler(
        train,
        positive=config.positive_share,
        near=config.decoy_share,
        plain=config.negative_share,
        seed=config.seed,
    )
    share = config.validation_share
    judged = EpochSampler(validation, positive=share, near=share, plain=share, seed=config.seed, fixed=True)
    model = build_model(config, len(train.sensor_names), len(train.targets))
    trainer = SequenceModelTrainer(
        model,
        config,
        DataLoader(train, config.batch_size, sampler=sampler, collate_fn=train.collate_fn),
        DataLoader(validation, 512, sampler=judged, collate_fn=validation.collate_fn),
        on_epoch=on_epoch,
        on_step=on_step,
    )
    history = trainer.train()
    return TrainingRun(model.cpu(), preprocessor, dataset, train, validation, history, config)
