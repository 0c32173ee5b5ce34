"""The training loop: epochs, validation, early stopping, checkpoints.

    trainer = SequenceModelTrainer(model, config, train_loader, val_loader)
    history = trainer.train()

The best epoch by validation ROC-AUC is kept, not the last. The seed fixes weights, dropout and sampling, so that the
same seed, data and thread count give the same weights, also if training was interrupted and went on from a checkpoint.
What happens with numbers that are none stands in `trainer.training.step`.
"""

import copy
import json
import math
import time
from collections.abc import Mapping, Sized
from typing import Any, cast

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn

from models.errors import UsageError
from models.windows import Float32Array
from trainer.config import TrainingConfig
from trainer.errors import TrainingError
from trainer.loading.loaders import Loader
from trainer.training.checkpoint import Checkpoints
from trainer.training.distributed import World, alone, set_epoch
from trainer.training.history import EpochRecord, EpochReport, StepRecord, StepReport
from trainer.training.losses import as_columns, label_weights, weighted_loss
from trainer.training.optimisation import Schedule
from trainer.training.state import (
    first_difference,
    generator_states,
    history_values,
    load_generator_states,
    load_optimizer_state,
    optimizer_state,
    prefixed,
    under,
)
from trainer.training.step import Batch, TrainingStep
from trainer.training.windows_at_once import WindowsAtOnce


