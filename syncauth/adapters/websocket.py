"""
Opening sync sockets, and the one door to the client of websockets.

One call is one attempt: no reconnecting, no redirects, no proxy, no compression. The token travels
in the Authorization header of the upgrade alone and is forgotten after it. websockets logs headers
and frames at DEBUG, both of which hold tokens, so its logger never reaches that level here. This
module must never judge why a socket ended; it names it, and `sansio.sync_errors` judges.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidStatus,
)
from websockets.typing import Subprotocol

from syncauth.config import AppConfig
from syncauth.errors import SyncAuthError
from syncauth.interfaces import ConnectionLost
from syncauth.models import Secret
from syncauth.sansio.messages import SUBPROTOCOL
from syncauth.sansio.patience import read_retry_after

LONGEST_FRAME_BYTES: Final = 128 * 1024 * 1024
"""Twice the largest batch that a server can be set to take; more would only fill the memory."""

FRAMES_WAITING: Final = 4
PING_SECONDS: Final = 20.0
"""How often a silent connection is tested, and how long the answer may take."""

LONGEST_REASON_BYTES: Final = 123
"""What a close frame has room for (RFC 6455 section 5.5)."""

PROTOCOL_ERROR: Final = 1002

Locate = Callable[[bool], Awaitable[str]]
"""Gives the address to connect to; True after the last one could not be reached."""


class WebSocketTransport:
    """`SyncTransport` over websockets; its constructor does no I/O."""

    def __init__(
        self,
        config: AppConfig,
        *,
        locate: Locate | None = None,
        tls: ssl.SSLContext | None = None,
        ping_seconds: float = PING_SECONDS,
    ) -> None:
        """Take the settings.

        `locate` defaults to the configured address, `tls` to the certificates that the machine
        trusts.
        """
        self._config = config
        self._locate = locate
        self._tls = tls
        self._ping_seconds = ping_seconds
        self._in_doubt = False

    async def connect(self, access_token: Secret) -> WebSocketLink:
        """Open a socket within `connect_timeout` seconds; raises `ConnectionLost`."""
        try:
            async with asyncio.timeout(self._config.connect_timeout):
                link = await self._connect(await self._address(), access_token)
        except ConnectionLost:
            self._in_doubt = True
            raise
        except TimeoutError as error:
            self._in_doubt = True
            raise ConnectionLost("timeout", why="the server did not answer in time") from error
        self._in_doubt = False
        return link

    async def _address(self) -> str:
        if self._locate is None:
            return self._config.sync_url
        try:
            return await self._locate(self._in_doubt)
        except SyncAuthError as error:
            raise ConnectionLost("handshake", why=str(error)) from error

    async def _connect(self, url: str, access_token: Secret) -> WebSocketLink:
        secure = url.startswith("wss://")
        try:
            connection = await _ConnectOnce(
                url,
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                additional_headers={"Authorization": f"Bearer {access_token.reveal()}"},
                user_agent_header="syncauth",
                compression=None,
                proxy=None,
                ssl=(self._tls or ssl.create_default_context()) if secure else None,
                open_timeout=None,
                close_timeout=self._config.close_timeout,
                ping_interval=self._ping_seconds,
                ping_timeout=self._ping_seconds,
                max_size=LONGEST_FRAME_BYTES,
                max_queue=FRAMES_WAITING,
                logger=_Discreet(logging.getLogger("syncauth.websocket")),
            )
        except (InvalidHandshake, OSError, UnicodeError) as error:
            raise _not_opened(error) from error
        if connection.request is not None:
            del connection.request.headers["Authorization"]
        link = WebSocketLink(connection, self._config.close_timeout)
        if connection.subprotocol != SUBPROTOCOL:
            why = f"the server does not speak {SUBPROTOCOL}"
            await link.aclose(PROTOCOL_ERROR, why)
            raise ConnectionLost("handshake", why=why)
        return link


class WebSocketLink:
    """`SyncSocket`: one open sync socket."""

    def __init__(self, connection: ClientConnection, close_timeout: float) -> None:
        """Take an open connection."""
        self._connection = connection
        self._close_timeout = close_timeout

    async def send(self, frame: bytes) -> None:
        """Send one text frame; raises `ConnectionLost`."""
        try:
            await self._connection.send(frame, text=True)
        except ConnectionClosed as error:
            raise _ended(error) from error

    async def receive(self) -> bytes:
        """Wait for the next text frame; raises `ConnectionLost` at the end of the socket.

        A binary frame breaks the protocol and ends the socket.
        """
        try:
            frame = await self._connection.recv()
        except ConnectionClosed as error:
            raise _ended(error) from error
        if isinstance(frame, str):
            return frame.encode()
        why = "the server sent a binary frame"
        await self.aclose(PROTOCOL_ERROR, why)
        raise ConnectionLost("closed", code=PROTOCOL_ERROR, why=why)

    async def aclose(self, code: int, reason: str) -> None:
        """Close in at most `close_timeout` seconds, then cut; idempotent."""
        short = reason.encode()[:LONGEST_REASON_BYTES].decode(errors="ignore")
        try:
            async with asyncio.timeout(self._close_timeout):
                await self._connection.close(code, short)
        except TimeoutError:
            # The other side neither reads nor answers: there is nobody to be polite to.
            self._connection.transport.abort()


class _ConnectOnce(connect):
    """A connect that takes no answer for an invitation to ask elsewhere with the token."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Follow nothing."""
        return exc


class _Discreet(logging.LoggerAdapter[logging.Logger]):
    """A logger without DEBUG, whatever the app has set: there, tokens would be written."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name of the standard library
        """Tell whether a level is written."""
        return level > logging.DEBUG and super().isEnabledFor(level)


def _not_opened(error: InvalidHandshake | OSError | UnicodeError) -> ConnectionLost:
    """Name why the socket could not be opened."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        why = f"the upgrade was answered with HTTP {status}"
        wait = read_retry_after(error.response.headers.get("Retry-After"), None)
        return ConnectionLost("handshake", status=status, why=why, retry_after=wait)
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError):
        return ConnectionLost("network", why="the connection broke during the upgrade")
    if isinstance(error, InvalidHandshake):
        why = f"the answer to the upgrade is not of a sync server: {type(error).__name__}"
        return ConnectionLost("handshake", why=why)
    if isinstance(error, UnicodeError):
        return ConnectionLost("dns", why="the host name cannot be looked up")
    return ConnectionLost(_kind_of(error), why=error.strerror or type(error).__name__)


def _kind_of(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, TimeoutError):
        return "timeout"
    # asyncio joins the failures of several addresses into a text and drops their numbers.
    if isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return "refused"
    return "network"


def _ended(error: ConnectionClosed) -> ConnectionLost:
    """Name how an open socket ended; the side that closed first gave the reason."""
    received, sent = error.rcvd, error.sent
    first = sent if received is None or error.rcvd_then_sent is False else received
    if first is None:
        return ConnectionLost("closed", why="the connection broke")
    if first is sent and received is None and first.reason == "keepalive ping timeout":
        return ConnectionLost("timeout", why="the server no longer answers")
    return ConnectionLost("closed", code=first.code, why=first.reason or f"code {first.code}")
