"""
The sync socket: an ASGI WebSocket at `/api/client/v2.0/app/{app_id}/sync`.

The upgrade is refused with an HTTP status unless the app, the access token in the Authorization
header and the subprotocol are right; a token anywhere else, such as in the URL, is not looked at.
After that a loop reads frames into the hub, and what the hub sends is written beside it. A frame is read
only when the device takes what was sent to it, so that nothing grows. This module decides nothing
else, and must never log.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from syncauth.errors import InvalidMessage
from syncauth.interfaces import Clock
from syncauth.sansio import messages
from syncauth.server.accounts.answers import (
    ACCESS_EXPIRED,
    INVALID_ACCESS,
    KEYS_UNAVAILABLE,
    Denied,
    too_many,
)
from syncauth.server.accounts.foreign_access import ForeignAccess
from syncauth.server.accounts.issuer import Claims, Issuer, TokenFault
from syncauth.server.hub import inputs
from syncauth.server.hub.driver import HubDriver
from syncauth.server.operations.ids import name_user
from syncauth.server.routes.exchange import bearer, refuse_upgrade
from syncauth.server.routes.operations import BASE
from syncauth.server.settings.config import ServerConfig, ServerLimits
from syncauth.server.stores.subjects import read_subject_session

UNSENT_MESSAGES: Final = 32
UNSENT_BYTES: Final = 8_000_000
"""With so many messages or bytes that wait to be sent, no further frame is read.

