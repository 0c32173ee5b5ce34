"""Processes and a temporary directory that end when this process ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from worker.brokers import guardian
from worker.brokers.errors import BrokerError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Left by chance in a shell, these change the java we start: other heap, other collector, other class path.
_FOREIGN_JAVA_SETTINGS = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")
_WAIT_SLICE_S = 0.2


class GuardedProcesses:
    """The owner's side of `worker.brokers.guardian`: what is started here never outlives this process.

    Safe to call from several threads. `close` ends everything at once; when this process dies without it, the
    guardian does the same within about half a second.

    Attributes:
        directory: a temporary directory, removed at the end; also the working directory of every process.
    """

    def __init__(self, prefix: str) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN_JAVA_SETTINGS}
        self._lock = threading.Lock()
        self._last_id = 0
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__, str(os.getpid()), prefix],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # a Ctrl-C in the owner's terminal must not reach it, nor java below it
        )
        self._commands = cast("IO[bytes]", self._guardian.stdin)
        self._answers = cast("IO[bytes]", self._guardian.stdout)
        self.directory = Path(str(self._reply(0)))

    @property
    def guardian_pid(self) -> int:
        """The guardian's process id; parent of every process started here."""
        return self._guardian.pid

    def start(self, name: str, argv: Sequence[str], log: Path) -> int:
        """Start a process, its output appended to `log`; return its process id.

        Raises:
            BrokerError: the program cannot be started, or a process of this name still runs.
        """
        return int(self._ask("start", name=name, argv=list(argv), log=str(log)))

    def kill(self, name: str) -> None:
        """End a process with SIGKILL and wait until it is gone; no effect when it has ended already."""
        self._ask("kill", name=name)

    def terminate(self, name: str) -> None:
        """Ask a process to end (SIGTERM); see `wait`."""
        self._ask("terminate", name=name)

    def wait(self, name: str, timeout_s: float) -> int | None:
        """Wait for a process to end: its exit code (negative: the signal), or None after `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while True:  # in slices, so that another thread's commands need not wait as long
            left_s = max(0.0, deadline - time.monotonic())
            code = self._ask("wait", name=name, timeout_s=min(left_s, _WAIT_SLICE_S))
            if code is not None or left_s == 0.0:
                return None if code is None else int(code)

    def close(self) -> None:
        """Kill every process and remove the directory; return when that is done. May be called twice."""
        with contextlib.suppress(BrokenPipeError):  # the guardian was killed: nobody reads the last command
            self._commands.close()
        self._guardian.wait()
        self._answers.close()

    def _ask(self, action: str, **arguments: object) -> Any:
        with self._lock:
            self._last_id += 1
            command = {"id": self._last_id, "do": action, "with": arguments}
            try:
                self._commands.write(json.dumps(command).encode() + b"\n")
                self._commands.flush()
            except OSError as error:
                raise BrokerError(self._guardian_ended()) from error
            return self._reply(self._last_id)

    def _reply(self, wanted_id: int) -> Any:
        # An exception from a signal handler may leave an answer unread: answers to earlier commands are passed over.
        for line in self._answers:
            reply = json.loads(line)
            if reply["id"] == wanted_id:
                if "error" in reply:
                    raise BrokerError(reply["error"])
                return reply["result"]
        raise BrokerError(self._guardian_ended())

    def _guardian_ended(self) -> str:
        return f"expected the broker's guardian (process {self._guardian.pid}) to answer, got its end: start anew"
