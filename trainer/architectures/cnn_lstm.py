"""`CastingCNNLSTM`: convolutions for local patterns, an LSTM for their order."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from trainer.architectures import Inputs, Pooling
from trainer.architectures.base import SequenceModel
from trainer.architectures.parts import (
    BatchNorm,
    Pool,
    check_range,
    dense_head,
    rows_in_use,
    run_lstm,
    stacked_lstm,
    without_padding,
)


class CastingCNNLSTM(SequenceModel):
    """Convolutions along time with batch norm, max pool, stacked LSTM, pooled over time, with a small head.

    A row after a window's length counts as if the window had ended before it: each convolution sees zeros there, batch
    norm takes no statistics of it, and the max pool passes it over.

    Args:
        input_size: sensors.
        cnn_features: channels of each convolution.
        lstm_hidden: features of each LSTM layer.
        num_layers: LSTM layers.
        dropout: between LSTM layers and within the head.
        output_size: targets.
        conv_layers: convolutions, 2 or 3.
        kernel_size: rows that a convolution sees, 3 to 5.
        pool_size: rows that the max pool makes one of; the last of an odd length stands for itself.
        pooling: what the head sees of the LSTM's states, see `Pool`.
        inputs: see `SequenceModel`.
        whitening: likewise.

    Raises:
        ValueError: a number outside of its range, or an unknown pooling or inputs.
    """

    model_type = "cnn_lstm"
    config_names = {"hidden_size": "lstm_hidden"}  # noqa: RUF012 (declared a ClassVar by the base)

    def __init__(
        self,
        input_size: int,
        cnn_features: int = 64,
        lstm_hidden: int = 128,
        num_layers: int = 2,
        dropout: float = 0.3,
        output_size: int = 1,
        *,
        conv_layers: int = 2,
        kernel_size: int = 3,
        pool_size: int = 2,
        pooling: Pooling = "last",
        inputs: Inputs = "level",
        whitening: bool = False,
    ) -> None:
        super().__init__(
            input_size=input_size,
            cnn_features=cnn_features,
            lstm_hidden=lstm_hidden,
            num_layers=num_layers,
            dropout=dropout,
            output_size=output_size,
            conv_layers=conv_layers,
            kernel_size=kernel_size,
            pool_size=pool_size,
            pooling=pooling,
            inputs=inputs,
            whitening=whitening,
        )
        check_range("conv_layers", conv_layers, 2, 3)
        check_range("kernel_size", kernel_size, 3, 5)
        check_range("pool_size", pool_size, 1, 8)
        check_range("cnn_features", cnn_features, 1, 4096)
        channels = pairwise([self.columns, *[cnn_features] * conv_layers])
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, kernel_size, padding=kernel_size // 2) for a, b in channels)
        self.norms = nn.ModuleList(BatchNorm(cnn_features) for _ in range(conv_layers))
        self.activation = nn.ReLU()
        # Rounded up: a window shorter than the pool keeps its row, and the newest row of an odd length is not lost.
        self.kernel_size, self.pool_size = kernel_size, pool_size
        self.max_pool = nn.MaxPool1d(pool_size, ceil_mode=True)
        self.lstm = stacked_lstm(cnn_features, lstm_hidden, num_layers, dropout)
        self.pool = Pool(pooling, lstm_hidden)
        self.classifier = dense_head(self.pool.width, lstm_hidden // 2, output_size, dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits [b, k], see `SequenceModel.forward`."""
        features_btc = self._local_features(self._prepared(x, lengths), lengths)
        lengths = None if lengths is None else self._pooled(lengths)
        hidden_bth = run_lstm(self.lstm, features_btc, lengths, self.gradient_checkpointing)
        logits: Tensor = self.classifier(self.pool(hidden_bth, lengths))
        return logits

    def _local_features(self, x_bts: Tensor, lengths: Tensor | None) -> Tensor:
        """[b, t / pool_size, c]."""
        x_bct = x_bts.transpose(1, 2)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            convolved_bct = self.activation(convolution(x_bct))
            if self.kernel_size % 2 == 0:
                convolved_bct = convolved_bct[..., :-1]  # as many rows as before
            x_bct = norm(convolved_bct, lengths)
        if lengths is None:
            whole_btc: Tensor = self.max_pool(x_bct).transpose(1, 2)
            return whole_btc
        padding_bt = ~rows_in_use(lengths, x_bct.shape[2], x_bct.device)
        pooled_btc = self.max_pool(x_bct.masked_fill(padding_bt[:, None], -torch.inf)).transpose(1, 2)
        return without_padding(pooled_btc, self._pooled(lengths))

    def _pooled(self, lengths: Tensor) -> Tensor:
        """Rows in use after the max pool."""
        return (lengths + self.pool_size - 1) // self.pool_size
