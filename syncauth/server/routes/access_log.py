"""
The server's own access log: method, path, status and duration, one line per request or socket.

Paths are logged without their query, because App Services clients put tokens there. Headers and
bodies are never looked at. This module must never change what passes through.
"""

from __future__ import annotations

import logging
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from syncauth.interfaces import Clock

LOGGER: Final = logging.getLogger("syncauth.server.access")
LONGEST_PATH: Final = 200


class AccessLog:
    """Wraps an ASGI application."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        """Log what passes to `app`."""
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on and write one line at the end."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = self._clock.now()
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            method = scope.get("method", "WEBSOCKET")
            # ascii() keeps line breaks and terminal escapes out of the log
            path = ascii(scope["path"][:LONGEST_PATH])
            milliseconds = (self._clock.now() - started) * 1000
            LOGGER.info("%s %s %d %.0f ms", method, path, status, milliseconds)
