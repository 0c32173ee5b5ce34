"""A small process that holds other processes and a temporary directory, and ends both when its owner ends.

`worker.brokers.processes` runs this file as a script: standard library only, nothing of this project. It reads
commands from standard input and answers each with one line, both JSON. When standard input ends, because the owner
closed it, returned, crashed or was killed with SIGKILL, every process it started is killed and the directory removed.

Why a process of its own: no handler runs in an owner that is killed. Why a pipe: the kernel closes it whatever
happens to the owner, on every system (Linux's parent-death signal follows the starting *thread*, and removes no
directory). A pipe's end can live on in a forked child of the owner, so the parent's identity is watched as well.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

OWNER_CHECK_S = 0.5


class Guardian:
    """Starts, ends and waits for named processes; `finish` ends them all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # Re-entrant: the SIGTERM handler runs `finish` in the main thread, perhaps in the middle of `start`.
        self._lock = threading.RLock()

    def start(self, name: str, argv: list[str], log: str) -> int:
        """Start a process under a name whose earlier process, if any, has ended; return its process id."""
        with self._lock, Path(log).open("ab") as output:
            earlier = self._processes.get(name)
            if earlier is not None and earlier.poll() is None:
                raise RuntimeError(f"expected `{name}` to have ended, got process {earlier.pid} still running")
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self._directory
            )
            self._processes[name] = process
            return process.pid

    def kill(self, name: str) -> None:
        """SIGKILL, and wait until the process is gone."""
        self._processes[name].kill()
        self._processes[name].wait()

    def terminate(self, name: str) -> None:
        """SIGTERM, without waiting."""
        self._processes[name].terminate()

    def wait(self, name: str, timeout_s: float) -> int | None:
        """Return the exit code, or None when the process still runs after `timeout_s` seconds."""
        try:
            return self._processes[name].wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def finish(self) -> NoReturn:
        """Kill every process, remove the directory, and end this process."""
        with self._lock:
            for process in self._processes.values():
                process.kill()
            for process in self._processes.values():
                process.wait()
            shutil.rmtree(self._directory, ignore_errors=True)
            os._exit(0)


def answer(guardian: Guardian, line: str) -> dict[str, Any]:
    """Carry out one command ``{"id", "do", "with": {...}}``; return ``{"id", "result"}`` or ``{"id", "error"}``."""
    command = json.loads(line)
    actions: dict[str, Callable[..., object]] = {
        "start": guardian.start,
        "kill": guardian.kill,
        "terminate": guardian.terminate,
        "wait": guardian.wait,
    }
    try:
        return {"id": command["id"], "result": actions[command["do"]](**command["with"])}
    except Exception as error:  # whatever went wrong is the owner's to hear and to judge
        return {"id": command["id"], "error": str(error) or type(error).__name__}


def watch_owner(owner_pid: int, guardian: Guardian) -> None:
    """Finish as soon as this process has another parent than its owner."""
    never = threading.Event()
    while not never.wait(OWNER_CHECK_S):
        if os.getppid() != owner_pid:
            guardian.finish()


def main(owner_pid: int, prefix: str) -> None:
    """Serve one owner until it ends."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    guardian = Guardian(directory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to handle
    signal.signal(signal.SIGTERM, lambda *_: guardian.finish())
    if os.name == "posix":
        threading.Thread(target=watch_owner, args=(owner_pid, guardian), daemon=True).start()
    try:
        print(json.dumps({"id": 0, "result": str(directory)}), flush=True)
        for line in iter(sys.stdin.readline, ""):
            print(json.dumps(answer(guardian, line)), flush=True)
    finally:
        guardian.finish()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
