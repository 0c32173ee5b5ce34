"""CastingLSTM: logits, probabilities, pooling, padding."""

from typing import get_args

import pytest
import torch

from trainer.sequence_models import CastingLSTM, Pooling


def model(pooling: Pooling = "last", **options: object) -> CastingLSTM:
    torch.manual_seed(0)
    return CastingLSTM(5, hidden_size=8, num_layers=2, output_size=2, pooling=pooling, **options).eval()


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("pooling", get_args(Pooling))
class TestLengths:
    def test_padding_does_not_change_the_answer(self, pooling: Pooling, relative: bool) -> None:
        net, windows = model(pooling, relative=relative), torch.randn(3, 20, 5)
        lengths = torch.tensor([20, 7, 1])
        padded = windows.clone()
        for number, length in enumerate(lengths.tolist()):
            padded[number, length:] = 123.0
        batched = net(padded, lengths)
        for number, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(batched[number], net(windows[number : number + 1, :length])[0])

    def test_full_lengths_equal_none(self, pooling: Pooling, relative: bool) -> None:
        net, windows = model(pooling, relative=relative), torch.randn(4, 12, 5)
        torch.testing.assert_close(net(windows, torch.full((4,), 12)), net(windows))


def test_forward_gives_logits_and_predict_proba_their_sigmoid() -> None:
    net, windows = model(), torch.randn(6, 10, 5)
    logits = net(windows)
    assert logits.shape == (6, 2)
    torch.testing.assert_close(net.predict_proba(windows), torch.sigmoid(logits))


def test_predict_proba_is_without_dropout_and_keeps_the_mode() -> None:
    net, windows = model().train(), torch.randn(6, 10, 5)
    torch.testing.assert_close(net.predict_proba(windows), net.predict_proba(windows))
    assert net.training


def test_relative_model_ignores_a_sensor_level_and_another_does_not() -> None:
    windows = torch.randn(2, 10, 5)
    net, plain = model(relative=True), model(relative=False)
    torch.testing.assert_close(net(windows + 3.0), net(windows), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain(windows + 3.0), plain(windows))


def test_defaults_are_the_specification_s() -> None:
    architecture = CastingLSTM(20).architecture
    expected = {"hidden_size": 128, "num_layers": 2, "dropout": 0.3, "output_size": 1, "pooling": "last"}
    assert expected.items() <= architecture.items()


def test_one_layer_warns_of_nothing_and_unknown_pooling_is_refused() -> None:
    CastingLSTM(5, num_layers=1, dropout=0.5)
    with pytest.raises(ValueError, match="pooling"):
        CastingLSTM(5, pooling="min")
