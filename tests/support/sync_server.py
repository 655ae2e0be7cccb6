"""A real websockets server, and upgrades granted by hand, for tests of the client's sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request as Upgrade, Response

from syncauth.models import Secret
from tests.support.odd_server import (
    Reply,
    Request,
    jwt,
)

PATH = "/api/client/v2.0/app/field-notes/sync"
TOKEN = Secret(jwt("access"))
Talk = Callable[[ServerConnection], Awaitable[None]]


class SyncServer:
    """A real server; `talk` is what it does with an open socket."""

    def __init__(self) -> None:
        self.talk: Talk = ServerConnection.wait_closed
        self.upgrades: list[Upgrade] = []
        self.closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()
        self.subprotocols: list[Any] | None = ["syncauth.v1"]

    async def start(self, **settings: Any) -> None:
        """Listen on loopback."""
        self._server: Server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._note,
            select_subprotocol=self._select,
            max_size=None,
            **settings,
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"{'https' if 'ssl' in settings else 'http'}://localhost:{port}"

    async def stop(self) -> None:
        """End every connection."""
        self._server.close()
        await self._server.wait_closed()

    def _note(self, _connection: ServerConnection, upgrade: Upgrade) -> Response | None:
        self.upgrades.append(upgrade)
        return None

    def _select(self, _connection: ServerConnection, offered: Any) -> Any:
        known = [one for one in self.subprotocols or () if one in offered]
        return known[0] if known else None

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            await self.talk(connection)
        finally:
            await connection.wait_closed()
            self.closed.put_nowait((connection.close_code, connection.close_reason))


def upgrading(subprotocol: str, *, then: bytes = b"", reads: bool = True) -> Reply:
    """Grant an upgrade by hand (RFC 6455 section 4.2.2), and never close."""

    async def grant(request: Request, writer: asyncio.StreamWriter) -> None:
        key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324
        head = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]
        writer.write("\r\n".join([*head, "", ""]).encode() + then)
        if not reads:
            writer.transport.pause_reading()

    return grant
