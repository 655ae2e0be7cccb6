"""
The loopback address to which a browser returns after an authorization (RFC 8252 section 7.3).

It listens on 127.0.0.1 alone and takes the one request that knows the login's `state`; whatever
else comes is turned away and waited past. This module must never judge what the redirect tells, and
never log.
"""

from __future__ import annotations

import asyncio
import hmac
from contextlib import suppress
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from syncauth.errors import InvalidConfig

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"
LONGEST_REQUEST_BYTES: Final = 16_384
REQUEST_SECONDS: Final = 10.0
"""How long one connection may take to say what it wants: browsers open some that stay silent."""

_PAGE: Final = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>{0}</title>"
    "<body style='font-family:sans-serif;margin:4em'><p>{0}</p></body></html>"
)
DONE: Final = "You may close this window and go back to the app."
NOT_MEANT: Final = "This address is not meant for you."


class Loopback:
    """One redirect to wait for; an asynchronous context, outside of which nothing listens."""

    def __init__(self, *, port: int, state: str) -> None:
        """Choose the port, 0 for a free one, and the `state` by which the redirect is known."""
        self._port = port
        self._state = state
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._found: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    @property
    def redirect_uri(self) -> str:
        """The address to give to the authorization server."""
        return f"http://{HOST}:{self._port}{PATH}"

    async def redirected(self) -> dict[str, str]:
        """Wait for the redirect, and return its parameters; one given twice is left out."""
        return await self._found

    async def __aenter__(self) -> Self:
        """Begin to listen; raises `InvalidConfig` where the port is taken."""
        try:
            self._server = await asyncio.start_server(
                self._serve, HOST, self._port, limit=LONGEST_REQUEST_BYTES
            )
        except OSError as error:
            what = f"port {self._port} of {HOST} cannot be listened on"
            why, remedy = error.strerror or "", "Give another port, or 0 for a free one"
            raise InvalidConfig(what, setting="port", why=why, remedy=remedy) from None
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening; connections that are still open are cut."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.close()
        self._found.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        told: dict[str, str] | None = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                told = self._read(await reader.readuntil(b"\r\n\r\n"))
                status = "404 Not Found" if told is None else "200 OK"
                writer.write(_page(status, NOT_MEANT if told is None else DONE))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the page is a courtesy: what the redirect told counts without it
        finally:
            if told is not None and not self._found.done():
                self._found.set_result(told)
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    def _read(self, head: bytes) -> dict[str, str] | None:
        """Return the parameters of a request that is the redirect, or None."""
        try:
            method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
            parts = urlsplit(target)
            given = parse_qs(
                parts.query, keep_blank_values=True, errors="strict", max_num_fields=50
            )
        except ValueError:
            return None
        told = {name: values[0] for name, values in given.items() if len(values) == 1}
        state = told.get("state", "")
        known = hmac.compare_digest(state.encode(), self._state.encode())
        return told if method == "GET" and parts.path == PATH and known else None


def _page(status: str, text: str) -> bytes:
    body = _PAGE.format(text).encode()
    lines = [
        f"HTTP/1.1 {status}",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Referrer-Policy: no-referrer",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
