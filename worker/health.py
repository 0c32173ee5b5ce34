"""`/metrics`, `/livez` and `/readyz`, in a thread of their own.

Live: the loop has turned within `stall_s`; an orchestrator may restart a worker that is not. Ready: bundle
verified, provider proven, partitions assigned, not stopping. Both answer 200 or 503 with
`{"status", "reasons"}`.
"""

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from models.errors import mismatch
from worker.errors import StartupError

Clock = Callable[[], float]
_JSON = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


class Health:
    """What the worker says of itself; written by the loop, read by the endpoint's thread."""

    def __init__(self, show_ready: Callable[[float], None], clock: Clock, stall_s: float = 30.0) -> None:
        """`show_ready`: told 1 or 0 whenever readiness may have changed; the gauge's `set`."""
        self._show_ready = show_ready
        self._clock = clock
        self._stall_s = stall_s
        self._reasons: dict[str, str] = {}
        self._last_turn: float | None = None

    def turned(self) -> None:
        """The loop has gone round once more."""
        self._last_turn = self._clock()

    def wait_for(self, part: str, reason: str) -> None:
        """`part` is not ready, because of `reason`."""
        self._reasons = {**self._reasons, part: reason}
        self._show_ready(0)

    def have(self, part: str) -> None:
        """`part` is ready."""
        self._reasons = {name: reason for name, reason in self._reasons.items() if name != part}
        self._show_ready(0 if self._reasons else 1)

    def live(self) -> list[str]:
        """Why the worker is not live; empty if it is. Before the loop first turns it is starting, and live."""
        if self._last_turn is None:
            return []
        still = self._clock() - self._last_turn
        return [f"the loop has not turned for {still:.0f} s"] if still > self._stall_s else []

    def unready(self) -> list[str]:
        """Why the worker is not ready; empty if it is."""
        return [*self._reasons.values(), *self.live()]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """A probe every few seconds is no news."""


class HealthServer:
    """Serves a `Health` and a registry of metrics until closed."""

    def __init__(self, host: str, port: int, health: Health, registry: CollectorRegistry) -> None:
        """Listen; port 0 takes a free one.

        Raises:
            StartupError: the address cannot be had.
        """
        prometheus = make_wsgi_app(registry)

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            path = environ.get("PATH_INFO", "/")
            if path == "/metrics":
                body: Iterable[bytes] = prometheus(environ, start_response)
                return body
            probe = {"/livez": health.live, "/readyz": health.unready}.get(path)
            if probe is None:
                start_response("404 Not Found", list(_JSON))
                return [b'{"status": "not found", "reasons": ["try /metrics, /livez or /readyz"]}\n']
            reasons = probe()
            start_response("503 Service Unavailable" if reasons else "200 OK", list(_JSON))
            return [json.dumps({"status": "unavailable" if reasons else "ok", "reasons": reasons}).encode() + b"\n"]

        try:
            self._server = make_server(host, port, app, server_class=_Server, handler_class=_Quiet)
        except OSError as error:
            remedy = "; is another worker running? set STRANDWATCH_HTTP__PORT"
            raise StartupError(mismatch("a free address", error.strerror, f"http {host}:{port}") + remedy) from None
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
