"""What torch computes on: the device, and how many threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainer.errors import TrainingError


def open_device(name: str) -> torch.device:
    """The device, if this machine has it.

    Args:
        name: `cpu`, `cuda` or `cuda:N`.

    Raises:
        TrainingError: torch finds no such GPU; says which torch it is.
    """
    device = torch.device(name)
    if device.type != "cuda":
        return device
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if (device.index or 0) >= found:
        raise TrainingError(
            f"expected a CUDA GPU, got {found} that torch {torch.__version__} can use at device={name}: set "
            "device=cpu, or install the driver and a torch built for CUDA"
        )
    return device


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Torch with one thread a call: for several calls side by side, or where one thread is what is measured."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
