"""What the architectures are put together from; each part knows which rows are in use and which are padding.

Shape suffixes: b windows, t rows in time, s sensors, h features, c channels, k targets.
"""

from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from trainer.architectures import Pooling

SHRINKAGE = 0.01
"""Part of every correlation that whitening takes for chance: what two sensors tell alike but for their noise is not to
be made all noise."""


def rows_in_use(lengths: Tensor, rows: int, device: torch.device) -> Tensor:
    """Mask [b, rows], true where a row is no padding; lengths [b] ≥ 1."""
    return torch.arange(rows, device=device) < lengths.to(device)[:, None]


def without_padding(x_btf: Tensor, lengths: Tensor | None) -> Tensor:
    """The same with zeros in the padding, whatever stood there; a NaN too would do harm in the backward pass."""
    if lengths is None:
        return x_btf
    return x_btf.masked_fill(~rows_in_use(lengths, x_btf.shape[1], x_btf.device)[..., None], 0.0)


def mean_over_time(x_btf: Tensor, lengths: Tensor | None) -> Tensor:
    """Mean [b, f] over the rows in use; the padding must be zeros.

    Added up in double precision: a runtime takes the rows in another order when the batch is larger, and in single
    precision that moved a window's probability by up to 1e-5 with its neighbours.
    """
    sum_bf = x_btf.double().sum(1)
    mean_bf = sum_bf / (x_btf.shape[1] if lengths is None else lengths.to(sum_bf)[:, None])
    return mean_bf.to(x_btf.dtype)


def last_row(x_btf: Tensor, lengths: Tensor | None) -> Tensor:
    """The last row in use, [b, f]."""
    if lengths is None:
        return x_btf[:, -1]
    windows = torch.arange(len(x_btf), device=x_btf.device)
    return x_btf[windows, lengths.to(x_btf.device) - 1]


class Whitening(nn.Module):
    """Makes the sensors uncorrelated, each staying as near to itself as can be (ZCA, Bell and Sejnowski 1997).

    Sensors that move together hide what tells them apart: four thermocouples follow the heat flux, and how far one runs
    behind another is a small difference of large numbers. Here it is as large as anything else.

    The matrix is fixed by the training data (`fit`) and not learnt; until then nothing changes. A missing sensor was
    filled before, and touches the others no more than its fill does.

    Args:
        sensors: columns.
    """

    matrix: Tensor

    def __init__(self, sensors: int) -> None:
        super().__init__()
        self.register_buffer("matrix", torch.eye(sensors))

    def fit(self, correlation: npt.NDArray[np.float64]) -> None:
        """Take the matrix from the sensors' correlation [s, s]."""
        kept = (1 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(len(correlation))
        values, vectors = np.linalg.eigh(kept)
        self.matrix.copy_(torch.from_numpy(vectors / np.sqrt(values) @ vectors.T))

    def forward(self, x_bts: Tensor) -> Tensor:
        """[b, t, s] normalised to the same; zeros stay zeros."""
        return x_bts @ self.matrix


class Pool(nn.Module):
    """From the features of every row to those of the window.

    `last` takes only the newest row's (the specification's form), `max` each feature's largest value within the window,
    `mean` its average, `attention` a weighted average whose weights are learnt, `last_max` the first two side by
    side. A pattern that has passed is at hand in all but `last` without an LSTM having to carry it to the last row.

    Args:
        kind: see above.
        features: of a row.

    Attributes:
        width: features of a window.
    """

    def __init__(self, kind: Pooling, features: int) -> None:
        super().__init__()
        if kind not in get_args(Pooling):
            raise ValueError(f"expected a pooling of {', '.join(get_args(Pooling))}, got {kind!r}")
        self.kind: Pooling = kind
        self.width = 2 * features if kind == "last_max" else features
        if kind == "attention":
            self.score = nn.Linear(features, 1)

    def forward(self, x_bth: Tensor, lengths: Tensor | None) -> Tensor:
        """[b, t, h], anything finite in the padding, to [b, width]."""
        match self.kind:
            case "last":
                return last_row(x_bth, lengths)
            case "mean":
                return mean_over_time(without_padding(x_bth, lengths), lengths)
            case "attention":
                score_bt1 = self._masked(self.score(x_bth), lengths)
                return (torch.softmax(score_bt1, 1) * x_bth).sum(1)
            case "max":
                return self._masked(x_bth, lengths).amax(1)
            case "last_max":
                return torch.cat((last_row(x_bth, lengths), self._masked(x_bth, lengths).amax(1)), 1)

    @staticmethod
    def _masked(x_btf: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            return x_btf
        return x_btf.masked_fill(~rows_in_use(lengths, x_btf.shape[1], x_btf.device)[..., None], -torch.inf)


def check_range(name: str, value: int, low: int, high: int) -> None:
    """Refuse an architecture's option outside of `low` to `high`, both included.

    Raises:
        ValueError: names it.
    """
    if not low <= value <= high:
        raise ValueError(f"expected {name} of {low} to {high}, got {value}")


def dense_head(features: int, hidden: int, output_size: int, dropout: float) -> nn.Sequential:
    """The small fully connected network at the end: [b, features] to logits [b, k]."""
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, output_size))


