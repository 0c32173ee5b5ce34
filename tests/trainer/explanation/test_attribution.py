"""Attributions by hand: what they add up to, what they leave alone, and where attention was."""

import pytest
import torch
from support.marked_line import LEVEL, SENSORS, TOUCHED, OneSensor

from trainer.architectures.base import SequenceModel
from trainer.explanation.attribution import (
    attention,
    integrated_gradients,
    logits,
    methods_of,
    occlusion,
    with_shuffled_weights,
)
from trainer.sequence_models import CastingAttentionLSTM, CastingCNNLSTM, CastingLSTM

BASELINE = torch.linspace(-1, 1, 5)


def network(name: str, dropout: float = 0.0) -> SequenceModel:
    torch.manual_seed(0)
    shared = {"num_layers": 1, "dropout": dropout, "output_size": 2, "inputs": "both"}
    match name:
        case "lstm":
            made: SequenceModel = CastingLSTM(5, 8, pooling="last_max", **shared)
        case "cnn_lstm":
            made = CastingCNNLSTM(5, 6, 8, pooling="last_max", **shared)
        case _:
            made = CastingAttentionLSTM(5, 8, attention_heads=4, **shared)
    with torch.no_grad():
        for weights in made.parameters():
            weights.mul_(2)  # weights as they come answer nearly the same to everything
    return made.eval()


def windows(count: int = 3, rows: int = 23) -> torch.Tensor:
    return torch.randn(count, rows, 5, generator=torch.Generator().manual_seed(1))


each_network = pytest.mark.parametrize("name", ["lstm", "cnn_lstm", "attention_lstm"])


@pytest.mark.parametrize("target", [0, 1])
@each_network
def test_integrated_gradients_add_up_to_what_the_window_changes(name: str, target: int) -> None:
    net, x = network(name), windows()
    found = integrated_gradients(net, x, BASELINE, target, steps=128)
    must = logits(net, x)[:, target] - logits(net, BASELINE.expand_as(x).contiguous())[:, target]
    assert found.shape == tuple(x.shape)
    assert abs(must).max() > 0.05
    assert found.sum(axis=(1, 2)) == pytest.approx(must, abs=0.02 * abs(must).max())


@each_network
def test_occlusion_is_the_fall_of_the_logit_when_a_stretch_shows_the_baseline(name: str) -> None:
    net, x = network(name), windows()
    found = occlusion(net, x, BASELINE, 1, rows=10)
    for sensor, first, end in ((0, 0, 10), (3, 10, 20), (4, 20, 23)):
        without = x.clone()
        without[:, first:end, sensor] = BASELINE[sensor]
        fall = (logits(net, x) - logits(net, without))[:, 1]
        # The last stretch is cut by the window's end.
        assert found[:, first:end, sensor] == pytest.approx(fall[:, None].repeat(end - first, 1), abs=1e-5)


def test_a_long_window_is_taken_away_in_longer_stretches() -> None:
    net = network("lstm")
    found = occlusion(net, windows(1, 240), BASELINE, 0, rows=10)
    assert (found[0, :20] == found[0, :1]).all()
    assert (found[0, 20] != found[0, 19]).any()


@each_network
def test_dropout_stays_off_and_the_network_as_it_was(name: str) -> None:
    net, x = network(name, dropout=0.5), windows()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    for method in methods_of(net).values():
        assert (method(net, x, BASELINE, 0) == method(net, x, BASELINE, 0)).all()
    assert not net.training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(weights.grad is None for weights in net.parameters())


def test_only_the_one_sensor_that_counts_has_attribution() -> None:
    net = OneSensor().eval()
    x = torch.full((1, 20, len(SENSORS)), LEVEL)
    x[0, 12:16] += 8
    for method in methods_of(net, rows=2).values():
        found = method(net, x, torch.full((len(SENSORS),), LEVEL), 0)[0]
        assert found[12:16, TOUCHED] == pytest.approx([found[12, TOUCHED]] * 4)
        assert found[12, TOUCHED] > 0
        found[12:16, TOUCHED] = 0
        assert not found.any()


class TestAttention:
    def test_is_that_of_the_row_the_head_reads(self) -> None:
        net, x = network("attention_lstm"), windows()
        found = attention(net, x)
        assert found.shape == (3, 23, 1)
        assert found.sum(axis=1) == pytest.approx(1)
        asked = net.attention_weights(x).mean(1)[:, -1].numpy()
        assert found[:, :, 0] == pytest.approx(asked)

    def test_is_the_mean_over_all_rows_where_all_are_read(self) -> None:
        torch.manual_seed(0)
        net = CastingAttentionLSTM(5, 8, 1, 4, pooling="mean").eval()
        asked = net.attention_weights(windows()).mean(1).mean(1).numpy()
        assert attention(net, windows())[:, :, 0] == pytest.approx(asked)

    def test_is_only_there_where_the_network_has_it(self) -> None:
        assert "attention" in methods_of(network("attention_lstm"))
        assert "attention" not in methods_of(network("lstm"))
        with pytest.raises(TypeError, match="expected a CastingAttentionLSTM, got CastingLSTM"):
            attention(network("lstm"), windows())


def test_shuffled_weights_are_the_same_numbers_in_another_order() -> None:
    net = network("cnn_lstm")
    shuffled, again, other = (with_shuffled_weights(net, seed) for seed in (1, 1, 2))
    same = []
    for mine, theirs in zip(net.parameters(), shuffled.parameters(), strict=True):
        assert torch.equal(mine.flatten().sort().values, theirs.flatten().sort().values)
        same.append(torch.equal(mine, theirs))
    assert not all(same)
    x = windows()
    assert (logits(shuffled, x) == logits(again, x)).all()
    assert (logits(shuffled, x) != logits(other, x)).any()
    assert (logits(shuffled, x) != logits(net, x)).any()
