"""One step of training: a batch, its gradient, and whether the gradient may move the weights.

What is done about numbers that are none (the one place where it is written):

- Before the weights move, the loss and the norm of the whole gradient are looked at. Unless both are finite, the
  weights stay as they are.
- In float32 and bf16 that is a `TrainingError` that names step, epoch and remedy. The last checkpoint stays.
- In fp16 the scaled gradient overflows now and then by design: the step is skipped, the scale halved, the history
  counts it. 20 skipped steps in a row are a `TrainingError`: from 65,536, where the scale begins, 16 halvings lead to
  one.
- A logit that is not finite in validation is a `TrainingError`.
- A label that is NaN was left out on purpose and has no part in the loss. A window that has NaN is no input: the
  preprocessing fills what is missing, so the first rule catches it.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import TrainingConfig
from trainer.errors import TrainingError
from trainer.training.distributed import World
from trainer.training.losses import as_columns, build_loss, label_weights, weighted_loss
from trainer.training.optimisation import build_optimizer
from trainer.training.precision import open_precision
from trainer.training.windows_at_once import WindowsAtOnce

MOST_SKIPPED = 20
"""Steps in a row; see above."""

Batch = tuple[Tensor, ...]
"""Windows [b, time, sensor] and labels [b, target]; with variable length also lengths [b], and whatever follows."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step found.

    Attributes:
        loss: of this process's windows.
        gradient_norm: before clipping.
        windows: of this process.
        taken: whether the weights moved.
    """

    loss: float
    gradient_norm: float
    windows: int
    taken: bool


class TrainingStep:
    """Moves a model's weights, batch by batch.

    Args:
        model: on the world's device.
        config: of the run.
        world: of the processes.

    Attributes:
        precision: of the model's inner numbers.
        criterion: loss of each label.
        optimizer: of the weights.
        at_once: windows that fit the device in training.
        skipped: steps in a row that were skipped.

    Raises:
        TrainingError: the device does not have the precision.
    """

    def __init__(self, model: nn.Module, config: TrainingConfig, world: World) -> None:
        self._model = model
        self._world = world
        self._clip = config.gradient_clip
        self._parameters = list(model.parameters())
        self.precision = open_precision(config, world.device)
        self.criterion = build_loss(config).to(world.device)
        self.optimizer = build_optimizer(model, config)
        self.at_once = WindowsAtOnce("training")
        self.skipped = 0

    def __call__(self, batch: Batch, where: str) -> StepResult:
        """Take one step, or skip it.

        Args:
            batch: this process's windows.
            where: `step 3 of epoch 1`, for errors.

        Raises:
            TrainingError: loss or gradient is not finite, or one window does not fit the device.
        """
        windows = len(batch[0])
        labels = as_columns(batch[1]).to(self._world.device)
        # Before the parts, which may be worked through again here and not in the other processes.
        weights = label_weights(labels, self._world.summed)
        found = self.at_once.run(windows, lambda size: self._backward(batch, labels, weights, size))
        self._world.sum_gradients(self._model)
        scaler = self.precision.scaler
        scaler.unscale_(self.optimizer)
        gradient_norm = nn.utils.clip_grad_norm_(self._parameters, self._clip)
        loss, norm = torch.stack((found, gradient_norm)).tolist()  # the step's only wait for the device
        finite = math.isfinite(loss) and math.isfinite(norm)
        if finite:
            scaler.step(self.optimizer)
        else:
            self._refuse("loss" if not math.isfinite(loss) else "gradient", loss, norm, where)
        scaler.update()
        self.skipped = 0 if finite else self.skipped + 1
        return StepResult(loss, norm, windows, finite)

    def logits(self, batch: Batch, part: slice) -> Tensor:
        """Logits [b, target] in float32 of some of a batch's windows."""
        sequences, _, *lengths = batch
        with self.precision.autocast():
            inputs = sequences[part].to(self._world.device, torch.float32, non_blocking=True)
            logits: Tensor = self._model(inputs, *(length[part] for length in lengths[:1]))
        return logits.float()

    def _backward(self, batch: Batch, labels: Tensor, weights: Tensor, size: int) -> Tensor:
        """Accumulate the gradient of the batch's loss, so many windows at once; returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self._world.device)
        for start in range(0, len(labels), size):
            part = slice(start, start + size)
            loss = weighted_loss(self.criterion, self.logits(batch, part), labels[part], weights[part])
            torch.autograd.backward(self.precision.scaler.scale(loss))
            total += loss.detach()
        return total

    def _refuse(self, what: str, loss: float, norm: float, where: str) -> None:
        got = loss if what == "loss" else norm
        remedy = "lower learning_rate or look at the data; the last checkpoint is as it was"
        if not self.precision.may_skip:
            raise TrainingError(f"expected a finite {what}, got {got} at {where}: {remedy}")
        if self.skipped + 1 >= MOST_SKIPPED:
            raise TrainingError(
                f"expected a finite {what} within {MOST_SKIPPED} steps, got {got} at {where}: "
                f"set precision=bf16 or float32, {remedy}"
            )
