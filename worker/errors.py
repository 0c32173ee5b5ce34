"""What ends a worker, beside the errors of `models.errors`.

StrandwatchError
├── UsageError                exit code 2: a setting (see `worker.settings`)
├── StartupError              exit code 1: broker not reached, topic missing, port taken
└── DeliveryError             exit code 1: an output was refused, or the group threw the worker out;
                              nothing past the last commit is lost, a new start goes on from there
"""

from models.errors import StrandwatchError, UsageError

__all__ = ["DeliveryError", "StartupError", "StrandwatchError", "UsageError"]


class StartupError(StrandwatchError):
    """The worker cannot begin."""


class DeliveryError(StrandwatchError):
    """The worker cannot go on without losing or disordering something, so it stops."""
