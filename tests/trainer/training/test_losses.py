"""Losses from logits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from trainer.config import TrainingConfig
from trainer.training.losses import FocalWithLogitsLoss, build_loss, label_weights, weighted_loss

logit = st.floats(-200, 200, width=32)
gamma = st.floats(0, 8)


def focal(gamma: float, weight: float = 1.0) -> FocalWithLogitsLoss:
    return FocalWithLogitsLoss(gamma, torch.tensor(weight))


@settings(max_examples=60, deadline=None)
@given(logit, st.floats(0, 1, width=32), st.floats(0.125, 10, width=32))
def test_focal_loss_without_gamma_is_cross_entropy(z: float, y: float, weight: float) -> None:
    # In float64, as torch's own formula subtracts two large numbers where a logit is far off.
    logits, labels, pos_weight = (torch.tensor([[value]], dtype=torch.float64) for value in (z, y, weight))
    expected = binary_cross_entropy_with_logits(logits, labels, pos_weight=pos_weight)
    torch.testing.assert_close(focal(0, weight)(logits, labels)[0, 0], expected, rtol=1e-9, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(logit, gamma, st.floats(0, 1, width=32))
def test_focal_loss_and_its_gradient_are_finite_and_never_above_cross_entropy(z: float, g: float, y: float) -> None:
    logits, labels = torch.tensor([[z]], requires_grad=True), torch.tensor([[y]])
    loss = focal(g)(logits, labels)
    torch.autograd.backward(loss.sum())
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()
    assert 0 <= loss.item() <= binary_cross_entropy_with_logits(logits, labels).item() * 1.0001 + 1e-6


def test_focal_loss_is_the_paper_s() -> None:
    logits = torch.tensor([[1.5], [1.5]], dtype=torch.float64)
    p = torch.sigmoid(logits[0, 0])
    expected = torch.stack((3 * -((1 - p) ** 2) * p.log(), -(p**2) * (1 - p).log()))
    torch.testing.assert_close(focal(2.0, 3.0)(logits, torch.tensor([[1.0], [0.0]]))[:, 0], expected)


@pytest.mark.parametrize("loss", ["bce", "focal"])
def test_a_mixed_window_s_loss_is_the_mixture_of_the_losses(loss: str) -> None:
    criterion = build_loss(TrainingConfig(loss=loss, device="cpu"))
    logits = torch.tensor([[0.7]])
    one, zero, mixed = (criterion(logits, torch.tensor([[label]])) for label in (1.0, 0.0, 0.3))
    torch.testing.assert_close(mixed, 0.3 * one + 0.7 * zero)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.sampled_from([0.0, 1.0, 0.4, float("nan")])] * 2), min_size=1, max_size=12))
def test_each_target_counts_the_same_and_unknown_labels_nothing(rows: list[tuple[float, float]]) -> None:
    labels = torch.tensor(rows)
    logits = torch.linspace(-3, 3, labels.numel()).reshape(labels.shape)
    criterion = nn.BCEWithLogitsLoss(reduction="none")
    means = []
    for z, y in zip(logits.T, labels.T, strict=True):
        known = ~torch.isnan(y)
        if known.any():
            means.append(criterion(z[known], y[known]).mean())
    expected = torch.stack(means).mean() if means else torch.zeros(())
    weights = label_weights(labels)
    torch.testing.assert_close(weighted_loss(criterion, logits, labels, weights), expected)
    parts = [slice(0, 5), slice(5, 12)]
    summed = sum(weighted_loss(criterion, logits[part], labels[part], weights[part]) for part in parts)
    torch.testing.assert_close(summed, expected)

    # Processes that know of each other's labels by their counts alone: their losses add up to the whole batch's.
    def total(_: Tensor) -> Tensor:
        return (~torch.isnan(labels)).sum(0)

    apart = sum(
        weighted_loss(criterion, logits[rank::2], labels[rank::2], label_weights(labels[rank::2], total))
        for rank in range(2)
    )
    torch.testing.assert_close(apart, expected)
