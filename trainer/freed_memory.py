"""Keeping freed memory for the next step instead of giving it back to the system.

glibc maps every large block anew and unmaps it when it is freed. A training step frees all its tensors and the next one
needs the same again: the system then clears and maps each page of them once a step, a quarter of a processor's time
for the recipes here (EXPERIMENTS.md, 2026-11-25).
"""

import ctypes
import logging

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1

logger = logging.getLogger(__name__)


def keep_freed_memory() -> bool:
    """Ask glibc to keep what is freed, for the rest of the process; the most it ever used stays with it.

    Returns:
        Whether it does; another C library is left as it is.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        logger.debug("this C library has no mallopt")
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
