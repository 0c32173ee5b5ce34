"""Calls of the Kafka client that may never come back, each within a deadline.

    calls = WatchedCalls("producer")
    calls.run(producer.commit_transaction, 5.0, within_s=8.0)

A thread in a native call cannot be ended; it is left behind, and with it whatever it holds. After a `HungError` neither
the thread nor the client may be used again.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any


class HungError(Exception):
    """A call did not come back within its deadline."""


class _Call:
    __slots__ = ("answer", "arguments", "done", "error", "function")

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments
        self.answer: Any = None
        self.error: BaseException | None = None
        self.done = threading.Event()


class WatchedCalls:
    """Runs the calls of one client, one after another, on a thread of their own.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, function: Callable[..., Any], *arguments: Any, within_s: float) -> Any:
        """What the call gives.

        Raises:
            HungError: it did not come back in time.
            Exception: whatever the call raises.
        """
        call = _Call(function, arguments)
        self._calls.put(call)
        if not call.done.wait(within_s):
            raise HungError(f"{getattr(function, '__name__', 'a call')} did not come back within {within_s:g} s")
        if call.error is not None:
            raise call.error
        return call.answer

    def close(self) -> None:
        """End the thread once its call has come back, if ever."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call.answer = call.function(*call.arguments)
            except BaseException as error:
                call.error = error
            call.done.set()
