"""A loopback HTTP server of handwritten bytes, for answers that no server library would give."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

LOCATION = "/api/client/v2.0/app/field-notes/location"
SESSION = "/api/client/v2.0/auth/session"
LIMIT_SECONDS = 5


@dataclass
class Request:
    """What came in; `connection` counts from 1."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]
Reply = bytes | Handler


def answer(status: int, body: bytes = b"", media_type: str | None = None, **headers: str) -> bytes:
    """Write an answer with a right Content-Length; `Retry_After="3"` becomes a header."""
    lines = [f"HTTP/1.1 {status} Odd", f"Content-Length: {len(body)}"]
    lines += [f"Content-Type: {media_type}"] if media_type else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def json_answer(status: int, body: Any, **headers: str) -> bytes:
    """Write an answer as the API gives it."""
    return answer(status, json.dumps(body).encode(), "application/json", **headers)


def denial(status: int, code: str, text: str = "no", **more: Any) -> bytes:
    """Write the error JSON of App Services."""
    return json_answer(status, {"error": text, "error_code": code, "link": "", **more})


def portal(status: int = 200) -> bytes:
    """Write the sign-in page of a network."""
    return answer(status, b"<html>Welcome to the hotel</html>", "text/html; charset=utf-8")


def jwt(name: str, *, life: int = 1800, issued: int = 1000) -> str:
    """Make a token with readable claims and a signature that is none."""
    claims = {"sub": "u1", "iat": issued, "exp": issued + life, "name": name}
    payload = json.dumps(claims).encode()
    return f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.c2ln"


async def silence(_request: Request, _writer: asyncio.StreamWriter) -> None:
    """Keep the connection and say nothing."""


async def reset(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Cut the connection with a TCP reset, which is what a linger time of zero asks for."""
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def hang_up(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Close the connection in good order, without an answer."""
    writer.close()


def then_close(sent: bytes) -> Handler:
    """Send bytes that need not be HTTP, and close."""

    async def send(_request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.close()

    return send


class OddServer:
    """Answers by path with what a test has put there; any other path is a bare 404."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply]] = {}
        self.requests: list[Request] = []
        self.opened = 0
        self.closed: list[int] = []
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self, ssl: Any = None) -> None:
        """Listen on loopback and tell the location as it is."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=ssl)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"{'https' if ssl else 'http'}://localhost:{self.port}"
        self.locate(self.url)

    def locate(self, http: str, socket: str | None = None) -> None:
        """Tell this location from now on."""
        names = {"hostname": http, "ws_hostname": socket or http.replace("http", "ws", 1)}
        self.reply(LOCATION, json_answer(200, names))

    def reply(self, path: str, *replies: Reply) -> None:
        """Answer with these in turn; the last one stays."""
        self.replies[path] = list(replies)

    def seen(self, path: str) -> list[Request]:
        """Return the requests for a path."""
        return [request for request in self.requests if request.path == path]

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds that a request or the end of a connection brings about."""
        async with asyncio.timeout(LIMIT_SECONDS):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def stop(self) -> None:
        """End every connection."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self.wait(lambda: len(self.closed) == self.opened)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        number = self.opened
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                request = await self._read(reader, number)
                self.requests.append(request)
                self._changed.set()
                await self._answer(request, writer)
        self.closed.append(number)
        self._writers.discard(writer)
        writer.close()
        self._changed.set()

    async def _read(self, reader: asyncio.StreamReader, number: int) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        lines = (line.split(": ", 1) for line in head[1:] if line)
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, path, headers, body, number)

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        replies = self.replies.get(request.path, [answer(404)])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, bytes):
            writer.write(reply)
            await writer.drain()
        else:
            await reply(request, writer)
