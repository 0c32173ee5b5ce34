"""Numbers of half the width where the device has them: less memory, and faster.

Parameters, gradients, loss and logits stay float32; within the model torch's autocast chooses. fp16 has a narrow range,
so its loss is scaled before the backward pass (`GradScaler`) and the gradients are scaled back before they are clipped.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch.amp.grad_scaler import GradScaler

from trainer.config import TrainingConfig
from trainer.errors import TrainingError

_CPU_BF16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Any of these capabilities, by torch's name, computes in bf16 by itself. Others would imitate it, slowly or not at
all: oneDNN has no bf16 LSTM for a CPU of AVX2."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How wide the numbers within the model are.

    Attributes:
        device_type: `cpu` or `cuda`.
        dtype: None for float32 throughout.
        scaler: of the loss; not enabled except for fp16.
    """

    device_type: str
    dtype: torch.dtype | None
    scaler: GradScaler

    def autocast(self) -> AbstractContextManager[None]:
        """Run the model within it."""
        return torch.autocast(self.device_type, dtype=self.dtype, enabled=self.dtype is not None)

    @property
    def may_skip(self) -> bool:
        """Whether a step whose gradient overflowed is left out instead of being an error."""
        return self.scaler.is_enabled()


def open_precision(config: TrainingConfig, device: torch.device) -> Precision:
    """The configured precision on this device.

    Raises:
        TrainingError: the device does not have it.
    """
    if config.precision == "bf16" and not _has_bf16(device):
        raise TrainingError(
            f"expected a device that computes in bf16, got {_name(device)} at precision=bf16: set precision=float32"
        )
    if config.precision == "fp16" and device.type != "cuda":
        raise TrainingError(
            f"expected a CUDA GPU, got {_name(device)} at precision=fp16: set precision=float32, or device=cuda"
        )
    dtype = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}[config.precision]
    return Precision(device.type, dtype, GradScaler(device.type, enabled=config.precision == "fp16"))


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in _CPU_BF16)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"a CPU of {torch.backends.cpu.get_cpu_capability()}"
