"""
App: the asynchronous face of syncauth, and the one place where its parts are wired together.

An App belongs to one server, one app id and one data directory, which several processes may have
open. Its constructor does no I/O; `open` (or `async with`) does. Closing is idempotent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from syncauth.announcer import Deliver
from syncauth.arguments import app_config, table_specs
from syncauth.driver import Driver, lasting
from syncauth.errors import Closed, UserRemovedError
from syncauth.handles import GuestReplica, OpenReplica
from syncauth.interfaces import IdentityProvider
from syncauth.parts import Parts, open_parts, open_replica_file
from syncauth.replica.adopting import unfinished
from syncauth.replica.files import Owner, path_of
from syncauth.replica_port import ReplicaPort
from syncauth.sansio import inputs
from syncauth.sansio.engine import Engine
from syncauth.user import User
from syncauth.user_verbs import UserVerbs

DAY_SECONDS: Final = 86_400.0


class App(UserVerbs):
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
        provider: IdentityProvider | None = None,
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
            provider: who logs in and renews tokens; the server itself, by its App Services API, if
                None. `syncauth.OAuthProvider` is another one.
            parts: stand-ins for the outside, from `syncauth.testing`.
            settings: further fields of `syncauth.config.AppConfig`.

        Raises:
            InvalidConfig: a setting is unknown, of the wrong type or out of its range.
            InsecureServer: plain http to another machine.
        """
        super().__init__(app_config(url, app_id, data_dir, settings), deliver)
        self._provider = provider
        self._given_parts = parts
        self._unwatch: Callable[[], None] | None = None
        self._opening = False
        self._closing: asyncio.Task[None] | None = None

    # --- opening and closing ---------------------------------------------------------------------

    async def open(self) -> Self:
        """Take the data directory, read the users, and take up what the last run left.

        Raises:
            FileInUse: another process does not finish opening the data directory.
            StorageError: a file or the keyring cannot be used; nothing was changed.
        """
        if self._closing is not None or self._opening:
            what = "this App was opened before"
            raise Closed(what, remedy="Make a new App")
        self._opening = True
        parts = await open_parts(self.config, self._given_parts, self._provider)
        if self._closing is not None:  # meanwhile
            await parts.aclose()
            self._opened()
        self._parts = parts
        try:
            self._start(self._parts)
            await self._user_files.delete_removed()
        except BaseException:
            await self.aclose()
            raise
        return self

    def _start(self, parts: Parts) -> None:
        driver = Driver(
            engine=Engine(
                repeat_safe=parts.provider.repeat_safe,
                warn_before=self.config.session_expiring_days * DAY_SECONDS,
            ),
            clock=parts.clock,
            randomness=parts.randomness,
            store=parts.store,
            locks=parts.locks,
            provider=parts.provider,
            transport=parts.transport,
            publish=self._publish,
            hook=self._call_hooks,
        )
        self._driver = driver
        users = tuple(parts.store.load())
        driver.step(inputs.Started(users, bool(parts.store.waiting_revocations())))
        if self._hooks:
            driver.step(inputs.HookRegistered())
        driver.spawn(driver.run())
        driver.spawn(self._announcer.run())
        self._loop = loop = asyncio.get_running_loop()

        def notice() -> None:
            loop.call_soon_threadsafe(driver.store_noticed)

        self._unwatch = parts.watch_store(notice)

    async def aclose(self) -> None:
        """Stop sync, close every replica and give the data directory back; idempotent.

        It goes on if whoever waits for it is cancelled, and every later call waits for its end.
        """
        if self._closing is None:
            self._closed = True
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
            if self._guest is not None:
                steps.push_async_callback(self._guest.aclose)
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

    # --- signs from the app ------------------------------------------------------------------------

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
            self._known(user)  # or the user removed
        except BaseException as error:
            await replica.close_file()
            if isinstance(error, UserRemovedError):
                await self._user_files.discard_new(user.id)
            raise
        driver.attach(user.id, port)
        self._replicas[user.id] = replica
        driver.step(inputs.ReplicaOpened(user.id, state))  # at once, so that `status` knows it
        written = inputs.ReplicaWritten(user.id)

        def wake() -> None:
            loop.call_soon_threadsafe(driver.post, written)

        opened.watch(wake)
        try:
            await self._finish_adoption(user)
        except BaseException:
            await replica.aclose()
            raise
        return replica

    async def _finish_adoption(self, user: User) -> None:
        """Take up an adoption of the guest's rows that was cut off."""
        guest = path_of(self.config.data_dir, Owner(self.config.base_url, self.config.app_id, None))
        if await asyncio.to_thread(unfinished, guest) == user.id:
            await user.adopt()

    async def open_guest_replica(
        self,
        *,
        tables: Iterable[str],
        counters: Mapping[str, Iterable[str]] | None = None,
        keys: Mapping[str, str] | None = None,
        local_triggers: Iterable[str] = (),
        create: str = "",
    ) -> GuestReplica:
        """Open the file for rows that are written before the first login ever.

        Nothing of it is sent, until a user who has logged in takes it over by `User.adopt`. The
        arguments are those of `open_replica`.

        Raises:
            FileNotOurs: a user has taken it over already.
            TableNotTrackable, FileInUse, FileTooNew, FileCorrupt, FileFull, InvalidConfig: as in
                `open_replica`.
        """
        specs = table_specs(tables, counters, keys, local_triggers, create)
        opened = await open_replica_file(self.config, self._opened(), None, specs, create)
        self._guest = GuestReplica(opened)
        return self._guest

    async def close_replica(self, replica: OpenReplica) -> None:
        """Stop the sync of a replica and close its file; `OpenReplica.aclose` calls this."""
        user = replica.user.id
        if self._replicas.pop(user, None) is None:
            return
        await self.driver.ask(lambda request: inputs.ReplicaClosing(request, user))
        self.driver.detach(user)
        await replica.close_file()

    def _hook_registered(self) -> None:
        if self._driver is not None:
            self._driver.post(inputs.HookRegistered())
