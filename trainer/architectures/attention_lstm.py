"""`CastingAttentionLSTM`: an LSTM whose states look at each other."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.architectures import Inputs, Pooling
from trainer.architectures.base import SequenceModel
from trainer.architectures.parts import Pool, check_range, dense_head, last_row, rows_in_use, run_lstm, stacked_lstm


class CastingAttentionLSTM(SequenceModel):
    """Stacked LSTM, multi-head self-attention over its states, pooled over time, with a small head.

    What attention finds is added to the state it was asked for, so that the state itself is not lost. Nothing need be
    normalised: an LSTM's states lie between -1 and 1.

    Args:
        input_size: sensors.
        hidden_size: features of each LSTM layer; a multiple of `attention_heads`.
        num_layers: LSTM layers.
        attention_heads: 4 to 8.
        dropout: between LSTM layers, on the attention weights and within the head.
        output_size: targets.
        pooling: what the head sees of the attended states, see `Pool`.
        inputs: see `SequenceModel`.
        whitening: likewise.

    Raises:
        ValueError: a number outside of its range, or an unknown pooling or inputs.
    """

    model_type = "attention_lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 128,
        num_layers: int = 2,
        attention_heads: int = 8,
        dropout: float = 0.3,
        output_size: int = 1,
        *,
        pooling: Pooling = "last",
        inputs: Inputs = "level",
        whitening: bool = False,
    ) -> None:
        super().__init__(
            input_size=input_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            attention_heads=attention_heads,
            dropout=dropout,
            output_size=output_size,
            pooling=pooling,
            inputs=inputs,
            whitening=whitening,
        )
        check_range("attention_heads", attention_heads, 4, 8)
        if hidden_size % attention_heads:
            raise ValueError(f"expected hidden_size a multiple of {attention_heads} attention_heads, got {hidden_size}")
        self.lstm = stacked_lstm(self.columns, hidden_size, num_layers, dropout)
        self.attention = nn.MultiheadAttention(hidden_size, attention_heads, dropout, batch_first=True)
        self.pool = Pool(pooling, hidden_size)
        self.classifier = dense_head(self.pool.width, hidden_size // 2, output_size, dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits [b, k], see `SequenceModel.forward`."""
        hidden_bth = self._states(x, lengths)
        if self.pool.kind == "last":
            # Only the last row's answer is read: to ask for the others would be most of the work.
            pooled_bh = self._attended(last_row(hidden_bth, lengths)[:, None], hidden_bth, lengths)[:, 0]
        else:
            pooled_bh = self.pool(self._attended(hidden_bth, hidden_bth, lengths), lengths)
        logits: Tensor = self.classifier(pooled_bh)
        return logits

    @torch.inference_mode()
    def attention_weights(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Attention weights of a batch of windows; dropout is off, whatever the mode.

        Args:
            x: as for `forward`.
            lengths: likewise.

        Returns:
            [b, heads, t, t]: how much each row (third axis) takes from each (last axis). A row's weights add up to 1,
            those of a padded row are 0, and none takes anything from one.
        """
        was_training = self.training
        self.eval()
        try:
            hidden_bth = self._states(x, lengths)
            weights: Tensor = self.attention(
                hidden_bth, hidden_bth, hidden_bth, self._padding(hidden_bth, lengths), average_attn_weights=False
            )[1]
        finally:
            self.train(was_training)
        if lengths is None:
            return weights
        return weights * rows_in_use(lengths, x.shape[1], x.device)[:, None, :, None]

    def _states(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        return run_lstm(self.lstm, self._prepared(x, lengths), lengths, self.gradient_checkpointing)

    def _attended(self, asking_bqh: Tensor, hidden_bth: Tensor, lengths: Tensor | None) -> Tensor:
        """What `self.attention` computes, batch first throughout: so exported, it is one fused operator."""
        attention, size = self.attention, hidden_bth.shape[2]
        parts = []
        for part, x_bth in enumerate((asking_bqh, hidden_bth, hidden_bth)):
            rows = slice(part * size, (part + 1) * size)
            projected_bth = functional.linear(x_bth, attention.in_proj_weight[rows], attention.in_proj_bias[rows])
            parts.append(torch.unflatten(projected_bth, 2, (attention.num_heads, -1)).transpose(1, 2))
        padding_bt = self._padding(hidden_bth, lengths)
        found_bnqd = functional.scaled_dot_product_attention(
            parts[0],
            parts[1],
            parts[2],
            attn_mask=None if padding_bt is None else ~padding_bt[:, None, None],
            dropout_p=attention.dropout if self.training else 0.0,
        )
        found_bqh: Tensor = attention.out_proj(found_bnqd.transpose(1, 2).flatten(2))
        return asking_bqh + found_bqh

    @staticmethod
    def _padding(x_btf: Tensor, lengths: Tensor | None) -> Tensor | None:
        return None if lengths is None else ~rows_in_use(lengths, x_btf.shape[1], x_btf.device)
