"""A batch too large for the device is worked through in parts that fit, and what fitted is remembered.

The gradient is that of the whole batch, but for batch norm, whose statistics are then of each part, and for dropout,
which is drawn anew.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from trainer.errors import TrainingError

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

_OUT_OF_MEMORY = ("DefaultCPUAllocator", "_STATUS_ALLOC_FAILED")
"""What torch's CPU allocator, cuBLAS and cuDNN say; the CUDA allocator has an exception of its own."""


class WindowsAtOnce:
    """How many windows of a batch go through the model at once.

    Args:
        what: is done with them, for the log.

    Attributes:
        most: what was found to fit; None as long as everything did.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.most: int | None = None

    def of(self, windows: int) -> int:
        """How many of so many windows go at once."""
        return max(windows if self.most is None else min(self.most, windows), 1)

    def run(self, windows: int, work: Callable[[int], _Result]) -> _Result:
        """Do the work on a batch, in parts of half the size each time the device runs out of memory.

        Args:
            windows: of the batch.
            work: takes the largest number of windows at once; begins anew each time it is called.

        Raises:
            TrainingError: a single window does not fit.
        """
        while True:
            size = self.of(windows)
            try:
                return work(size)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                said = str(error).splitlines()[0]
            # Only here, after the exception and with it the frames that hold the batch's tensors are gone.
            torch.cuda.empty_cache()  # does nothing where CUDA was never used
            if size == 1:
                raise TrainingError(
                    f"expected memory for one window, got `{said}` in {self._what}: choose a smaller model, a shorter "
                    "window_length or gradient_checkpointing"
                )
            self.most = -(-size // 2)
            _log.warning(
                "%s: %d windows at once are too many for the device, going on with %d", self._what, size, self.most
            )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether the device, or the machine, had no more memory to give."""
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in _OUT_OF_MEMORY)
