"""`SequenceModel`: what all architectures share.

Models take normalised windows and return logits, because the loss (`BCEWithLogitsLoss`) applies the sigmoid itself;
probabilities come from `predict_proba` in Python and from the exported graph in serving.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor, nn

from trainer.architectures import Inputs
from trainer.architectures.parts import Whitening, mean_over_time, without_padding


class SequenceModel(nn.Module):
    """Windows [b, time, sensor] to logits [b, target].

    Args:
        arguments: all arguments of the subclass's constructor, for `architecture`.

    Attributes:
        model_type: the architecture's name, that of its file.
        config_names: fields of `TrainingConfig` that its constructor calls otherwise.
        inputs: what the network sees of each sensor: its `level` (the normalised value), its `change` (the value less
            its mean over the window: strands differ in level by more than some events move them), or `both`.
        columns: numbers a row that the network sees: of each sensor one, or two with `both`.
        whitening: makes the sensors uncorrelated before the network's first weights; None: they are as they are.
        gradient_checkpointing: rows of a segment of the LSTM that is computed again in the backward pass, to save
            memory with long sequences; 0 = off. It changes no result, so no bundle tells of it.
    """

    model_type: ClassVar[str]
    config_names: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self._arguments = arguments
        self.inputs: Inputs = arguments["inputs"]
        if self.inputs not in get_args(Inputs):
            raise ValueError(f"expected inputs of {', '.join(get_args(Inputs))}, got {self.inputs!r}")
        self.columns: int = arguments["input_size"] * (2 if self.inputs == "both" else 1)
        self.whitening = Whitening(arguments["input_size"]) if arguments["whitening"] else None
        self.gradient_checkpointing = 0

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits of a batch of windows.

        Args:
            x: [b, t, s] normalised, without NaN in the rows in use.
            lengths: [b] rows in use of each window, ≥ 1; the rows after them are padding and do not matter. None:
                all are in use.

        Returns:
            [b, k] logits.
        """
        raise NotImplementedError

    @torch.inference_mode()
    def predict_proba(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Probabilities [b, k] of a batch of windows, as for `forward`; dropout is off, whatever the mode."""
        was_training = self.training
        self.eval()
        try:
            return torch.sigmoid(self(x, lengths))
        finally:
            self.train(was_training)

    @property
    def architecture(self) -> dict[str, Any]:
        """What the manifest says of the model: enough to build it anew for its weights."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return {"model_type": self.model_type, **self._arguments, "parameters": parameters}

    def _prepared(self, x_bts: Tensor, lengths: Tensor | None) -> Tensor:
        """What `inputs` says, [b, t, columns], with zeros in the padding."""
        x_bts = without_padding(x_bts, lengths)
        if self.whitening is not None:
            x_bts = self.whitening(x_bts)
        if self.inputs == "level":
            return x_bts
        change_bts = without_padding(x_bts - mean_over_time(x_bts, lengths)[:, None], lengths)
        return change_bts if self.inputs == "change" else torch.cat((x_bts, change_bts), 2)
