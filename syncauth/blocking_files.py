"""
Open files for programs without asyncio: the verbs of `syncauth.OpenReplica` and the guest's, each waited for.

Nothing is implemented here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from syncauth.blocking_user import User
from syncauth.errors import Closed
from syncauth.handles import (
    GuestReplica as AsyncGuestReplica,
    LocalFile as AsyncLocalFile,
    OpenReplica as AsyncOpenReplica,
)
from syncauth.loop_thread import LoopThread
from syncauth.models import DeadLetter, Status
from syncauth.replica.writer import refuse_in_write

if TYPE_CHECKING:
    import sqlite_utils

_Result = TypeVar("_Result")


class LocalFile:
    """A SQLite file of this device, open; see `syncauth.handles.LocalFile`."""

    def __init__(self, thread: LoopThread, file: AsyncLocalFile) -> None:
        """Made by the App alone."""
        self._thread = thread
        self._file = file

    @property
    def db(self) -> sqlite_utils.Database:
        """The file as a sqlite-utils database; each thread has a connection of its own."""
        return self._file.db

    @property
    def path(self) -> str:
        """The path of the SQLite file."""
        return self._file.path

    def write(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work` in the writer's thread, in one transaction.

        See `syncauth.handles.OpenReplica`.
        """
        refuse_in_write(self.path)
        return self._thread.call(self._file.write(work))

    def migrate(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work`, which may alter the synchronised tables; see `syncauth.handles.OpenReplica`."""
        refuse_in_write(self.path)
        return self._thread.call(self._file.migrate(work))

    def dead_letters(self) -> Sequence[DeadLetter]:
        """Return the changes that the server refused, oldest first."""
        return self._thread.call(self._file.dead_letters())

    def export(self, path: str | Path) -> int:
        """Write what the server does not have into a new SQLite file; returns how many changes that is."""
        refuse_in_write(self.path)
        return self._thread.call(self._file.export(path))


class OpenReplica(LocalFile):
    """One user's SQLite file, open and synchronised; made by `App.open_replica`."""

    def __init__(self, thread: LoopThread, replica: AsyncOpenReplica, user: User) -> None:
        """Made by the App alone."""
        super().__init__(thread, replica)
        self._replica = replica
        self.user = user

    @property
    def status(self) -> Status:
        """One frozen picture of session, connection and of what waits."""
        return self._thread.run(lambda: self._replica.status)

    def wait_uploaded(self, timeout: float | None = None) -> None:
        """Wait until every change committed before is at the server; raises `WaitTimedOut`."""
        refuse_in_write(self.path)
        self._thread.call(self._replica.wait_uploaded(timeout))

    def wait_synced(self, timeout: float | None = None) -> None:
        """Wait until this replica and the server are in step; raises `WaitTimedOut`."""
        refuse_in_write(self.path)
        self._thread.call(self._replica.wait_synced(timeout))

    def close(self) -> None:
        """Stop sync, then close the file; idempotent."""
        refuse_in_write(self.path)
        try:
            self._thread.call(self._replica.aclose())
        except Closed:
            if not self._thread.ended:  # else the App has closed it
                raise


class GuestReplica(LocalFile):
    """The file of whoever uses the app before the first login; made by `App.open_guest_replica`."""

    def __init__(self, thread: LoopThread, guest: AsyncGuestReplica) -> None:
        """Made by the App alone."""
        super().__init__(thread, guest)
        self._guest = guest

    def close(self) -> None:
        """Close the file; idempotent."""
        refuse_in_write(self.path)
        self._thread.call(self._guest.aclose())