Two full pages are less: only a device that does not take what it says it has received is held up.
"""

SECONDS_TO_CLOSE: Final = 5
"""How long a device may take to take what is sent before the close."""

RETRY_AFTER: Final = 30.0
"""Seconds after which one may ask again whose socket found no room: the dead ones have been noticed by then."""

NO_SUCH_APP: Final = Denied(
    404, "AppNotFound", "cannot find app using the client app id of the request"
)
NO_ROOM: Final = too_many(RETRY_AFTER)
FAULTS: Final = {
    TokenFault.EXPIRED: ACCESS_EXPIRED,
    TokenFault.INVALID: INVALID_ACCESS,
    TokenFault.UNCHECKED: KEYS_UNAVAILABLE,
}
UPGRADE_NEEDED: Final = Denied(
    426, "ProtocolMismatch", f"this server speaks the subprotocol {messages.SUBPROTOCOL}"
)


def largest_frame(limits: ServerLimits) -> int:
    """Return how many bytes a frame may have."""
    return limits.batch_bytes + messages.FRAME_OVERHEAD


class Outgoing:
    """What waits to be sent on one socket: the hub fills it, a task empties it that lives no longer than there is work.

    A socket that has nothing to do is the most common one, so it holds no task, event or queue here.
    """

    __slots__ = ("_close", "_limit", "_room", "_send", "_task", "_unsent", "_unsent_bytes")

    def __init__(self) -> None:
        """Begin empty; nothing is written before `begin`."""
        self._unsent: list[tuple[bool, bytes]] = []  # whether it is data, and the frame
        self._unsent_bytes = 0
        self._close: tuple[int, str] | None = None
        self._room: asyncio.Future[None] | None = None  # who waits for room
        self._send: Send | None = None
        self._limit: asyncio.Timeout | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait to be sent."""
        return self._unsent_bytes

    def begin(self, send: Send, limit: asyncio.Timeout) -> None:
        """Write with `send` from now on. `limit` is made to end when a close has been wanted for too long."""
        self._send, self._limit = send, limit
        if self._close is not None:
            self._end_within(SECONDS_TO_CLOSE)
        self._write_on()

    def send(self, message: messages.ServerMessage) -> None:
        """Send in order."""
        frame = messages.encode(message)
        self._unsent.append((isinstance(message, messages.Changes), frame))
        self._unsent_bytes += len(frame)
        self._write_on()

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent; pages that still wait are data, and data moves no more."""
        self._unsent = [each for each in self._unsent if not each[0]]
        self._unsent_bytes = sum(len(frame) for _, frame in self._unsent)
        self._close = (code, reason)
        self._end_within(SECONDS_TO_CLOSE)
        self._write_on()

    async def wait_room(self) -> None:
        """Wait until the device has taken enough of what was sent."""
        while len(self._unsent) >= UNSENT_MESSAGES or self._unsent_bytes >= UNSENT_BYTES:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    async def end(self) -> None:
        """Write no more; what failed in writing is raised here, unless the device is gone."""
        self._send = self._limit = None
        if self._task is None:
            return
        self._task.cancel()
        (ended,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(ended, Exception) and not isinstance(
            ended, OSError
        ):  # the server's kind of "gone"
            raise ended

    def _write_on(self) -> None:
        """See to it that what waits is written."""
        if self._send is not None and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self._write(self._send))
            self._task.add_done_callback(self._written)

    async def _write(self, send: Send) -> None:
        while self._unsent:
            _, frame = self._unsent.pop(0)
            self._unsent_bytes -= len(frame)
            if self._room is not None and not self._room.done():
                self._room.set_result(None)
            await send({"type": "websocket.send", "text": frame.decode()})
        if self._close is not None:
            self._send = None
            code, reason = self._close
            await send({"type": "websocket.close", "code": code, "reason": reason})

    def _written(self, task: asyncio.Task[None]) -> None:
        """Let the reading end with a socket that was closed, or that cannot be written to."""
        if not task.cancelled() and (self._send is None or task.exception() is not None):
            self._end_within(0)

    def _end_within(self, seconds: float) -> None:
        # One that has come to its end cannot be moved, and the hub may not know of it yet.
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)


class SyncEndpoint:
    """The endpoint of one app."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        issuer: Issuer,
        clock: Clock,
        driver: HubDriver,
        foreign: ForeignAccess | None = None,
    ) -> None:
        """Take the parts; without `foreign` only the server's own tokens are taken."""
        self._config = config
        self._issuer = issuer
        self._clock = clock
        self._driver = driver
        self._foreign = foreign
        self._largest_frame = largest_frame(config.limits)

    def route(self) -> WebSocketRoute:
        """Return the route."""
        return WebSocketRoute(f"{BASE}/app/{{app_id}}/sync", self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one socket to its end. What only the upgrade needs is not kept for as long as the socket is open."""
        outgoing = Outgoing()
        websocket = WebSocket(scope, receive, send)
        socket = await self._let_in(websocket, outgoing)
        if socket is None:
            return
        try:
            await websocket.accept(messages.SUBPROTOCOL)
            del websocket
            scope["headers"] = []  # the token is among them
            await self._exchange(receive, send, socket, outgoing)
        finally:
            self._driver.closed(socket)

    async def _let_in(self, websocket: WebSocket, outgoing: Outgoing) -> int | None:
        """Return the number of the socket, or refuse the upgrade and return None."""
        claims = await self._admit(websocket)
        if isinstance(claims, Denied):
            await refuse_upgrade(websocket, claims)
            return None
        # What stands for the session of another issuer's user has its name there, perhaps an email address.
        own = read_subject_session(claims.session_id) is None
        name_user(claims.user_id, claims.session_id if own else "")
        # Before the upgrade is answered: of many at once no more are let in than there is room for.
        socket = self._driver.open(outgoing, claims)
        if socket is None:
            await refuse_upgrade(websocket, NO_ROOM)
        return socket

    async def _exchange(
        self, receive: Receive, send: Send, socket: int, outgoing: Outgoing
    ) -> None:
        """Read and write until either side ends it."""
        try:
            async with asyncio.timeout(None) as limit:
                outgoing.begin(send, limit)
                await self._read(receive, socket, outgoing)
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            await outgoing.end()

    async def _admit(self, websocket: WebSocket) -> Claims | Denied:
        """Return whose socket this is, or why there is none."""
        if websocket.path_params["app_id"] != self._config.app_id:
            return NO_SUCH_APP
        token = bearer(websocket)
        if isinstance(token, Denied):
            return token
        if self._foreign is not None and self._foreign.concerns(token):
            claims = await self._foreign.check(token)
        else:
            claims = self._issuer.verify_access(token, self._clock.wall())
        if isinstance(claims, TokenFault):
            return FAULTS[claims]
        if messages.SUBPROTOCOL not in websocket.scope["subprotocols"]:
            return UPGRADE_NEEDED
        return claims

    async def _read(self, receive: Receive, socket: int, outgoing: Outgoing) -> None:
        """Read frames into the hub until the device is gone."""
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            # Waited for with the frame in hand: what it allows to be sent must not come on top.
            await outgoing.wait_room()
            self._driver.post(self._read_frame(socket, event.get("text")))

    def _read_frame(self, socket: int, text: str | None) -> inputs.Input:
        if text is None:
            return inputs.FrameRefused(socket, "bad_message", "a binary frame is no message")
        try:
            frame = text.encode()
        except UnicodeEncodeError:  # a lone surrogate
            return inputs.FrameRefused(socket, "bad_message", "a frame is no valid UTF-8")
        if len(frame) > self._largest_frame:
            why = f"a frame has {len(frame)} bytes, the limit is {self._largest_frame}"
            return inputs.FrameRefused(socket, "message_too_big", why)
        try:
            return inputs.MessageReceived(socket, messages.decode_from_client(frame))
        except InvalidMessage as error:
            return inputs.FrameRefused(socket, "bad_message", error.why)
