"""What may go wrong in training and export, besides `models.errors`."""

from models.errors import StrandwatchError


class TrainingError(StrandwatchError):
    """Training cannot go on: numbers that are none, a device or precision that is not there, no memory or disk left."""


class ExportError(StrandwatchError):
    """The exported graph does not compute what the trained model does."""
