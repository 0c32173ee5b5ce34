"""A worker's process is struck where something may be half done: at a named place, when it is there for the n-th time.

Points("before_commit:3:kill").arm()

Of the actions `kill` ends the process, `raise` and `abort` fail, `pause:SECONDS` stops it with all its threads, and
`stall:SECONDS` only the thread that came by: the client's own go on, and so does its membership.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from worker.errors import DeliveryError
from worker.kafka import exactly_once, transactional_producer
from worker.pipeline import Pipeline


def replace(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put what `make` makes of a method in its place."""
    setattr(owner, name, make(getattr(owner, name)))


PLACES: dict[str, tuple[Any, str, bool]] = {
    # name: owner, method, whether the point is before it
    "after_poll": (Pipeline, "process", True),
    "mid_produce": (transactional_producer.TransactionalProducer, "produce", True),
    "before_offsets": (transactional_producer.TransactionalProducer, "send_offsets", True),
    "before_commit": (transactional_producer.TransactionalProducer, "commit", True),
    "after_commit": (transactional_producer.TransactionalProducer, "commit", False),
    "mid_refill": (Pipeline, "refill", False),
    "in_revoke": (exactly_once.ExactlyOnceSink, "release", True),
}


WAKE = "import os, signal, sys, time; time.sleep(float(sys.argv[1])); os.kill(int(sys.argv[2]), signal.SIGCONT)"


class Points:
    """Counts how often a named point was reached, and strikes at the wanted time.

    Args:
        told: place, count and action, with colons between; empty for none.
    """

    def __init__(self, told: str) -> None:
        self.name, _, rest = told.partition(":")
        count, _, self._action = rest.partition(":")
        self._left = int(count or 0)

    def reach(self, name: str) -> None:
        """Come by; strikes if it is the place and the time."""
        if name != self.name:
            return
        self._left -= 1
        if self._left == 0:
            self._strike()

    def _strike(self) -> None:
        print(f'{{"event": "struck", "at": "{self.name}"}}', file=sys.stderr, flush=True)
        action, _, seconds = self._action.partition(":")
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "pause":  # somebody else must wake it
            subprocess.Popen([sys.executable, "-c", WAKE, seconds, str(os.getpid())])
            # To this thread: sent to the process, another may take it, and this one go on a little.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
            print('{"event": "awake"}', file=sys.stderr, flush=True)
        elif action == "stall":
            time.sleep(float(seconds))
            print('{"event": "awake"}', file=sys.stderr, flush=True)
        elif action == "abort":
            raise transactional_producer.TransactionError("abort", f"struck at {self.name}")
        else:
            raise DeliveryError(f"expected nothing, got struck at {self.name}")

    def arm(self) -> None:
        """Have the worker come by, if the place is one of `PLACES`."""
        if self.name not in PLACES:
            return
        owner, method, before = PLACES[self.name]

        def make(function: Callable[..., Any]) -> Callable[..., Any]:
            def struck(*arguments: Any, **named: Any) -> Any:
                if before:
                    self.reach(self.name)
                answer = function(*arguments, **named)
                if not before:
                    self.reach(self.name)
                return answer

            return struck

        replace(owner, method, make)
