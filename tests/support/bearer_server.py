"""A loopback HTTP server in threads, that takes some tokens, refuses others, and redirects where a test says."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `shown` is the text of its `Authorization`, or None."""

    method: str
    path: str
    shown: str | None
    body: bytes


class BearerServer(ThreadingHTTPServer):
    """Answers 200 to "Bearer …" with a token in `takes`, else 401; `redirects` maps a path to status and address."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, ssl: SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        if ssl is not None:
            self.socket = ssl.wrap_socket(self.socket, server_side=True)
        self.seen: list[Seen] = []
        self.redirects: dict[str, tuple[int, str]] = {}
        scheme = "https" if ssl else "http"
        self.url = f"{scheme}://localhost:{self.server_address[1]}"
        self.takes = frozenset()

    def shown(self) -> list[str | None]:
        """Return what each request showed, in order."""
        return [each.shown for each in self.seen]

    def count(self) -> Counter[str | None]:
        """Count the requests by what they showed."""
        return Counter(self.shown())

    def takes_only(self, *tokens: str) -> None:
        """Take these tokens from now on."""
        self.takes = frozenset(f"Bearer {token}" for token in tokens)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BearerServer

    def _serve(self) -> None:
        shown = self.headers.get("Authorization")
        self.server.seen.append(Seen(self.command, self.path, shown, self._body()))
        status, place = self.server.redirects.get(self.path, (0, ""))
        if not status:
            status = 200 if shown in self.server.takes else 401
        self.send_response(status)
        if place:
            self.send_header("Location", place)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - names of the library

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - a name of the library
        """Say nothing."""


@contextmanager
def serving(ssl: SSLContext | None = None) -> Iterator[BearerServer]:
    """Run a server in a thread until the end of the block."""
    server = BearerServer(ssl)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
