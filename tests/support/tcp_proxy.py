"""A way to a server that can be disturbed: cut, reset, slow, or silent.

with TcpProxy(target_port) as proxy:
    proxy.port                   # connect there
    proxy.silence()              # nothing passes, nobody is told
    proxy.restore()
"""

import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Self

HOST = "127.0.0.1"
_CHUNK = 1 << 16
_TURN_S = 0.02


class TcpProxy:
    """One listener; every connection has a thread of its own.

    Args:
        target: port of the server.
        port: to listen on; 0 for a free one.

    Attributes:
        port: listened on.
    """

    def __init__(self, target: int, port: int = 0) -> None:
        self._target = target
        self._listener = socket.create_server((HOST, port))
        self.port = int(self._listener.getsockname()[1])
        self._passes = threading.Event()
        self._passes.set()
        self._accepts = threading.Event()
        self._accepts.set()
        self._over = threading.Event()
        self._delay_s = 0.0
        self._generation = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.restore()
        self._listener.close()

    def cut(self) -> None:
        """End all connections, and refuse new ones until `restore`."""
        self._accepts.clear()
        self._generation += 1

    def reset(self) -> None:
        """End all connections; new ones are welcome."""
        self._generation += 1

    def silence(self) -> None:
        """Let nothing pass and say nothing, until `restore`."""
        self._passes.clear()

    def slow(self, seconds: float) -> None:
        """Hold every piece back for so long, until `restore`."""
        self._delay_s = seconds

    def restore(self) -> None:
        """Undo whatever was done."""
        self._delay_s = 0.0
        self._passes.set()
        self._accepts.set()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._accepts.is_set():
                threading.Thread(target=self._carry, args=(near, self._generation), daemon=True).start()
            else:
                _end(near)

    def _carry(self, near: socket.socket, generation: int) -> None:
        with near, suppress(OSError):
            with socket.create_connection((HOST, self._target)) as far:
                other = {near: far, far: near}
                while not self._over.is_set() and generation == self._generation:
                    if not self._passes.wait(_TURN_S):
                        continue
                    for ready in select.select([near, far], [], [], _TURN_S)[0]:
                        data = ready.recv(_CHUNK)
                        if not data:
                            return
                        if self._delay_s:
                            time.sleep(self._delay_s)
                        other[ready].sendall(data)
            _end(near)


def _end(connection: socket.socket) -> None:
    """With a reset instead of a farewell."""
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