def stacked_lstm(input_size: int, hidden_size: int, num_layers: int, dropout: float) -> nn.LSTM:
    """An LSTM with dropout between its layers; torch warns of dropout where there is but one."""
    return nn.LSTM(input_size, hidden_size, num_layers, dropout=dropout if num_layers > 1 else 0.0, batch_first=True)


def run_lstm(lstm: nn.LSTM, x_bts: Tensor, lengths: Tensor | None, segment_rows: int = 0) -> Tensor:
    """The last layer's states [b, t, h], zeros in the padding.

    Args:
        lstm: with `batch_first`.
        x_bts: finite, in the padding too.
        lengths: [b] or None, as for the models.
        segment_rows: if above 0 and a backward pass is to come, only the states at every so many rows are kept for it,
            and what lies between is computed again (gradient checkpointing). Dropout is drawn anew segment by segment,
            the same in the second computation.
    """
    if 0 < segment_rows < x_bts.shape[1] and torch.is_grad_enabled():
        return without_padding(_in_segments(lstm, x_bts, segment_rows), lengths)
    if lengths is None:
        hidden_bth: Tensor = lstm(x_bts)[0]
        return hidden_bth
    packed = pack_padded_sequence(x_bts, lengths.cpu(), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=x_bts.shape[1])[0]


def _in_segments(lstm: nn.LSTM, x_bts: Tensor, rows: int) -> Tensor:
    """Not packed: padding comes last, and no state looks ahead, so it cannot reach a row in use."""
    state = tuple(x_bts.new_zeros(lstm.num_layers, len(x_bts), lstm.hidden_size) for _ in range(2))
    hidden = []
    for segment in torch.split(x_bts, rows, 1):
        out_bth, state = checkpoint(lstm, segment, state, use_reentrant=False)
        hidden.append(out_bth)
    return torch.cat(hidden, 1)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm over [b, c, t] whose statistics, in training, are of the rows in use alone."""

    def forward(self, input: Tensor, lengths: Tensor | None = None) -> Tensor:  # noqa: A002 (torch's own name)
        """[b, c, t] to the same, zeros in the padding."""
        x_btc = input.transpose(1, 2)
        if self.training and (x_btc[..., 0].numel() if lengths is None else int(lengths.sum())) == 1:
            # One row has no spread, and torch refuses it: what was learnt so far is the better answer.
            return without_padding(self._by_running_statistics(input).transpose(1, 2), lengths).transpose(1, 2)
        if lengths is None or not self.training:
            return without_padding(super().forward(input).transpose(1, 2), lengths).transpose(1, 2)
        used_bt = rows_in_use(lengths, x_btc.shape[1], input.device)
        normed_nc = super().forward(x_btc[used_bt])
        return (
            torch.zeros_like(x_btc, dtype=normed_nc.dtype).masked_scatter(used_bt[..., None], normed_nc).transpose(1, 2)
        )

    def _by_running_statistics(self, x_bct: Tensor) -> Tensor:
        return functional.batch_norm(
            x_bct, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps
        )
