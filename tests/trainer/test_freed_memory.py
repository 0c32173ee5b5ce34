"""Freed memory stays with the process that asked for it."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys
import numpy as np
from trainer.freed_memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for number in range(4):
    if number == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step = [np.ones(16 * 2**20, np.uint8) for _ in range(4)]
    del step
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library has no mallopt")
def test_a_step_meets_the_pages_of_the_one_before() -> None:
    def faults(how: str) -> int:
        ended = subprocess.run(
            [sys.executable, "-c", STEPS, how], capture_output=True, text=True, timeout=60, check=True
        )
        return int(ended.stdout)

    # Three more steps of 64 MiB: 4 KiB a page, unless the system hands out huge ones.
    assert faults("keep") < faults("give back") / 10
