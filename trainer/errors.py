"""What may go wrong in training and export, besides `models.errors`."""

from models.errors import StrandwatchError


class TrainingError(StrandwatchError):
    """Training cannot go on: numbers that are none, a device or precision that is not there, no memory or disk left."""


class ExportError(StrandwatchError):
    """The exported graph does not compute what the trained model does."""


class GateError(StrandwatchError):
    """A retrained bundle may not take the current one's place: it is worse, or it cannot be told."""


class QuantisationError(StrandwatchError):
    """A model in less precision is worse than the one it was made from, or not faster: it was not written."""
