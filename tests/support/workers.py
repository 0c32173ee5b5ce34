"""`worker run` as its users start it: a process of its own, settings by environment, judged from outside."""

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.kafka_broker import Topics

_PR_SET_PDEATHSIG = 1
READY_WITHIN_S = 40.0


def environment(bootstrap: str, topics: Topics, bundle: Path | str, **settings: Any) -> dict[str, str]:
    """The environment of a worker on a test's own topics; `settings` like ``kafka__slot=1``."""
    plain = {name: value for name, value in os.environ.items() if not name.upper().startswith("STRANDWATCH_")}
    chosen = {
        "kafka__bootstrap_servers": bootstrap,
        "kafka__group_id": topics.group_id,
        "kafka__session_timeout_ms": 3000,
        "topics__sensors": topics.sensors,
        "topics__predictions": topics.predictions,
        "topics__alerts": topics.alerts,
        "topics__dead_letters": topics.dead_letters,
        "topics__worker_state": topics.worker_state,
        "start_from": "earliest",
        "model__bundle": bundle,
        "http__port": 0,
        "log__format": "json",
        **settings,
    }
    return {**plain, **{f"STRANDWATCH_{name.upper()}": str(value) for name, value in chosen.items()}}


def _end_with_whoever_started_it() -> None:
    """A test run that is killed leaves no worker behind. It ends with the thread that started it, to be exact."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class WorkerProcess:
    """A started worker; its log is read as it comes."""

    def __init__(self, env: dict[str, str], *arguments: str, program: Sequence[str] = ("-m", "worker")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, *(arguments or ("run",))], env=env, stderr=subprocess.PIPE, text=True,
            preexec_fn=_end_with_whoever_started_it,  # noqa: PLW1509 (it takes no lock)
        )  # fmt: skip
        self.log: list[str] = []
        self._said = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.log.append(line.rstrip())
                self._said.notify_all()
        with self._said:
            self.log.append("")
            self._said.notify_all()

    def events(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one kind."""
        lines = (json.loads(line) for line in self.log if line.startswith("{"))
        return [line for line in lines if line.get("event") == event]

    def wait_for(self, text: str, within_s: float = READY_WITHIN_S) -> str:
        """The first line of the log that matches, once it is there."""
        deadline = time.monotonic() + within_s
        with self._said:
            while True:
                for line in self.log:
                    if re.search(text, line):
                        return line
                ended = bool(self.log) and self.log[-1] == ""
                if ended or not self._said.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"the worker never said {text!r} but:\n" + "\n".join(self.log))

    @property
    def url(self) -> str:
        """Where its endpoints are."""
        return f"http://127.0.0.1:{json.loads(self.wait_for('worker starting'))['port']}"

    def get(self, path: str) -> tuple[int, str]:
        """One request to an endpoint."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def wait_ready(self, status: int = 200) -> "WorkerProcess":
        """Wait until /readyz says 200, or another status."""
        deadline = time.monotonic() + READY_WITHIN_S
        self.wait_for("partitions assigned")
        while self.get("/readyz")[0] != status:
            assert time.monotonic() < deadline, "\n".join(self.log)
            assert self.process.poll() is None, "\n".join(self.log)
            self._reader.join(0.05)
        return self

    def metric(self, name: str, **labels: str) -> float:
        """One sample of /metrics; 0 if it is not there."""
        wanted = name + ("{" + ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)) + "}" if labels else "")
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{wanted} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def wait_metric(self, name: str, value: float) -> None:
        """Wait until a gauge, which is refreshed once a second, shows this value."""
        deadline = time.monotonic() + READY_WITHIN_S
        while self.metric(name) != value:
            assert time.monotonic() < deadline, f"{name} is {self.metric(name)}, not {value}"
            self._reader.join(0.05)

    def terminate(self, within_s: float = 10.0) -> tuple[int, float]:
        """SIGTERM; its exit code and how many seconds it took to leave."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code, time.monotonic() - began

    def wait_ended(self, within_s: float = READY_WITHIN_S) -> int:
        """Wait for it to end of itself; its exit code."""
        code = self.process.wait(within_s)
        self._reader.join(5)
        return code

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)
        self._reader.join(5)


@contextmanager
def running(env: dict[str, str], *arguments: str, program: Sequence[str] = ("-m", "worker")) -> Iterator[WorkerProcess]:
    """A worker that is surely gone at the end of the `with` block."""
    worker = WorkerProcess(env, *arguments, program=program)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()
        assert worker.process.stderr is not None
        worker.process.stderr.close()
