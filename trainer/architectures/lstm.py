"""`CastingLSTM`: the baseline among the sequence models."""

from torch import Tensor, nn

from trainer.architectures import Inputs, Pooling
from trainer.architectures.base import SequenceModel
from trainer.architectures.parts import Pool, dense_head, run_lstm, stacked_lstm


class CastingLSTM(SequenceModel):
    """Stacked LSTM, pooled over time, with a small fully connected head.

    Args:
        input_size: sensors.
        hidden_size: features of each LSTM layer.
        num_layers: LSTM layers.
        dropout: between LSTM layers, before and within the head.
        output_size: targets.
        pooling: what the head sees of the LSTM's states, see `Pool`.
        inputs: see `SequenceModel`.
        whitening: likewise.

    Raises:
        ValueError: an unknown pooling or inputs.
    """

    model_type = "lstm"

    def __init__(
        self,
        input_size: int,
        hidden_size: int = 128,
        num_layers: int = 2,
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
            dropout=dropout,
            output_size=output_size,
            pooling=pooling,
            inputs=inputs,
            whitening=whitening,
        )
        self.lstm = stacked_lstm(self.columns, hidden_size, num_layers, dropout)
        self.pool = Pool(pooling, hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.fc_layers = dense_head(self.pool.width, hidden_size // 2, output_size, dropout)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits [b, k], see `SequenceModel.forward`."""
        hidden_bth = run_lstm(self.lstm, self._prepared(x, lengths), lengths, self.gradient_checkpointing)
        logits: Tensor = self.fc_layers(self.dropout(self.pool(hidden_bth, lengths)))
        return logits
