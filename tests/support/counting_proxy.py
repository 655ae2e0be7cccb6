"""
A loopback proxy that counts the refreshes that reach a server, and can hold their answers back.

It passes bytes and alters none. A client of HTTP/1.1 that does not pipeline begins each request
with bytes of its own, so that the first line of what arrives at once tells what it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

SECONDS = 20.0
CHUNK = 65_536
_REFRESH = re.compile(rb"POST /api/client/v2\.0/auth/session HTTP")
_REVOCATION = re.compile(rb"DELETE /api/client/v2\.0/auth/session HTTP")
_BEARER = re.compile(rb"\r\nauthorization: bearer ([^\r]+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Seen:
    """One request: by the hash of its token, and when its first bytes came, by the monotonic clock."""

    token: str
    at: float


class CountingProxy:
    """Listens on a port of its own and passes everything on to one server."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._door = socket.create_server(("127.0.0.1", 0))
        self._sockets: set[socket.socket] = set()
        self._change = threading.Condition()
        self._open = threading.Event()
        self._open.set()
        self.refreshes: list[Seen] = []
        self.revocations: list[Seen] = []
        self.answered = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"http://127.0.0.1:{self._door.getsockname()[1]}"

    def hold_answers(self) -> None:
        """Keep what the server answers to refreshes from now on, until `release`."""
        self._open.clear()

    def release(self) -> None:
        """Pass on what was kept, to whoever is still there."""
        self._open.set()

    def wait_refreshes(self, count: int) -> None:
        """Wait until so many refreshes have come."""
        self._wait(lambda: len(self.refreshes) >= count)

    def wait_answered(self, count: int) -> None:
        """Wait until the server has answered so many refreshes, passed on or kept."""
        self._wait(lambda: self.answered >= count)

    def wait_revocations(self, count: int) -> None:
        """Wait until so many revocations were sent."""
        self._wait(lambda: len(self.revocations) >= count)

    def _wait(self, condition: Callable[[], bool]) -> None:
        with self._change:
            assert self._change.wait_for(condition, SECONDS), "it never reached the server"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            self._sockets |= {client, server}
            refreshing = threading.Event()
            back = threading.Thread(
                target=self._pass_back, args=(server, client, refreshing), daemon=True
            )
            back.start()
            with contextlib.suppress(OSError):
                while data := client.recv(CHUNK):
                    self._note(data, refreshing)
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _note(self, data: bytes, refreshing: threading.Event) -> None:
        bearer = _BEARER.search(data)
        seen = Seen(hashlib.sha256(bearer[1] if bearer else b"").hexdigest(), time.monotonic())
        with self._change:
            if _REFRESH.match(data):
                refreshing.set()
                self.refreshes.append(seen)
            elif _REVOCATION.match(data):
                self.revocations.append(seen)
            self._change.notify_all()

    def _pass_back(
        self, server: socket.socket, client: socket.socket, refreshing: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK):
                if refreshing.is_set():
                    refreshing.clear()
                    with self._change:
                        self.answered += 1
                        self._change.notify_all()
                    self._open.wait()
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Listen no longer, and end every connection."""
        self._open.set()
        for each in (self._door, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
