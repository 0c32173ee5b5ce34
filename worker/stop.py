"""Being asked to stop, and leaving in time. Imports nothing heavy: a signal may come while the rest is loading."""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LEAVE_WITHIN_S = 5.0
_MARGIN_S = 0.3


class Stop:
    """Asked to stop, by a signal or by code."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._asked_at: float | None = None

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._event.is_set()

    def ask(self) -> None:
        """Ask to stop; returns at once."""
        self._note()
        self._event.set()

    def _note(self) -> None:
        self._asked_at = self._asked_at or time.monotonic()

    def left_s(self) -> float:
        """Of the time to leave in, seconds."""
        asked_at = time.monotonic() if self._asked_at is None else self._asked_at
        return asked_at + LEAVE_WITHIN_S - _MARGIN_S - time.monotonic()

    @contextmanager
    def on_signals(self, within_s: float = LEAVE_WITHIN_S) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; a process that cannot leave in time is ended with exit code 1.

        The clock runs from the signal itself. A handler in Python would wait for the main thread, which may be
        deep in a blocking call of the Kafka client; so the signal's byte on a pipe wakes a thread that waits.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)

        def guard() -> None:
            if not os.read(reader, 1):
                return
            self._note()
            if not self._over.wait(within_s - _MARGIN_S):
                print(
                    "error: not drained in time; what was not committed will be read again", file=sys.stderr, flush=True
                )
                os._exit(1)

        def react(_: int, __: FrameType | None) -> None:
            # A native call that hangs with the interpreter's lock held stops the guard too, but not this timer.
            faulthandler.dump_traceback_later(within_s - _MARGIN_S / 2, exit=True)
            self.ask()

        self._over = threading.Event()
        thread = threading.Thread(target=guard, name="stop-guard", daemon=True)
        thread.start()
        fd_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        before = {number: signal.signal(number, react) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(fd_before)
            faulthandler.cancel_dump_traceback_later()
            self._over.set()
            os.close(writer)
            thread.join()
            os.close(reader)
