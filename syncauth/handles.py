"""
Open files, as an app holds them: a user's, synchronised while there is a session, and the guest's.

They decide nothing: they ask the driver and the file.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypeVar

from syncauth.driver import to_its_end
from syncauth.errors import Closed, WaitTimedOut
from syncauth.events import Event, Uploaded
from syncauth.models import DeadLetter, Status
from syncauth.sansio import inputs

if TYPE_CHECKING:
    import sqlite_utils

    from syncauth.app import App
    from syncauth.replica.adopting import Counts
    from syncauth.replica.files import Owner
    from syncauth.replica.opened import Hold, OpenedFile
    from syncauth.replica_port import ReplicaPort
    from syncauth.user import User

_Result = TypeVar("_Result")


class LocalFile:
    """A SQLite file of this device, open; the verbs that need no server."""

    def __init__(self, opened: OpenedFile) -> None:
        """Made by the App alone."""
        self._opened = opened

    @property
    def db(self) -> sqlite_utils.Database:
        """The file as a sqlite-utils database, for quick calls; each thread has its own connection.

        Any other connection, library or process may write to the file as well; `path` tells where
        it is.
        """
        self._check_open()
        return self._opened.db

    @property
    def path(self) -> str:
        """The path of the SQLite file."""
        return self._opened.path

    async def write(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work` in the writer's thread, in one transaction on a connection of its own.

        Returns what `work` returns; if it raises, the transaction is rolled back and the error
        raised here.
        """
        self._check_open()
        return await asyncio.wrap_future(self._opened.write(work))

    async def migrate(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work`, which may alter or rebuild the synchronised tables, in one transaction as `write` does.

        The capture is taken off while it runs, and every row that differs afterwards is recorded as a change. So a
        column can be dropped and a table rebuilt without a comparison with the server. Returns what `work` returns.

        Raises:
            TableNotTrackable: a synchronised table is gone or has another key; nothing was changed.
        """
        self._check_open()
        return await asyncio.wrap_future(self._opened.migrate(work))

    async def dead_letters(self) -> Sequence[DeadLetter]:
        """Return the changes that the server refused, oldest first."""
        self._check_open()
        return await asyncio.wrap_future(self._opened.dead_letters())

    async def export(self, path: str | Path) -> int:
        """Write what the server does not have into a new SQLite file, and return how many changes that is.

        Any program can read it; its tables are described in `docs/reference/export.md`.

        Raises:
            StorageError: there is such a file, or it cannot be made.
            FileFull, FileCorrupt: it could not be written.
        """
        self._check_open()
        return await asyncio.wrap_future(self._opened.export(path))

    def _check_open(self) -> None:
        """Raise `Closed` if the file is closed."""
        raise AssertionError


class OpenReplica(LocalFile):
    """One user's SQLite file, open and synchronised; made by `App.open_replica`."""

    def __init__(self, app: App, user: User, opened: OpenedFile, port: ReplicaPort) -> None:
        """Made by the App alone."""
        self._app = app
        super().__init__(opened)
        self._port = port
        self._closing: asyncio.Task[None] | None = None
        self._waits: set[asyncio.Timeout] = set()
        self.user = user

    @property
    def status(self) -> Status:
        """One frozen picture of session, connection and of what waits."""
        self._check_open()
        return replace(self._app.status_of(self.user.id), watching=self._opened.watching)

    async def wait_uploaded(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - a documented verb
        """Wait until every change committed before this call is at the server, or refused by it.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes, even for a relogin.

        Raises:
            WaitTimedOut: there are still changes waiting; they are kept and sent later.
            Closed: the replica was closed, before or meanwhile.
        """
        self._check_open()
        if not await self._nothing_waits():  # whatever the limit, what is done is done
            await self._within(timeout, self._uploaded, "changes are still waiting")

    async def wait_synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - a documented verb
        """Wait until everything here is at the server, and everything it had by then is here.

        Args:
            timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
            WaitTimedOut: it did not happen in time.
            Closed: the replica was closed, before or meanwhile.
        """
        await self._within(timeout, self._synced, "the replica is not in step with the server")

    async def adopt(self, data_dir: PurePath, guest: Owner, hold: Hold) -> Mapping[str, Counts]:
        """Take over the guest's rows; `User.adopt` calls this."""
        self._check_open()
        return await asyncio.wrap_future(self._opened.adopt(data_dir, guest, hold))

    async def aclose(self) -> None:
        """Stop sync, then close the file; idempotent.

        It goes on if whoever waits for it is cancelled, and every later call waits for its end.
        What waits for a condition of this replica ends with `Closed`.
        """
        if self._closing is None:
            self._closing = self._app.driver.spawn(self._close())
            for wait in self._waits:
                if not wait.expired():
                    wait.reschedule(0)
        await asyncio.shield(self._closing)

    async def close_file(self) -> None:
        """Close the file, of whose sync nothing runs any more; `App.close_replica` calls this."""
        await asyncio.to_thread(self._opened.close)

    async def _close(self) -> None:
        """Stop sync as it is due, or else at once: if the App closes, nothing is left to stop."""
        try:
            with contextlib.suppress(asyncio.CancelledError, Closed):
                await self._app.close_replica(self)
        finally:
            await to_its_end(self.close_file())

    async def _uploaded(self) -> None:
        user = self.user.id
        # Before the look, so that nothing goes by between the two.
        async with contextlib.aclosing(self._app.events()) as stream:
            while not await self._nothing_waits():
                self._app.driver.post(inputs.ReplicaWritten(user))
                await _next(stream, user)

    async def _nothing_waits(self) -> bool:
        state = await self._port.state()
        return not state.pending and not state.in_flight_changes

    async def _synced(self) -> None:
        await self._uploaded()
        user = self.user.id
        await self._app.driver.ask(lambda request: inputs.SyncWanted(request, user))

    async def _within(
        self, limit: float | None, waiting: Callable[[], Awaitable[None]], what: str
    ) -> None:
        """Wait until it is done, the limit is reached or the replica closes."""
        self._check_open()
        try:
            async with asyncio.timeout(limit) as wait:
                self._waits.add(wait)
                try:
                    await waiting()
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            status = self.status  # raises `Closed` if it was the closing
            why = f"session {status.session.value}, connection {status.connection.value}"
            raise WaitTimedOut(what, waited=limit or 0.0, why=why) from None

    def _check_open(self) -> None:
        if self._closing is not None:
            what = "this replica is closed"
            raise Closed(what, remedy="Open it again with App.open_replica")


class GuestReplica(LocalFile):
    """The SQLite file of whoever uses the app before the first login; made by `App.open_guest_replica`.

    Nothing of it is sent. `User.adopt` makes its rows those of a user, once and for all.
    """

    def __init__(self, opened: OpenedFile) -> None:
        """Made by the App alone."""
        super().__init__(opened)
        self._closed = False

    async def aclose(self) -> None:
        """Close the file; idempotent."""
        self._closed = True
        await to_its_end(asyncio.to_thread(self._opened.close))

    def _check_open(self) -> None:
        if self._closed:
            what = "this replica is closed"
            raise Closed(what, remedy="Open it again with App.open_guest_replica")


async def _next(stream: AsyncIterator[Event], user: str) -> None:
    """Wait for the user's next `Uploaded`, or for the end of the stream."""
    async for event in stream:
        if isinstance(event, Uploaded) and event.user_id == user:
            return
    what = "the App was closed"
    raise Closed(what)
