"""
One sync socket from the wish to open it to its end, as the driver runs it.

Frames come in as inputs of the engine and go out in the order in which the engine asked for them.
Whatever ends the socket, exactly one `SocketLost` is posted, and it is the last word of this
ticket. This module decides nothing; it must never hold a token longer than the upgrade takes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from syncauth.errors import InvalidMessage, SyncAuthError
from syncauth.interfaces import ConnectionLost, SyncSocket, SyncTransport
from syncauth.sansio import messages
from syncauth.sansio.effects import OpenSocket
from syncauth.sansio.inputs import Input, MessageReceived, SocketLost, SocketOpened
from syncauth.sansio.records import ReplicaState

PROTOCOL_ERROR: Final = 1002
GOING_AWAY: Final = 1001

Begin = Callable[[], Awaitable[tuple[int, ReplicaState]]]


class SocketRun:
    """Runs one `OpenSocket`."""

    def __init__(
        self,
        wanted: OpenSocket,
        *,
        begin: Begin,
        transport: SyncTransport,
        post: Callable[[Input], None],
    ) -> None:
        """Take what is needed.

        `begin` raises the connection number and reads the replica's state.
        """
        self._ticket = wanted.ticket
        self._token = wanted.access_token
        self._begin = begin
        self._transport = transport
        self._post = post
        self._outgoing: asyncio.Queue[messages.ClientMessage] = asyncio.Queue()
        self._close: tuple[int, str] = (GOING_AWAY, "closing")
        self._closing = asyncio.Event()

    def send(self, message: messages.ClientMessage) -> None:
        """Queue a message; the engine's window bounds how many there can be."""
        self._outgoing.put_nowait(message)

    def close(self, code: int, reason: str) -> None:
        """End the socket, or the attempt to open it."""
        self._close = (code, reason)
        self._closing.set()

    async def run(self) -> None:
        """Run to the end and post `SocketLost`."""
        try:
            await self._until_closed()
            lost = ConnectionLost("closed", code=self._close[0], why=self._close[1])
        except ConnectionLost as error:
            lost = error
        except InvalidMessage as error:
            lost = ConnectionLost("closed", code=PROTOCOL_ERROR, why=str(error))
        except SyncAuthError as error:
            lost = ConnectionLost("storage", why=str(error))
        self._post(
            SocketLost(self._ticket, lost.kind, lost.code, lost.status, lost.why, lost.retry_after)
        )

    async def _until_closed(self) -> None:
        """Live until the engine wants the end, or the connection ends by itself."""
        life = asyncio.ensure_future(self._live())
        end = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((life, end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            end.cancel()
            finished = life.done()
            life.cancel()
            results = await asyncio.gather(life, return_exceptions=True)
        if finished and isinstance(results[0], BaseException):
            raise results[0]

    async def _live(self) -> None:
        number, state = await self._begin()
        socket = await self._transport.connect(self._token)
        sender = asyncio.ensure_future(self._send_all(socket))
        try:
            self._post(SocketOpened(self._ticket, number, state))
            await self._receive_all(socket)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            await socket.aclose(*self._close)

    async def _receive_all(self, socket: SyncSocket) -> None:
        while True:
            message = messages.decode_from_server(await socket.receive())
            self._post(MessageReceived(self._ticket, message))

    async def _send_all(self, socket: SyncSocket) -> None:
        """Send what is queued; a socket that is gone is noticed, and judged, by its receiver."""
        with contextlib.suppress(ConnectionLost):
            while True:
                message = await self._outgoing.get()
                await socket.send(messages.encode(message))
