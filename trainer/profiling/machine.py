"""On what something was measured."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and how busy it is.

    Attributes:
        processor: its name.
        cores: that this process may use.
        system: operating system and architecture.
        gpu: name of the first CUDA device; None without one.
        load: processes that wanted to run, mean of the last minute; above `cores`, they waited. None where the
            system does not tell.
    """

    processor: str
    cores: int
    system: str
    gpu: str | None
    load: float | None


def this_machine() -> Machine:
    """The machine this runs on, now."""
    import torch

    return Machine(
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    )


def _processor() -> str:
    """The processor's own name; the interpreter knows only its architecture on Linux."""
    if _CPUINFO.is_file():
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
