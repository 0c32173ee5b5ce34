"""A schema registry over HTTP, as much of Confluent's as its client asks for: schemas under subjects, and by number.

with SchemaRegistry() as registry:
    number = registry.add("casting.sensors-value", schema)
    environment(..., encoding__schema_registry_url=registry.url)
"""

import json
import re
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class _Handler(BaseHTTPRequestHandler):
    registry: "SchemaRegistry"

    def do_GET(self) -> None:
        self.registry.asked += 1
        path = self.path.partition("?")[0]
        found = re.fullmatch(r"/schemas/ids/(\d+)", path)
        text = self.registry.schemas.get(int(found[1])) if found else None
        if not self._may():
            return
        if path == "/subjects":
            self._say(200, list(self.registry.subjects))
        elif text is None:
            self._say(404, {"error_code": 40403, "message": "Schema not found"})
        else:
            self._say(200, {"schema": text})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = re.fullmatch(r"/subjects/([^/]+)/versions", self.path.partition("?")[0])
        if not self._may():
            return
        if found is None:
            self._say(404, {"error_code": 404, "message": "unknown"})
        else:
            self._say(200, {"id": self.registry.add(found[1], json.loads(body["schema"]))})

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def _may(self) -> bool:
        login = self.registry.login
        may = login is None or self.headers["Authorization"] == f"Basic {b64encode(':'.join(login).encode()).decode()}"
        if not may:
            self._say(401, {"error_code": 401, "message": "Unauthorized"})
        return may

    def _say(self, status: int, answer: object) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", _MEDIA_TYPE)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class SchemaRegistry:
    """Runs until left.

    Args:
        login: name and password that it wants of whoever asks.

    Attributes:
        login: likewise.
        url: where it is.
        schemas: texts by number.
        subjects: numbers by subject.
        asked: how often for a schema, or for all subjects.
    """

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.login = login
        self.schemas: dict[int, str] = {}
        self.subjects: dict[str, list[int]] = {}
        self.asked = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def add(self, subject: str, schema: dict[str, Any]) -> int:
        """Register a schema; the same text has one number."""
        text = json.dumps(schema)
        number = next((one for one, known in self.schemas.items() if known == text), len(self.schemas) + 1)
        self.schemas[number] = text
        self.subjects.setdefault(subject, []).append(number)
        return number

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
