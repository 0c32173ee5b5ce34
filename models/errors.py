"""Every error a user may meet, as one tree.

    StrandwatchError              exit code 1
    ├── UsageError                exit code 2: a wrong option, setting or file the user named
    ├── ContractError             what is written differs from what was agreed
    │   ├── ManifestError         manifest.json
    │   ├── BundleError           a bundle's files: missing, altered, oversized, foreign
    │   └── MessageError          one Kafka message; becomes a dead letter, never a crash
    └── ProviderError             the execution provider asked for cannot be had, or computes wrong values

A message says what was expected, what was found, where, and what to do about it. The command
lines print it as one line without a traceback and leave with `exit_code`.
"""

from typing import Literal

DeadLetterReason = Literal["empty", "malformed", "schema", "too_large", "encoding"]


class StrandwatchError(Exception):
    """Base of everything Strandwatch raises on purpose."""

    exit_code = 1


class UsageError(StrandwatchError):
    """The user asked for something that cannot be meant: a setting, an option, a path."""

    exit_code = 2


class ContractError(StrandwatchError):
    """A file or message does not keep the contract of this package."""


class ManifestError(ContractError):
    """A bundle's manifest.json is not what the contract says."""


class BundleError(ContractError):
    """A bundle's folder cannot be trusted: a file is missing, altered, too large or unsafe."""


class MessageError(ContractError):
    """One message cannot be used.

    Attributes:
        reason: the dead letter's `reason` header.
    """

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ProviderError(StrandwatchError):
    """ONNX Runtime does not run the model where, or as, it was asked to."""


def mismatch(expected: object, got: object, where: str) -> str:
    """The one wording of a broken expectation: ``expected EXPECTED, got GOT at WHERE``."""
    return f"expected {expected}, got {got} at {where}"
