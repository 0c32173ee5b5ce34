"""The three architectures: logits, probabilities, pooling, padding, attention, memory."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.correlated import correlated, correlation_of
from torch import Tensor, nn

from trainer.architectures import Inputs
from trainer.architectures.parts import BatchNorm, Whitening, dense_head
from trainer.config import TrainingConfig
from trainer.datasets.dataset import Dataset
from trainer.sequence_models import CastingAttentionLSTM, CastingCNNLSTM, CastingLSTM, Pooling, SequenceModel
from trainer.train_sequence import train_on_dataset

POOLINGS = get_args(Pooling)


def model(name: str, pooling: Pooling = "last", dropout: float = 0.0, **options: object) -> SequenceModel:
    net = unfitted(name, pooling, dropout, **options)
    if net.whitening is not None:
        net.whitening.fit(correlation_of(5))
    return net


def unfitted(name: str, pooling: Pooling, dropout: float, **options: object) -> SequenceModel:
    torch.manual_seed(0)
    shared = {"num_layers": 2, "dropout": dropout, "output_size": 2, "pooling": pooling, **options}
    match name:
        case "lstm":
            return CastingLSTM(5, 8, **shared)
        case "cnn_lstm":
            return CastingCNNLSTM(5, 6, 8, **shared)
        case _:
            return CastingAttentionLSTM(5, 8, attention_heads=4, **shared)


ALL = ("lstm", "cnn_lstm", "attention_lstm")
each_model = pytest.mark.parametrize("name", ALL)


@pytest.mark.parametrize("whitening", [False, True], ids=["as-it-is", "whitened"])
@pytest.mark.parametrize("inputs", get_args(Inputs))
@pytest.mark.parametrize("pooling", POOLINGS)
@each_model
def test_a_batch_answers_as_its_windows_do_alone(name: str, pooling: Pooling, inputs: Inputs, whitening: bool) -> None:
    net, windows = model(name, pooling, inputs=inputs, whitening=whitening).eval(), torch.randn(4, 21, 5)
    lengths = torch.tensor([21, 7, 1, 2])
    batched = net(windows, lengths)
    for number, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(batched[number], net(windows[number : number + 1, :length])[0])
    torch.testing.assert_close(net(windows, torch.full((4,), 21)), net(windows))


def trained_once(net: SequenceModel, x: Tensor, lengths: Tensor) -> Iterator[tuple[str, Tensor]]:
    logits = net(x, lengths)
    yield "logits", logits.detach()
    (logits * torch.tensor([1.0, -2.0])).sum().backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        yield key, parameter.grad
    yield from net.named_buffers()


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
@each_model
@settings(max_examples=40, deadline=None)
@given(
    pooling=st.sampled_from(POOLINGS),
    whitening=st.booleans(),
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=4),
    more=st.integers(0, 6),
    garbage=st.sampled_from([0.0, 1e6, torch.nan, torch.inf]),
)
def test_more_padding_and_whatever_is_in_it_changes_nothing(
    name: str, training: bool, pooling: Pooling, whitening: bool, lengths: list[int], more: int, garbage: float
) -> None:
    used = torch.tensor(lengths)
    tight = torch.randn(len(lengths), max(lengths), 5, generator=torch.Generator().manual_seed(1))
    loose = torch.full((len(lengths), max(lengths) + more, 5), garbage)
    for number, length in enumerate(lengths):
        loose[number, :length] = tight[number, :length]
    options = {"inputs": "change", "whitening": whitening}
    results = [dict(trained_once(model(name, pooling, **options).train(training), x, used)) for x in (tight, loose)]
    for key, value in results[0].items():
        torch.testing.assert_close(results[1][key], value, rtol=1e-4, atol=1e-5, msg=key)


@each_model
def test_forward_gives_logits_and_predict_proba_their_sigmoid(name: str) -> None:
    net, windows = model(name).eval(), 9 * torch.randn(6, 10, 5)
    with torch.no_grad():
        for layer in (layer for layer in net.modules() if isinstance(layer, nn.Linear)):
            layer.weight.mul_(4)
    logits = net(windows)
    assert logits.shape == (6, 2)
    assert logits.min() < 0 or logits.max() > 1  # no sigmoid
    torch.testing.assert_close(net.predict_proba(windows), torch.sigmoid(logits))


@each_model
def test_predict_proba_is_without_dropout_and_keeps_the_mode(name: str) -> None:
    net, windows = model(name, dropout=0.5).train(), torch.randn(6, 10, 5)
    torch.testing.assert_close(net.predict_proba(windows), net.predict_proba(windows))
    assert net.training


@each_model
def test_a_model_of_changes_ignores_a_sensor_level_and_another_does_not(name: str) -> None:
    windows = torch.randn(2, 10, 5)
    net, plain = model(name, inputs="change").eval(), model(name, inputs="level").eval()
    torch.testing.assert_close(net(windows + 3.0), net(windows), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(plain(windows + 3.0), plain(windows), atol=1e-3)


def test_whitened_sensors_are_uncorrelated_and_each_still_its_own() -> None:
    rows = correlated(5, rows=4000)
    before = np.corrcoef(rows.T)
    whitening = Whitening(5)
    assert torch.equal(whitening(torch.from_numpy(rows)), torch.from_numpy(rows))  # not fitted: as they are
    whitening.fit(before)
    whitened = whitening(torch.from_numpy(rows)[None])[0].numpy()
    apart = ~np.eye(5, dtype=bool)
    assert abs(before[apart]).max() > 0.9
    assert abs(np.corrcoef(whitened.T)[apart]).max() < 0.2
    with_others = np.corrcoef(rows.T, whitened.T)[:5, 5:]
    assert (with_others.argmax(1) == np.arange(5)).all()


def test_a_whitened_network_is_fitted_before_it_learns(small_line: Dataset, small_config: TrainingConfig) -> None:
    config = replace(small_config, num_epochs=1, whitening=True)
    run = train_on_dataset(small_line.path, config)
    expected = Whitening(len(small_line.info.sensors))
    expected.fit(run.preprocessor.correlation)
    assert run.model.whitening is not None
    assert torch.equal(run.model.whitening.matrix, expected.matrix)
    assert not torch.allclose(expected.matrix, torch.eye(len(expected.matrix)), atol=0.1)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: CastingLSTM(20), {"hidden_size": 128, "num_layers": 2}),
        (lambda: CastingCNNLSTM(20), {"cnn_features": 64, "lstm_hidden": 128, "num_layers": 2, "kernel_size": 3}),
        (lambda: CastingAttentionLSTM(20), {"hidden_size": 128, "num_layers": 2, "attention_heads": 8}),
        (
            lambda: CastingLSTM(20, 64, 1, 0.2, 3),
            {"hidden_size": 64, "num_layers": 1, "dropout": 0.2, "output_size": 3},
        ),
        (lambda: CastingCNNLSTM(20, 32, 64, 1, 0.2), {"cnn_features": 32, "lstm_hidden": 64, "num_layers": 1}),
        (lambda: CastingAttentionLSTM(20, 64, 1, 4, 0.2), {"hidden_size": 64, "num_layers": 1, "attention_heads": 4}),
    ],
    ids=["lstm", "cnn_lstm", "attention_lstm", "lstm by place", "cnn_lstm by place", "attention_lstm by place"],
)
def test_signatures_and_defaults_are_the_specification_s(
    made: Callable[[], SequenceModel], expected: dict[str, object]
) -> None:
    net = made()
    defaults = {"input_size": 20, "dropout": 0.3, "output_size": 1, "pooling": "last", "inputs": "level"}
    if expected.get("hidden_size", expected.get("lstm_hidden")) == 64:
        defaults["dropout"] = 0.2
    assert ({**defaults, **expected}).items() <= net.architecture.items()
    lstm = net.lstm
    assert (lstm.batch_first, lstm.bidirectional, lstm.num_layers) == (True, False, expected["num_layers"])


def test_cnn_lstm_is_built_as_the_specification_says() -> None:
    net = CastingCNNLSTM(20)
    assert [layer.padding for layer in net.convolutions] == [(1,)] * 2
    assert net.max_pool.kernel_size == 2
    assert isinstance(net.norms[0], nn.BatchNorm1d)
    assert len(CastingCNNLSTM(20, conv_layers=3).convolutions) == 3


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("kernel_size", [3, 4, 5])
def test_cnn_lstm_takes_odd_windows_and_those_shorter_than_its_pool(length: int, kernel_size: int) -> None:
    torch.manual_seed(0)
    net = CastingCNNLSTM(5, 32, 8, pool_size=4, kernel_size=kernel_size).eval()
    windows = torch.randn(2, length, 5, requires_grad=True)
    net(windows).sum().backward()
    assert windows.grad is not None
    assert (windows.grad[:, -1] != 0).any()  # the newest row is not rounded away


def test_batch_norm_takes_its_statistics_from_the_rows_in_use() -> None:
    x_bct, lengths = torch.randn(3, 4, 6), torch.tensor([6, 2, 3])
    used = torch.cat([x_bct[number, :, :length] for number, length in enumerate(lengths)], 1)
    norm = BatchNorm(4)
    norm(x_bct, lengths)
    torch.testing.assert_close(norm.running_mean, 0.1 * used.mean(1))
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * used.var(1))


def test_batch_norm_of_one_row_uses_what_it_learnt_before() -> None:
    norm = BatchNorm(4)
    norm(torch.randn(5, 4, 6))
    one = torch.randn(1, 4, 1)
    torch.testing.assert_close(norm(one), norm.eval()(one))
    padded = torch.cat((one, torch.randn(1, 4, 2)), 2)
    torch.testing.assert_close(norm.train()(padded, torch.tensor([1]))[..., :1], norm.eval()(one))


class TestAttention:
    def test_weights_of_a_row_add_up_to_one_and_padding_has_none(self) -> None:
        net, lengths = model("attention_lstm", "max").eval(), torch.tensor([9, 4, 1])
        assert isinstance(net, CastingAttentionLSTM)
        weights = net.attention_weights(torch.randn(3, 9, 5), lengths)
        assert weights.shape == (3, 4, 9, 9)
        for number, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(weights[number, :, :length].sum(-1), torch.ones(4, length))
            assert not weights[number, :, :, length:].any()
            assert not weights[number, :, length:].any()

    def test_what_forward_attends_to_is_torch_s_own_multi_head_attention(self) -> None:
        net, lengths = model("attention_lstm", "mean").eval(), torch.tensor([9, 4, 1])
        assert isinstance(net, CastingAttentionLSTM)
        x = torch.randn(3, 9, 5)
        states = nn.utils.rnn.pad_packed_sequence(
            net.lstm(nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True))[0], batch_first=True
        )[0]
        padding = torch.arange(9) >= lengths[:, None]
        attended = states + net.attention(states, states, states, padding)[0]
        mean = attended.masked_fill(padding[..., None], 0).sum(1) / lengths[:, None]
        torch.testing.assert_close(net(x, lengths), net.classifier(mean))

    @pytest.mark.parametrize("lengths", [None, torch.tensor([9, 4, 1])])
    def test_asking_for_the_last_row_alone_gives_that_row_s_answer(self, lengths: Tensor | None) -> None:
        net = model("attention_lstm", "last").eval()
        assert isinstance(net, CastingAttentionLSTM)
        hidden = net._states(torch.randn(3, 9, 5), lengths)
        last = torch.full((3,), 8) if lengths is None else lengths - 1
        every = net._attended(hidden, hidden, lengths)[torch.arange(3), last]
        alone = net._attended(hidden[torch.arange(3), last][:, None], hidden, lengths)[:, 0]
        torch.testing.assert_close(alone, every)


class TestGradientCheckpointing:
    @pytest.mark.parametrize("lengths", [None, torch.tensor([23, 9, 1])])
    @each_model
    def test_logits_and_gradients_are_those_without(self, name: str, lengths: Tensor | None) -> None:
        used = torch.tensor([23, 23, 23]) if lengths is None else lengths
        x = torch.randn(3, 23, 5)
        whole, saving = model(name, "last_max"), model(name, "last_max")
        saving.gradient_checkpointing = 5
        expected = dict(trained_once(whole, x, used))
        for key, value in trained_once(saving, x, used):
            torch.testing.assert_close(value, expected[key], rtol=1e-4, atol=1e-6, msg=key)

    def test_dropout_is_the_same_in_the_second_computation(self) -> None:
        net = model("lstm", dropout=0.5).double().train()
        net.gradient_checkpointing = 4
        x, step = torch.randn(2, 10, 5, dtype=torch.float64), 1e-6

        def loss() -> Tensor:
            torch.manual_seed(7)  # the dropout of every call
            return net(x).sum()

        loss().backward()
        weight = net.lstm.weight_ih_l0
        direction = torch.randn_like(weight)
        assert weight.grad is not None
        with torch.no_grad():
            slope = (weight.grad * direction).sum()
            weight += step * direction
        above = loss()  # with a graph, as in training: without one no segment is made
        with torch.no_grad():
            weight -= 2 * step * direction
        torch.testing.assert_close((above - loss()) / (2 * step), slope, rtol=1e-5, atol=1e-9)

    @each_model
    def test_less_is_kept_for_the_backward_pass(self, name: str) -> None:
        def kept_bytes(rows: int) -> int:
            net = model(name)
            net.gradient_checkpointing = rows
            kept: dict[int, int] = {}

            def pack(tensor: Tensor) -> Tensor:
                storage = tensor.untyped_storage()
                kept[storage.data_ptr()] = storage.nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
                net(windows)
            return sum(kept.values())

        windows = torch.randn(8, 400, 5)
        assert kept_bytes(20) < 0.7 * kept_bytes(0)

    def test_nothing_is_segmented_where_no_gradient_is_wanted(self) -> None:
        net, x = model("lstm", dropout=0.5).train(), torch.randn(2, 10, 5)
        outputs = []
        for rows in (0, 3):
            net.gradient_checkpointing = rows
            torch.manual_seed(1)
            with torch.no_grad():
                outputs.append(net(x))
        assert torch.equal(*outputs)


def test_one_layer_warns_of_nothing() -> None:
    for kind in (CastingLSTM, CastingCNNLSTM, CastingAttentionLSTM):
        kind(5, num_layers=1, dropout=0.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: CastingLSTM(5, pooling="min"), "pooling of last, max, mean, attention, last_max, got 'min'"),
        (lambda: CastingCNNLSTM(5, conv_layers=4), "conv_layers of 2 to 3, got 4"),
        (lambda: CastingCNNLSTM(5, kernel_size=2), "kernel_size of 3 to 5, got 2"),
        (lambda: CastingCNNLSTM(5, pool_size=0), "pool_size of 1 to 8, got 0"),
        (lambda: CastingAttentionLSTM(5, attention_heads=2), "attention_heads of 4 to 8, got 2"),
        (lambda: CastingAttentionLSTM(5, 100), "hidden_size a multiple of 8 attention_heads, got 100"),
    ],
)
def test_what_no_model_can_be_made_of_is_refused(wrong: Callable[[], SequenceModel], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        wrong()


def test_head_ends_in_logits() -> None:
    assert isinstance(dense_head(4, 2, 1, 0.1)[-1], nn.Linear)
