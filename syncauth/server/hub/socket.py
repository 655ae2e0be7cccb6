"""
The sync socket: an ASGI WebSocket at `/api/client/v2.0/app/{app_id}/sync`.

The upgrade is refused with an HTTP status unless the app, the access token in the Authorization
header and the subprotocol are right; a token anywhere else, such as in the URL, is not looked at.
After that one loop reads frames into the hub and one writes what the hub sends. A frame is read
only when the device takes what was sent to it, so that nothing grows. This module decides nothing
else, and must never log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

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
    """What waits to be sent on one socket: the hub fills it, one loop empties it."""

    def __init__(self) -> None:
        """Begin empty."""
        self._unsent: deque[tuple[bool, bytes]] = deque()  # whether it is data, and the frame
        self._unsent_bytes = 0
        self._close: tuple[int, str] | None = None
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closing = asyncio.Event()

    @property
    def unsent_bytes(self) -> int:
        """How many bytes wait to be sent."""
        return self._unsent_bytes

    def send(self, message: messages.ServerMessage) -> None:
        """Send in order."""
        frame = messages.encode(message)
        self._unsent.append((isinstance(message, messages.Changes), frame))
        self._count(len(frame))
        self._filled.set()

    def close(self, code: int, reason: str) -> None:
        """Close after what was sent; pages that still wait are data, and data moves no more."""
        self._unsent = deque(each for each in self._unsent if not each[0])
        self._unsent_bytes = sum(len(frame) for _, frame in self._unsent)
        self._close = (code, reason)
        self._filled.set()
        self._closing.set()

    def _count(self, added: int) -> None:
        """Count bytes that wait, and tell whether there is room for more."""
        self._unsent_bytes += added
        if len(self._unsent) < UNSENT_MESSAGES and self._unsent_bytes < UNSENT_BYTES:
            self._room.set()
        else:
            self._room.clear()

    async def wait_room(self) -> None:
        """Wait until the device has taken enough of what was sent."""
        await self._room.wait()

    async def wait_overdue(self) -> None:
        """Wait until a close has been wanted for too long."""
        await self._closing.wait()
        await asyncio.sleep(SECONDS_TO_CLOSE)

    async def write_to(self, websocket: WebSocket) -> None:
        """Write until the socket is closed."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._unsent:
                _, frame = self._unsent.popleft()
                self._count(-len(frame))
                await websocket.send_text(frame.decode())
            if self._close is not None:
                await websocket.close(*self._close)
                return


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
        return WebSocketRoute(f"{BASE}/app/{{app_id}}/sync", self._serve)

    async def _serve(self, websocket: WebSocket) -> None:
        claims = await self._admit(websocket)
        if isinstance(claims, Denied):
            await refuse_upgrade(websocket, claims)
            return
        name_user(claims.user_id, claims.session_id)
        outgoing = Outgoing()
        # Before the upgrade is answered: of many at once no more are let in than there is room for.
        socket = self._driver.open(outgoing, claims)
        if socket is None:
            await refuse_upgrade(websocket, NO_ROOM)
            return
        try:
            await websocket.accept(messages.SUBPROTOCOL)
            await self._exchange(websocket, socket, outgoing)
        finally:
            self._driver.closed(socket)

    async def _exchange(self, websocket: WebSocket, socket: int, outgoing: Outgoing) -> None:
        """Read and write until either side ends it."""
        loops = [
            asyncio.ensure_future(self._read(websocket, socket, outgoing)),
            asyncio.ensure_future(outgoing.write_to(websocket)),
            asyncio.ensure_future(outgoing.wait_overdue()),
        ]
        try:
            await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in loops:
                each.cancel()
            ends = await asyncio.gather(*loops, return_exceptions=True)
        for end in ends:
            # A device that is gone ends either loop; anything else is a failure and is raised.
            if isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
                raise end

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

    async def _read(self, websocket: WebSocket, socket: int, outgoing: Outgoing) -> None:
        """Read frames into the hub until the device is gone."""
        while True:
            event = await websocket.receive()
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