class SequenceModelTrainer:
    """Trains one model.

    Args:
        model: windows [b, time, sensor] to logits [b, target].
        config: of the run.
        train_loader: batches `(sequences, labels)` or `(sequences, labels, lengths, ...)`; of this process's windows.
        val_loader: likewise; both classes of each target must occur.
        on_epoch: told of every epoch.
        on_step: told of every training step.
        checkpoints: where each epoch's state goes; None keeps none.
        identity: plain values that a checkpoint must share to be gone on from, such as the data's fingerprint.
        world: of the processes that train together; None for this one alone.

    Attributes:
        history: one record an epoch, of `train`.
        epochs: of the training loader that were begun: the number by which the next one is drawn.
        device: where it computes.
        criterion: the loss of each label.
        optimizer: of the weights.
        scheduler: of the learning rate.

    Raises:
        TrainingError: device or precision are not there.
        UsageError: the training loader does not know its length.
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
        checkpoints: Checkpoints | None = None,
        identity: Mapping[str, Any] | None = None,
        world: World | None = None,
    ) -> None:
        self.config = config
        self.world = world or alone(config.device)
        self.device = self.world.device
        self.model = model.to(self.device)
        self.world.same_weights(self.model)
        self.train_loader = train_loader
        self.val_loader = val_loader
        self.history: list[EpochRecord] = []
        self.epochs = 0
        self._on_epoch = on_epoch
        self._on_step = on_step
        self._checkpoints = checkpoints
        everything = {"config": config.as_dict(), "processes": self.world.size, **(identity or {})}
        self._identity = json.loads(json.dumps(everything))  # as it will be read back
        self._steps = _steps_of(train_loader)
        self._step = TrainingStep(self.model, config, self.world)
        self.criterion = self._step.criterion
        self.optimizer = self._step.optimizer
        self.scheduler = Schedule(self.optimizer, config, self._steps)
        self._judged_at_once = WindowsAtOnce("validation")
        self._best_auc, self._best_state, self._since_best = -math.inf, self._copy_of_weights(), 0

    def train_epoch(self) -> dict[str, float]:
        """One pass over the training loader.

        Returns:
            `loss`: mean over the windows; `gradient_norm`: mean before clipping; `windows_per_second`;
            `skipped_steps`; and `windows_at_once`: the most that went through the model together.

        Raises:
            TrainingError: loss or gradient are not finite, or one window does not fit the device.
        """
        self.model.train()
        epoch = self.epochs
        self.epochs += 1
        loader = self.train_loader
        for part in (loader.sampler, loader.batch_sampler, loader.dataset):
            set_epoch(part, epoch)
        losses, norms, windows, skipped = 0.0, 0.0, 0, 0
        began = time.perf_counter()
        for step, batch in enumerate(self.train_loader, start=1):
            rate = self._learning_rate()
            done = self._step(batch, f"step {step} of epoch {epoch + 1}")
            if done.taken:
                self.scheduler.after_step()
                losses += done.loss * done.windows * self.world.size  # a process's loss is its part of the batch's
                norms += done.gradient_norm
                windows += done.windows
            skipped += not done.taken
            if self._on_step:
                speed = windows * self.world.size / (time.perf_counter() - began)
                self._on_step(StepRecord(epoch + 1, step, self._steps, losses / max(windows, 1), rate, speed))
        self.world.mean_buffers(self.model)
        losses, all_windows = self.world.total((losses, windows))
        return {
            "loss": losses / max(all_windows, 1),
            "gradient_norm": norms / max(self._steps - skipped, 1),
            "windows_per_second": all_windows / max(time.perf_counter() - began, 1e-9),
            "skipped_steps": skipped,
            "windows_at_once": self._step.at_once.of(self.config.batch_size // self.world.size),
        }

    @torch.inference_mode()
    def validate(self) -> dict[str, float]:
        """Judge the model on the validation loader.

        Returns:
            `loss`, and `roc_auc` and `pr_auc`, each the mean over the targets.

        Raises:
            TrainingError: a logit is not finite, or a target has windows of one class only.
        """
        self.model.eval()
        parts = [(self._judged(batch), as_columns(batch[1]).to(self.device)) for batch in self.val_loader]
        logits, labels = (torch.cat(self.world.gather(torch.cat(column))) for column in zip(*parts, strict=True))
        if not bool(torch.isfinite(logits).all()):
            raise TrainingError(
                f"expected finite logits, got others in validation, epoch {self.epochs}: lower learning_rate"
            )
        loss = weighted_loss(self.criterion, logits, labels, label_weights(labels)).item()
        return {"loss": loss, **window_scores(torch.sigmoid(logits).cpu().numpy(), labels.cpu().numpy())}

    def train(self) -> list[EpochRecord]:
        """Train until the last epoch or until patience runs out; the model ends with the best epoch's weights.

        Returns:
            The history, one record an epoch.
        """
        while len(self.history) < self.config.num_epochs and self._since_best < self.config.early_stopping_patience:
            record = self._epoch()
            self.history.append(record)
            self._save()
            if self._on_epoch:
                self._on_epoch(record)
        self.model.load_state_dict(self._best_state)
        self.model.eval()
        return self.history

    def resume(self) -> int:
        """Go on from the newest checkpoint, if there is one.

        Returns:
            Epochs that are done.

        Raises:
            UsageError: it is of another configuration, other data or another number of processes.
            TrainingError: it was altered.
        """
        saved = self._checkpoints.newest() if self._checkpoints else None
        if saved is None:
            return 0
        state, tensors = saved.state, saved.tensors
        differs = first_difference(self._identity, state["identity"])
        if differs:
            raise UsageError(f"{differs}, as in {saved.path}: go on with the same, or begin anew with --force")
        self.history = [EpochRecord(**record) for record in state["history"]]
        self.epochs = len(self.history)
        self._best_auc, self._since_best = state["best_auc"], state["since_best"]
        self._best_state = {name: tensor.to(self.device) for name, tensor in under("best", tensors).items()}
        self.model.load_state_dict(under("model", tensors))
        load_optimizer_state(self.optimizer, under("optimizer", tensors), state["optimizer"])
        self.scheduler.load_state_dict(state["schedule"])
        self._step.precision.scaler.load_state_dict(state["scaler"])
        self._step.skipped = state["skipped"]
        self._step.at_once.most, self._judged_at_once.most = state["at_once"]
        load_generator_states(under("generator", tensors), self.world)
        return len(self.history)

    def _epoch(self) -> EpochRecord:
        began = time.perf_counter()
        rate = self._learning_rate()
        training, validation = self.train_epoch(), self.validate()
        self.scheduler.after_epoch(validation["roc_auc"])
        is_best = validation["roc_auc"] > self._best_auc
        self._since_best = 0 if is_best else self._since_best + 1
        if is_best:
            self._best_auc, self._best_state = validation["roc_auc"], self._copy_of_weights()
        return EpochRecord(
            epoch=len(self.history) + 1,
            train_loss=training["loss"],
            validation_loss=validation["loss"],
            roc_auc=validation["roc_auc"],
            pr_auc=validation["pr_auc"],
            learning_rate=rate,
            seconds=time.perf_counter() - began,
            best=is_best,
            gradient_norm=training["gradient_norm"],
            windows_per_second=training["windows_per_second"],
            skipped_steps=int(training["skipped_steps"]),
            windows_at_once=int(training["windows_at_once"]),
        )

    def _save(self) -> None:
        if self._checkpoints is None:
            return
        generators = generator_states(self.world)
        if not self.world.leads:
            return
        moments, groups = optimizer_state(self.optimizer)
        tensors = {
            **prefixed("model", self.model.state_dict()),
            **prefixed("best", self._best_state),
            **prefixed("optimizer", moments),
            **prefixed("generator", generators),
        }
        state = {
            "identity": self._identity,
            "history": history_values(self.history),
            "best_auc": self._best_auc,
            "since_best": self._since_best,
            "optimizer": groups,
            "schedule": self.scheduler.state_dict(),
            "scaler": self._step.precision.scaler.state_dict(),
            "skipped": self._step.skipped,
            "at_once": [self._step.at_once.most, self._judged_at_once.most],
        }
        self._checkpoints.save(len(self.history), tensors, state)

    def _judged(self, batch: Batch) -> Tensor:
        def work(size: int) -> Tensor:
            starts = range(0, len(batch[0]), size)
            return torch.cat([self._step.logits(batch, slice(start, start + size)) for start in starts])

        return self._judged_at_once.run(len(batch[0]), work)

    def _learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def _copy_of_weights(self) -> dict[str, Tensor]:
        return copy.deepcopy(self.model.state_dict())


def _steps_of(loader: Loader) -> int:
    try:
        return len(cast("Sized", loader))
    except TypeError:
        raise UsageError(
            "expected a loader that knows its number of batches, got one without len() at train_loader: load from a "
            "dataset with a length"
        ) from None


def window_scores(probabilities: Float32Array, labels: Float32Array) -> dict[str, float]:
    """ROC-AUC and PR-AUC (average precision) of windows, the mean over the targets.

    Args:
        probabilities: [n, target].
        labels: [n, target], NaN where left out; both classes of each target must occur.

    Raises:
        TrainingError: a target has windows of one class only.
    """
    scores = []
    for target, (probability, label) in enumerate(zip(probabilities.T, labels.T, strict=True)):
        known = ~np.isnan(label)
        truth, said = label[known], probability[known]
        if np.unique(truth).size < 2:
            raise TrainingError(
                f"expected windows of both classes, got {truth.size} of one at target {target} of the windows judged: "
                "raise validation_share, or judge on more data"
            )
        scores.append((roc_auc_score(truth, said), average_precision_score(truth, said)))
    roc, pr = np.mean(scores, axis=0)
    return {"roc_auc": float(roc), "pr_auc": float(pr)}
