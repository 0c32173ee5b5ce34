"""The one error of this package."""

from models.errors import StrandwatchError


class BrokerError(StrandwatchError):
    """A local broker cannot be fetched, started, reached or used."""
