"""A whole worker in a thread of this process."""

import threading
import time
from collections.abc import Callable
from typing import Self

from worker import app
from worker.errors import StartupError
from worker.metrics import Metrics
from worker.settings import Settings
from worker.stop import LEAVE_WITHIN_S, Stop

_READY_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.02


class WorkerThread:
    """Serves for as long as the `with` block lasts; ready inside it, unless somebody asked to stop before.

    Attributes:
        metrics: the worker's.
    """

    def __init__(self, settings: Settings, asked: Callable[[], bool] = lambda: False) -> None:
        """`asked`: whether somebody wants to stop while it is still getting ready."""
        self._settings = settings
        self._asked = asked
        self.metrics = Metrics()
        self._stop = Stop()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._serve, name="worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _READY_WITHIN_S
        while self.metrics.registry.get_sample_value("strandwatch_ready") != 1:
            self._thread.join(_LOOK_EVERY_S)
            self.raise_if_failed()
            if self._asked():
                break
            if time.monotonic() > deadline:
                self._stop.ask()
                raise StartupError(f"expected a ready worker within {_READY_WITHIN_S:g} s, got none")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.ask()
        self._thread.join(LEAVE_WITHIN_S)

    def raise_if_failed(self) -> None:
        """Make the worker's error ours."""
        if self._failure is not None:
            raise self._failure

    def _serve(self) -> None:
        try:
            app.run(self._settings, self._stop, self.metrics)
        except Exception as error:
            self._failure = error
