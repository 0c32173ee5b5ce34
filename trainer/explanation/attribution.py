"""What a network's answer rests on: attributions per sensor and scan, attention per scan.

Attribution is made on the window as the network sees it (filled, normalised, clipped) and explains the target's
*logit*: a probability near 1 hardly moves any more, and its gradient would tell of saturation, not of the window.

Both methods ask "compared with what?". The baseline is what each sensor ordinarily shows on that strand, constant over
the window (see `trainer.explanation.chosen`). The training mean would be the wrong question: strands differ in level by
more than some events move them, and such an offset, which says nothing of the event, is multiplied into the attribution
of every scan. The window's own first values would be one noisy scan, and within a slow event part of the event itself.

Shape suffixes: b windows, t rows in time, s sensors, h heads.
"""

import copy
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from captum.attr import IntegratedGradients, Occlusion
from torch import Tensor

from models.windows import Float32Array
from trainer.architectures.attention_lstm import CastingAttentionLSTM
from trainer.architectures.base import SequenceModel

Float64Array = npt.NDArray[np.float64]

STEPS = 64
"""Points of the path that integrated gradients are summed over (Gauss-Legendre).

On a CNN-LSTM of 240 x 20 whose logit moves by 13 they miss it by 0.15 in the median; 32 by 0.5, 256 by 0.02.
"""

BLOCK_ROWS = 20
"""Scans of one sensor that occlusion takes away at once."""

MOST_BLOCKS = 12
"""Blocks a sensor at most: of a longer window each is longer, so that the cost does not grow with it."""

_AT_ONCE = 256
"""Windows of a forward call, so that memory does not grow with what is explained."""

_ATTENTION_AT_ONCE = 16
"""Windows whose attention weights [heads, t, t] are held at once."""

Explain = Callable[[SequenceModel, Tensor, Tensor, int], Float64Array]
"""A method: network, windows [b, t, s] as it sees them, baseline [s], target → attribution [b, t, s] or [b, t, 1]."""


def integrated_gradients(
    model: SequenceModel, x_bts: Tensor, baseline_s: Tensor, target: int, *, steps: int = STEPS
) -> Float64Array:
    """Integrated gradients (Sundararajan 2017) of one target's logit.

    Args:
        model: in eval mode.
        x_bts: windows as the network sees them.
        baseline_s: what each sensor is compared with, normalised.
        target: index of the logit.
        steps: of the path from the baseline to the window.

    Returns:
        float64 [b, t, s] in logits; a window's sum is its logit less that of the baseline.
    """
    explainer = IntegratedGradients(model)
    parts = []
    # cuDNN's recurrent layers have a backward pass in training mode only, and training mode would switch dropout on.
    with torch.backends.cudnn.flags(enabled=False):
        for part in torch.split(x_bts, max(1, _AT_ONCE // steps)):
            baseline = baseline_s.expand_as(part).contiguous()
            parts.append(explainer.attribute(part, baseline, target=target, n_steps=steps).detach())
    return _numpy(torch.cat(parts))


@torch.no_grad()
def occlusion(
    model: SequenceModel, x_bts: Tensor, baseline_s: Tensor, target: int, *, rows: int = BLOCK_ROWS
) -> Float64Array:
    """How far one target's logit falls if a stretch of one sensor shows its baseline instead.

    Args:
        model: in eval mode.
        x_bts: windows as the network sees them.
        baseline_s: what stands in a stretch taken away, normalised.
        target: index of the logit.
        rows: of a stretch; more where there would be over `MOST_BLOCKS` of a sensor.

    Returns:
        float64 [b, t, s] in logits; every scan of a stretch has the whole stretch's.
    """
    length = x_bts.shape[1]
    block = (min(length, max(rows, -(-length // MOST_BLOCKS))), 1)
    explainer = Occlusion(model)
    parts = [
        explainer.attribute(
            part,
            sliding_window_shapes=block,
            strides=block,
            baselines=baseline_s.expand_as(part).contiguous(),
            target=target,
            perturbations_per_eval=max(1, _AT_ONCE // len(part)),
        )
        for part in torch.split(x_bts, _AT_ONCE)
    ]
    return _numpy(torch.cat(parts))


def attention(model: SequenceModel, x_bts: Tensor) -> Float64Array:
    """How much the head's input takes from each row's state, by the model's own attention weights.

    Heads are averaged; with pooling `last` only the last row asks, otherwise all rows do and are averaged too. A state
    has seen every row before it, the weights know neither sensor nor target, and there is no baseline: what this tells
    is where in time the network looked, no more.

    Returns:
        float64 [b, t, 1]; a window's weights add up to 1.
    """
    if not isinstance(model, CastingAttentionLSTM):
        raise TypeError(f"expected a CastingAttentionLSTM, got {type(model).__name__}")
    parts = []
    for part in torch.split(x_bts, _ATTENTION_AT_ONCE):
        asked_btt = model.attention_weights(part).mean(1)
        parts.append(asked_btt[:, -1] if model.pool.kind == "last" else asked_btt.mean(1))
    return _numpy(torch.cat(parts))[:, :, None]


def methods_of(model: SequenceModel, steps: int = STEPS, rows: int = BLOCK_ROWS) -> dict[str, Explain]:
    """The methods that a network can be explained by, by name."""

    def gradients(model: SequenceModel, x_bts: Tensor, baseline_s: Tensor, target: int) -> Float64Array:
        return integrated_gradients(model, x_bts, baseline_s, target, steps=steps)

    def occluded(model: SequenceModel, x_bts: Tensor, baseline_s: Tensor, target: int) -> Float64Array:
        return occlusion(model, x_bts, baseline_s, target, rows=rows)

    def attended(model: SequenceModel, x_bts: Tensor, _baseline_s: Tensor, _target: int) -> Float64Array:
        return attention(model, x_bts)

    found: dict[str, Explain] = {"integrated_gradients": gradients, "occlusion": occluded}
    if isinstance(model, CastingAttentionLSTM):
        found["attention"] = attended
    return found


def logits(model: SequenceModel, x_bts: Tensor) -> Float64Array:
    """Logits [b, target] of windows as the network sees them."""
    with torch.inference_mode():
        return _numpy(torch.cat([model(part) for part in torch.split(x_bts, _AT_ONCE)]))


def with_shuffled_weights(model: SequenceModel, seed: int) -> SequenceModel:
    """The same network with the numbers within each of its weights in another order: as large, and knowing nothing.

    What was learnt is gone; the architecture's own habits (a recurrent network forgets its first rows) and those of a
    method (integrated gradients are multiplied by how far a value lies from its baseline) are not. That is what this
    control is for.
    """
    shuffled = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in shuffled.parameters():
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return shuffled


def as_seen(windows: Float32Array, preprocess: Callable[[Tensor], Tensor]) -> Tensor:
    """Raw windows [b, t, s] with NaN as the network sees them."""
    with torch.no_grad():
        return preprocess(torch.from_numpy(windows))


def _numpy(values: Tensor) -> Float64Array:
    return np.asarray(values.cpu().numpy(), np.float64)
