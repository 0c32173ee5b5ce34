"""The specification's sequence models by their names there; they live in `trainer/architectures/`, a file each."""

from trainer.architectures import Pooling, build_model, model_from
from trainer.architectures.attention_lstm import CastingAttentionLSTM
from trainer.architectures.base import SequenceModel
from trainer.architectures.cnn_lstm import CastingCNNLSTM
from trainer.architectures.lstm import CastingLSTM

__all__ = [
    "CastingAttentionLSTM",
    "CastingCNNLSTM",
    "CastingLSTM",
    "Pooling",
    "SequenceModel",
    "build_model",
    "model_from",
]
