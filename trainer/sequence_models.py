"""The sequence models: normalised windows in, logits out.

Models return logits, because the loss (`BCEWithLogitsLoss`) applies the sigmoid itself; probabilities come from
`predict_proba` in Python and from the exported graph in serving.

Shape suffixes: b windows, t rows in time, s sensors, h hidden features, k targets.
"""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

Pooling = Literal["last", "max", "mean", "last_max"]


class CastingLSTM(nn.Module):
    """Stacked LSTM, pooled over time, with a small fully connected head.

    The pooling decides what the head sees of the hidden states: `last` only the newest row's (the specification's
    form), `max` each feature's largest value within the window, `mean` its average, `last_max` the first two side
    by side. A pattern that has passed is at hand in `max` without the LSTM having to carry it to the last row.

    Args:
        input_size: sensors.
        hidden_size: features of each LSTM layer.
        num_layers: LSTM layers.
        dropout: between LSTM layers, before and within the head.
        output_size: targets.
        pooling: see above.
        relative: subtract each sensor's mean over the window first: what tells is the change within it, and strands
            differ in level by more than an event moves them.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 128,
        num_layers: int = 2,
        dropout: float = 0.3,
        output_size: int = 1,
        *,
        pooling: Pooling = "last",
        relative: bool = False,
    ) -> None:
        super().__init__()
        if pooling not in get_args(Pooling):
            raise ValueError(f"expected a pooling of {get_args(Pooling)}, got {pooling!r}")
        self.pooling: Pooling = pooling
        self.relative = relative
        self.lstm = nn.LSTM(
            input_size,
            hidden_size,
            num_layers,
            # Between layers only: torch warns about it where there is one layer.
            dropout=dropout if num_layers > 1 else 0.0,
            batch_first=True,
        )
        self.dropout = nn.Dropout(dropout)
        pooled_size = 2 * hidden_size if pooling == "last_max" else hidden_size
        self.fc_layers = nn.Sequential(
            nn.Linear(pooled_size, hidden_size // 2),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden_size // 2, output_size),
        )

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of a batch of windows.

        Args:
            x: [b, t, s] normalised, without NaN.
            lengths: [b] rows in use of each window, ≥ 1; the rows after them are padding and do not matter. None:
                all are in use.

        Returns:
            [b, k] logits.
        """
        hidden_bth, last_bh = self._run_lstm(x, lengths)
        return self._head(self._pool(hidden_bth, last_bh, lengths))

    @torch.inference_mode()
    def predict_proba(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Probabilities [b, k] of a batch of windows, as for `forward`; dropout is off, whatever the mode."""
        was_training = self.training
        self.eval()
        try:
            return torch.sigmoid(self(x, lengths))
        finally:
            self.train(was_training)

    def _run_lstm(self, x_bts: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        if self.relative:
            x_bts = x_bts - self._mean_over_time(x_bts, lengths)
        if lengths is None:
            hidden_bth, _ = self.lstm(x_bts)
            return hidden_bth, hidden_bth[:, -1]
        packed = pack_padded_sequence(x_bts, lengths.cpu(), batch_first=True, enforce_sorted=False)
        packed_hidden, (final_lbh, _) = self.lstm(packed)
        hidden_bth, _ = pad_packed_sequence(packed_hidden, batch_first=True, total_length=x_bts.shape[1])
        return hidden_bth, final_lbh[-1]

    @staticmethod
    def _mean_over_time(x_btf: Tensor, lengths: Tensor | None) -> Tensor:
        """Mean [b, 1, f] over the rows in use."""
        if lengths is None:
            return x_btf.mean(1, keepdim=True)
        time = torch.arange(x_btf.shape[1], device=x_btf.device)
        used_bt1 = (time[None] < lengths.to(x_btf.device)[:, None])[..., None]
        return (x_btf * used_bt1).sum(1, keepdim=True) / lengths.to(x_btf)[:, None, None]

    def _pool(self, hidden_bth: Tensor, last_bh: Tensor, lengths: Tensor | None) -> Tensor:
        if self.pooling == "last":
            return last_bh
        if self.pooling == "mean":
            # Padded rows come out of the packed LSTM as zeros, so the sum over all is the sum over those in use.
            return hidden_bth.mean(1) if lengths is None else hidden_bth.sum(1) / lengths.to(hidden_bth)[:, None]
        if lengths is not None:
            time = torch.arange(hidden_bth.shape[1], device=hidden_bth.device)
            padding_bt = time[None] >= lengths.to(hidden_bth.device)[:, None]
            hidden_bth = hidden_bth.masked_fill(padding_bt[..., None], -torch.inf)
        largest_bh = hidden_bth.amax(1)
        return largest_bh if self.pooling == "max" else torch.cat((last_bh, largest_bh), 1)

    def _head(self, pooled_bh: Tensor) -> Tensor:
        logits: Tensor = self.fc_layers(self.dropout(pooled_bh))
        return logits

    @property
    def architecture(self) -> dict[str, Any]:
        """What the manifest says of the model: enough to build it anew for its weights."""
        return {
            "model_type": "lstm",
            "input_size": self.lstm.input_size,
            "hidden_size": self.lstm.hidden_size,
            "num_layers": self.lstm.num_layers,
            "dropout": self.dropout.p,
            "output_size": self.fc_layers[-1].out_features,
            "pooling": self.pooling,
            "relative": self.relative,
            "parameters": sum(parameter.numel() for parameter in self.parameters()),
        }
