"""Leaving in time, whatever hangs: a process of its own is asked to stop and held to the budget."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
from worker.stop import Stop

stop = Stop()
with stop.on_signals(within_s=1.0):
    print("ready", flush=True)
    {body}
print("left by itself", flush=True)
"""
BODIES = {
    "at once": "while not stop(): stop._event.wait(0.05)",
    "in a call that never returns": "import threading; threading.Event().wait()",
    # PyDLL keeps the interpreter's lock, as the Kafka client did when it hung.
    "with the interpreter's lock held": "import ctypes; stop._event.wait(); ctypes.PyDLL(None).sleep(30)",
}


@pytest.mark.parametrize("hangs", BODIES)
def test_process_leaves_within_its_budget(hangs: str) -> None:
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=BODIES[hangs])],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    started.send_signal(signal.SIGTERM)
    said, complained = started.communicate(timeout=15)
    if hangs == "at once":
        assert (started.returncode, said, complained) == (0, "left by itself\n", "")
    else:
        assert (started.returncode, said) == (1, "")
        assert complained.startswith(("error: not drained in time", "Timeout (0:00:00.85"))
