"""
App: the asynchronous face of syncauth, and the one place where its parts are wired together.

An App belongs to one server, one app id and one data directory, which several processes may have
open. Its constructor does no I/O; `open` (or `async with`) does. Closing is idempotent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from syncauth.announcer import Announcer, Deliver, EventStream
from syncauth.arguments import app_config, table_specs
from syncauth.driver import Driver, lasting
from syncauth.errors import Closed, InvalidConfig, NotLoggedInError, NotSupported
from syncauth.events import ChangeRejected, ReloginRequired, SyncErrorRaised
from syncauth.handles import OpenReplica, User
from syncauth.models import Credentials, Profile, SessionState, Status
from syncauth.parts import Parts, open_parts, open_replica_file
from syncauth.replica_port import ReplicaPort
from syncauth.sansio import inputs
from syncauth.sansio.accounts import Account
from syncauth.sansio.engine import Engine

log = logging.getLogger("syncauth")

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class App:
    """The face for programs that run on asyncio.

    `syncauth.blocking.App` is the one for all others.
    """

    def __init__(
        self,
        url: str,
        *,
        app_id: str,
        data_dir: str | Path,
        deliver: Deliver | None = None,
        parts: Parts | None = None,
        **settings: Any,
    ) -> None:
        """Check the settings and touch nothing.

        Args:
            url: the server, https, or http to loopback.
            app_id: the id of the app at the server.
            data_dir: a directory of this app on this device; made if it is not there.
            deliver: takes a callable and runs it where plain handlers belong, such as the GUI
                thread.
            parts: stand-ins for the outside, from `syncauth.testing`.
            settings: further fields of `syncauth.config.AppConfig`.

        Raises:
            InvalidConfig: a setting is unknown, of the wrong type or out of its range.
            InsecureServer: plain http to another machine.
        """
        self.config = app_config(url, app_id, data_dir, settings)
        self._announcer = Announcer(deliver)
        self._given_parts = parts
        self._parts: Parts | None = None
        self._driver: Driver | None = None
        self._users: dict[str, User] = {}
        self._replicas: dict[str, OpenReplica] = {}
        self._hooks: list[Callable[[ReloginRequired], Any]] = []
        self._unwatch: Callable[[], None] | None = None
        self._closing: asyncio.Task[None] | None = None

    # --- opening and closing ---------------------------------------------------------------------

    async def open(self) -> Self:
        """Take the data directory, read the users, and take up what the last run left.

        Raises:
            FileInUse: another process does not finish opening the data directory.
            StorageError: a file or the keyring cannot be used; nothing was changed.
        """
        if self._closing is not None or self._parts is not None:
            what = "this App was opened before"
            raise Closed(what, remedy="Make a new App")
        self._parts = await open_parts(self.config, self._given_parts)
        try:
            self._start(self._parts)
        except BaseException:
            await self.aclose()
            raise
        return self

    def _start(self, parts: Parts) -> None:
        driver = Driver(
            engine=Engine(),
            clock=parts.clock,
            randomness=parts.randomness,
            store=parts.store,
            locks=parts.locks,
            provider=parts.provider,
            transport=parts.transport,
            publish=self._announcer.publish,
            hook=self._call_hooks,
        )
        self._driver = driver
        users = tuple(parts.store.load())
        driver.step(inputs.Started(users, bool(parts.store.waiting_revocations())))
        if self._hooks:
            driver.step(inputs.HookRegistered())
        driver.spawn(driver.run())
        driver.spawn(self._announcer.run())
        loop = asyncio.get_running_loop()

        def notice() -> None:
            loop.call_soon_threadsafe(driver.store_noticed)

        self._unwatch = parts.watch_store(notice)

    async def aclose(self) -> None:
        """Stop sync, close every replica and give the data directory back; idempotent.

        It goes on if whoever waits for it is cancelled, and every later call waits for its end.
        """
        if self._closing is None:
            self._closing = lasting(self._close(asyncio.current_task()))
        await asyncio.shield(self._closing)

    async def _close(self, caller: asyncio.Task[Any] | None) -> None:
        async with contextlib.AsyncExitStack() as steps:  # each of them, whatever another raises
            if self._parts is not None:
                steps.push_async_callback(self._parts.aclose)
            steps.callback(self._announcer.close)
            if self._driver is not None:
                steps.push_async_callback(self._driver.aclose, spare=caller)
            if self._unwatch is not None:
                steps.push_async_callback(asyncio.to_thread, self._unwatch)
            for replica in tuple(self._replicas.values()):
                steps.push_async_callback(replica.aclose)

    async def __aenter__(self) -> Self:
        """Open the App."""
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the App."""
        await self.aclose()

    # --- users -----------------------------------------------------------------------------------

    async def register(self, email: str, password: str) -> None:
        """Make an account at the server; log in afterwards.

        Raises:
            AccountNameInUse: the email address has an account already.
            CredentialsRefused: the server does not take this address or password.
            UnreachableError: try again later.
            NotSupported: the identity provider of this App makes no accounts.
        """
        accounts = self._opened().accounts
        if accounts is None:
            what = "accounts cannot be made here"
            raise NotSupported(what, remedy="Make the account where the identity provider does it")
        await accounts.register(email, password)

    async def log_in(self, credentials: Credentials) -> User:
        """Log a user in and make it the current one; what it wrote before is replayed by itself.

        Raises:
            CredentialsRefused: the person must check what was typed; wrong and unknown look alike.
            UnreachableError: no server; users who were logged in before go on working offline.
            ProtocolError: this is not an App Services compatible server.
            StorageError: the login could not be kept; nothing has changed.
            Closed: the App was closed meanwhile. A login that is cancelled comes to nothing.
        """
        self._opened()
        if not isinstance(credentials, Credentials):
            remedy = "Make them by Credentials.email_password and the like"
            raise InvalidConfig("these are no credentials", setting="credentials", remedy=remedy)
        user_id = await self.driver.ask(lambda request: inputs.LogInRequested(request, credentials))
        return self._user(str(user_id))

    @property
    def current_user(self) -> User | None:
        """The user who logged in last and did not log out; known offline and after a restart."""
        for account in self.driver.engine.accounts():
            if account.current and self.session_of(account.user_id) is not SessionState.LOGGED_OUT:
                return self._user(account.user_id)
        return None

    async def log_out(self, user: User | None = None, *, forget: bool = False) -> None:
        """Erase the user's tokens, with or without a network; its rows and unsent changes stay.

        Args:
            user: who is to be logged out; the current user if None.
            forget: do not keep the refresh token to be revoked later: it stays valid at the server.

        Raises:
            NotLoggedInError: nobody is logged in, or the user is not one of this App.
            StorageError: the logout could not be made durable; nothing has changed.
        """
        leaving = self._known(user) if user is not None else self.current_user
        if leaving is None:
            what = "nobody is logged in"
            raise NotLoggedInError(what)
        await self.driver.ask(
            lambda request: inputs.LogOutRequested(request, leaving.id, forget=forget)
        )

    def request_relogin(self, user: User | None = None) -> None:
        """Call `on_relogin_required` again, if a relogin is required."""
        wanted = self._known(user) if user is not None else self.current_user
        if wanted is not None:
            self.driver.post(inputs.ReloginAsked(wanted.id))

    def network_changed(self) -> None:
        """Say that the network may be back: what waits for it is tried at once."""
        self.driver.post(inputs.NetworkChanged())

    # --- replicas --------------------------------------------------------------------------------

    async def open_replica(
        self,
        user: User,
        *,
        tables: Iterable[str],
        counters: Mapping[str, Iterable[str]] | None = None,
        keys: Mapping[str, str] | None = None,
        local_triggers: Iterable[str] = (),
        create: str = "",
    ) -> OpenReplica:
        """Open the user's SQLite file and synchronise these tables while there is a session.

        Args:
            user: whose file; it can be opened in every state of the session, also offline.
            tables: the tables to synchronise; they must be there, or be made by `create`.
            counters: per table the integer columns whose changes add up instead of overwriting.
            keys: `{"table": "assigned by the app"}` for integer keys that devices do not choose
                alike.
            local_triggers: tables whose own triggers write only to tables that are not
                synchronised.
            create: SQL to be run first, such as `CREATE TABLE IF NOT EXISTS …`.

        Raises:
            TableNotTrackable: a table cannot be synchronised in its shape; nothing was changed.
            FileInUse, FileNotOurs, FileTooNew, FileCorrupt, FileFull: the file cannot be used as it
                is.
            NotLoggedInError: the user is not one of this App.
            InvalidConfig: an argument cannot be used.
        """
        specs = table_specs(tables, counters, keys, local_triggers, create)
        parts, name = self._opened(), self._known(user).id
        opened = await open_replica_file(self.config, parts, name, specs, create)
        loop, driver = asyncio.get_running_loop(), self.driver
        port = ReplicaPort(opened.replica, opened.worker, loop)
        replica = OpenReplica(self, user, opened, port)
        try:
            state = await port.state()
            self._opened()  # it may have been closed meanwhile
        except BaseException:
            await replica.close_file()
            raise
        driver.attach(user.id, port)
        self._replicas[user.id] = replica
        driver.step(inputs.ReplicaOpened(user.id, state))  # at once, so that `status` knows it
        written = inputs.ReplicaWritten(user.id)

        def wake() -> None:
            loop.call_soon_threadsafe(driver.post, written)

        opened.watch(wake)
        return replica

    async def close_replica(self, replica: OpenReplica) -> None:
        """Stop the sync of a replica and close its file; `OpenReplica.aclose` calls this."""
        user = replica.user.id
        if self._replicas.pop(user, None) is None:
            return
        await self.driver.ask(lambda request: inputs.ReplicaClosing(request, user))
        self.driver.detach(user)
        await replica.close_file()

    # --- being told ------------------------------------------------------------------------------

    def events(self) -> EventStream:
        """Yield every event published from this call on, in order, until the App closes."""
        return self._announcer.stream()

    def on_relogin_required(self, handler: _Handler) -> _Handler:
        """Call this handler when a session has ended and sync has stopped.

        See `ReloginRequired`.
        """
        self._hooks.append(handler)
        if self._driver is not None:
            self._driver.post(inputs.HookRegistered())
        return handler

    def on_change_rejected(self, handler: _Handler) -> _Handler:
        """Call this handler with a `ChangeRejected` for every change that the server refused."""
        self._announcer.on(ChangeRejected, handler)
        return handler

    def on_sync_error(self, handler: _Handler) -> _Handler:
        """Call this handler with a `SyncErrorRaised` for every error that is worth showing."""
        self._announcer.on(SyncErrorRaised, handler)
        return handler

    async def _call_hooks(self, event: ReloginRequired) -> None:
        for hook in tuple(self._hooks):
            try:
                await self._announcer.call(hook, event)
            except Exception:  # the app's own: it must not keep the other handlers from being told
                log.exception("a handler for on_relogin_required failed")

    # --- for users and replicas ------------------------------------------------------------------

    @property
    def driver(self) -> Driver:
        """The driver of the App, which answers to nobody once it is closed; raises `Closed`."""
        if self._driver is None:
            self._opened()
            raise AssertionError
        return self._driver

    def session_of(self, user_id: str) -> SessionState:
        """Return where a user's session stands."""
        return self.driver.engine.session(user_id)

    def status_of(self, user_id: str) -> Status:
        """Return a frozen picture of a user's session and sync."""
        return self.driver.engine.status(user_id)

    def profile_of(self, user_id: str) -> Profile:
        """Return what the server told of a user at its last login."""
        return next(each.profile for each in self._accounts() if each.user_id == user_id)

    def _accounts(self) -> tuple[Account, ...]:
        return self.driver.engine.accounts()

    def _user(self, user_id: str) -> User:
        return self._users.setdefault(user_id, User(self, user_id))

    def _known(self, user: User) -> User:
        """Return a user of this App; raises `NotLoggedInError`."""
        if self._users.get(getattr(user, "id", "")) is not user:
            what, why = "this user is not one of this App", "another App, or another run, has it"
            raise NotLoggedInError(what, why=why, remedy="Use what log_in or current_user returned")
        return user

    def _opened(self) -> Parts:
        if self._closing is not None:
            what = "this App was closed"
            raise Closed(what, remedy="Make a new App")
        if self._parts is None:
            what = "this App is not open"
            raise Closed(what, remedy="Use `async with app:` or `await app.open()`")
        return self._parts
