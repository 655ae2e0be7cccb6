"""
`SyncServer`: the whole server as one ASGI application, to be mounted in a larger one or served by itself.

It opens what `create_app` puts together when its lifespan begins, or with the first request where nobody runs one, and
sends the devices away before it closes anything. What the team's own code may ask of it are its methods. This module
must never decide about a request, and nothing in `syncauth.server` but the package's `__init__` may import it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from starlette.applications import Starlette
from starlette.routing import Router
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from syncauth.errors import Closed, InvalidConfig, WrongLoop
from syncauth.interfaces import Clock, Randomness
from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.team_users import TeamUsers, Tokens, VerifiedUser
from syncauth.server.app import create_app
from syncauth.server.clock import SystemClock, SystemRandomness
from syncauth.server.operations.operations import Operations
from syncauth.server.routes.exchange import answer_denied, refuse_upgrade
from syncauth.server.settings.config import ServerConfig, read_config
from syncauth.server.team.extensions import Authenticate, Extensions

LOGGER: Final = logging.getLogger("syncauth.server.sync_server")
CLOSED: Final = Denied(503, "ServerRestarting", "the server was closed", retry_after=1)


class SyncServer:
    """The account API and the sync socket of one app, on one SQLite file in `data_dir`.

    It is an ASGI 3 application: mount it (`Mount("/sync", server)` of Starlette, `app.mount("/sync", server)` of
    FastAPI) or give it to an ASGI server as it is. The parent should run `server.lifespan`; where it cannot, the first
    request starts the server, and it ends with the event loop. A server belongs to the event loop in which it started.
    It can be started again after it was closed. Several may live in one process, each with a `data_dir` of its own.
    """

    def __init__(
        self,
        config: ServerConfig | str | os.PathLike[str],
        *,
        data_dir: str | os.PathLike[str],
        functions: Mapping[str, Callable[..., Any]] | None = None,
        authenticate: Authenticate | None = None,
        extensions: Extensions | None = None,
        clock: Clock | None = None,
        randomness: Randomness | None = None,
    ) -> None:
        """Keep what is given; nothing is read or opened before the start.

        `config` is the path of a `syncauth.toml`, or the settings themselves. `data_dir` is the folder of the database
        and of the signing key, made at the start if it is missing. `functions` and `authenticate` are those of
        `extensions`, for short; what is given here wins over what the settings name.

        Raises:
            InvalidConfig: the same function, or `authenticate`, is given twice.
        """
        given = extensions or Extensions()
        twice = [*(set(functions or {}) & set(given.functions))]
        if authenticate is not None and given.authenticate is not None:
            twice.append("authenticate")
        if twice:
            remedy = "Give each in one place"
            raise InvalidConfig(f"{twice[0]!r} is given twice", setting=twice[0], remedy=remedy)
        self._config = config if isinstance(config, ServerConfig) else Path(config)
        self._data_dir = Path(data_dir)
        self._extensions = replace(
            given,
            functions={**given.functions, **(functions or {})},
            authenticate=authenticate or given.authenticate,
        )
        self._clock = clock or SystemClock()
        self._randomness = randomness or SystemRandomness()
        self._app: Starlette | None = None
        self._held: AbstractAsyncContextManager[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        self._closed = False

    # --- beginning and end -----------------------------------------------------------------------

    async def start(self) -> None:
        """Open the file and be ready; does nothing if that is so already. Starts again after `aclose`.

        Opening holds the event loop for some milliseconds, or for as long as a file of an older format takes.

        Raises:
            InvalidConfig: a setting, the schema file, a named callable or a key cannot be used.
            FileCorrupt, FileTooNew, StorageError: the signing key or the file cannot be used; neither was changed.
            WrongLoop: it was started in another event loop.
        """
        self._check_loop()
        async with self._turn_here():
            if self._app is not None:
                return
            config = self._config
            if isinstance(config, Path):
                config = read_config(config)
            self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            app = create_app(
                config, self._data_dir, self._clock, self._randomness, self._extensions
            )
            held = app.router.lifespan_context(app)
            await held.__aenter__()
            self._app, self._held = app, held
            self._loop, self._closed = asyncio.get_running_loop(), False

    async def drain(self) -> None:
        """Send all devices away and let requests under way end; returns when all have, or when `[drain]` says so.

        To be called before an ASGI server closes the sockets in its own way. From then on every further request is
        answered with 503 and when to come back.
        """
        if self._app is not None:
            self._check_loop()
            await self._app.state.drain()

    async def aclose(self) -> None:
        """End in good order: devices are sent away, requests under way end, then the file is closed. Idempotent.

        Requests that come later are answered with 503, until the server is started again.

        Raises:
            WrongLoop: it was started in another event loop.
        """
        self._check_loop()
        self._closed = True
        async with self._turn_here():
            self._closed = True  # also after a start that was asked for before
            if self._app is None or self._held is None:
                return
            try:
                await self._app.state.drain()
            finally:  # also when the caller is cancelled: the file and its directory are let go
                held, self._app, self._held, self._loop = self._held, None, None, None
                await held.__aexit__(None, None, None)

    @property
    def operations(self) -> Operations:
        """What whoever runs the server sees of it.

        Raises:
            Closed: it is not started.
        """
        if self._app is None:
            what = "the sync server is not started"
            raise Closed(what, remedy="Start it: async with server")
        operations: Operations = self._app.state.operations
        return operations

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.aclose()

    @contextlib.asynccontextmanager
    async def lifespan(self, _parent: object = None) -> AsyncIterator[None]:
        """Run the server for as long as its parent runs: `Starlette(…, lifespan=server.lifespan)`.

        Within a lifespan of your own, `async with server:` is the same.
        """
        async with self:
            yield

    # --- requests --------------------------------------------------------------------------------

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one socket, or the lifespan of an ASGI server (ASGI 3)."""
        if scope["type"] == "lifespan":
            await Router(lifespan=self.lifespan)(scope, receive, send)
            return
        self._check_loop()
        if self._closed and self._app is None:
            await _turn_away(scope, receive, send)
            return
        app = await self._started()
        await app(scope, receive, send)

    # --- what the team's code may ask ------------------------------------------------------------

    async def log_in(
        self,
        own_id: str,
        *,
        data: Mapping[str, Any] | None = None,
        device_id: str | None = None,
        rotates: bool = True,
    ) -> Tokens:
        """Open a session for a user whom your own sign-in has authenticated; the first time makes the user.

        `own_id` is the user's id in your system, 1 to 255 characters: the same user as one for whom `authenticate`
        returns this id. `data` is the user's profile, such as its email, and replaces what was there. `device_id` is
        that of an App Services client, 24 hexadecimal digits. A session that does not `rotate` keeps its one refresh
        token until its end.

        Raises:
            CredentialsRefused: the user was disabled (`code` is `UserDisabled`), or such sessions are not opened.
            InvalidConfig: this is no id.
            ServerBusy: the custom data of the user cannot be had now.
            Closed, WrongLoop: the server was closed, or was started in another event loop.
        """
        users = await self._users()
        return await users.log_in(own_id, data or {}, device_id=device_id, rotates=rotates)

    async def verify(self, token: str | Secret) -> VerifiedUser:
        """Return whose access token this is, for endpoints of your own; revoked sessions are refused at once.

        Raises:
            TokenRefused: it is no valid access token of this app; `reason` tells why. Answer with 401.
            Closed, WrongLoop: as `log_in`.
        """
        users = await self._users()
        return await users.verify(token if isinstance(token, Secret) else Secret(token))

    async def revoke_user(self, user_id: str) -> int:
        """End all sessions of a user and cut their open sockets now; returns how many sessions were active.

        A token of another issuer has no session here: its sockets are cut, too, and may be opened again with it until
        it ends: deny its subject, or disable the user.
        `user_id` is the id that `log_in` and `verify` tell, not your own. The user may log in again.
        """
        users = await self._users()
        return await users.revoke(user_id)

    async def user_id_of(self, own_id: str) -> str | None:
        """Return the id under which a user of your system is known here; None before its first login."""
        users = await self._users()
        return await users.user_id_of(own_id)

    # --- inside ----------------------------------------------------------------------------------

    async def _started(self) -> Starlette:
        """Return the application; the first caller starts it where no lifespan has."""
        if self._app is None:
            LOGGER.warning("started by a request, since no lifespan has: see SyncServer.lifespan")
            await self.start()
        if self._app is None:
            what = "the sync server was closed"
            raise Closed(what, remedy="Start it again: async with server")
        return self._app

    async def _users(self) -> TeamUsers:
        self._check_loop()
        if self._closed:
            what = "the sync server was closed"
            raise Closed(what, remedy="Start it again: async with server")
        users: TeamUsers = (await self._started()).state.team_users
        return users

    def _turn_here(self) -> asyncio.Lock:
        """Return the lock of those who start and close; after a close the next start may be in another event loop."""
        loop = asyncio.get_running_loop()
        if self._turn is None or self._turn[0] is not loop:
            self._turn = loop, asyncio.Lock()
        return self._turn[1]

    def _check_loop(self) -> None:
        if self._loop is not None and self._loop.is_closed():
            # With the loop has ended what it held: asyncio closes its asynchronous generators, the lifespan among them.
            self._app = self._held = self._loop = None
            self._closed = False
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            what = "the sync server was started in another event loop"
            remedy = "Call it in that loop, and close it there before it is started anew"
            raise WrongLoop(what, remedy=remedy)


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await refuse_upgrade(WebSocket(scope, receive, send), CLOSED)
    else:
        await answer_denied(CLOSED)(scope, receive, send)
