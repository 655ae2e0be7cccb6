"""
The app's own connections to its file: one for each thread, each telling when it has committed.

Python 3.11's sqlite3 has no commit hook, so a connection looks after each of its calls whether a
transaction has ended or rows have changed. Each call holds the connection's lock, so that `close`,
from whatever thread, waits for the call that runs and never takes the connection away under it.
This module must never change what a statement does.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, ParamSpec, Self, TypeVar

import sqlite_utils

from syncauth.errors import Closed
from syncauth.replica.schema import BUSY_SECONDS

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def closed() -> Closed:
    """Return the error for every use of a file that was closed."""
    return Closed("this replica is closed", remedy="Open it again with App.open_replica")


class AppCursor(sqlite3.Cursor):
    """A cursor whose every call is one call of its `AppConnection`."""

    connection: AppConnection

    def execute(self, *arguments: Any) -> Self:
        """As `sqlite3.Cursor.execute`."""
        return self.connection.run(super().execute, *arguments)

    def executemany(self, *arguments: Any) -> Self:
        """As `sqlite3.Cursor.executemany`."""
        return self.connection.run(super().executemany, *arguments)

    def executescript(self, *arguments: Any) -> sqlite3.Cursor:
        """As `sqlite3.Cursor.executescript`."""
        return self.connection.run(super().executescript, *arguments)

    def fetchone(self) -> Any:
        """As `sqlite3.Cursor.fetchone`."""
        with self.connection.lock:
            return super().fetchone()

    def fetchmany(self, *arguments: Any, **named: Any) -> list[Any]:
        """As `sqlite3.Cursor.fetchmany`."""
        with self.connection.lock:
            return super().fetchmany(*arguments, **named)

    def fetchall(self) -> list[Any]:
        """As `sqlite3.Cursor.fetchall`."""
        with self.connection.lock:
            return super().fetchall()

    def __next__(self) -> Any:
        """As `sqlite3.Cursor.__next__`."""
        with self.connection.lock:
            return super().__next__()


class AppConnection(sqlite3.Connection):
    """An ordinary connection that tells after each call that may have committed something."""

    def __init__(self, path: str, *, committed: Callable[[], None]) -> None:
        """Open the file; `committed` must not block."""
        super().__init__(path, timeout=BUSY_SECONDS, check_same_thread=False)
        self.lock = threading.RLock()
        self._committed = committed
        self._closed = False
        self._changes = 0
        self._was_in_transaction = False

    def run(
        self,
        call: Callable[_Arguments, _Result],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Make one call on this connection; raises `Closed` if the replica was closed."""
        with self.lock:
            if self._closed:
                raise closed()
            try:
                return call(*arguments, **named)
            finally:
                self._look()

    def _look(self) -> None:
        """Tell if a transaction has ended, or rows have changed outside one."""
        if self._closed:
            return
        if self.in_transaction:
            self._was_in_transaction = True
            return
        changes = self.total_changes
        if self._was_in_transaction or changes != self._changes:
            self._was_in_transaction = False
            self._changes = changes
            self._committed()

    def cursor(self, factory: Any = AppCursor) -> Any:
        """As `sqlite3.Connection.cursor`; every other method that runs SQL comes by here."""
        if self._closed:
            raise closed()
        return super().cursor(factory)

    def commit(self) -> None:
        """As `sqlite3.Connection.commit`."""
        self.run(super().commit)

    def rollback(self) -> None:
        """As `sqlite3.Connection.rollback`."""
        self.run(super().rollback)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        """As `sqlite3.Connection.__exit__`: commit, or roll back after an exception."""
        self.run(super().__exit__, kind, error, trace)
        return False

    def close(self) -> None:
        """Close it, after the call that runs; an open transaction is rolled back."""
        with self.lock:
            self._closed = True
            super().close()


class AppConnections:
    """One `sqlite_utils.Database` for each thread that asks; a thread's end closes its own."""

    def __init__(self, path: str, committed: Callable[[], None]) -> None:
        """Open nothing yet."""
        self._connect = functools.partial(AppConnection, path, committed=committed)
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._open: weakref.WeakSet[AppConnection] = weakref.WeakSet()
        self._closed = False

    def database(self) -> sqlite_utils.Database:
        """Return the calling thread's database; raises `Closed`."""
        found: sqlite_utils.Database | None = getattr(self._of_thread, "database", None)
        if found is None or self._closed:
            found = self._of_thread.database = self._make()
        return found

    def _make(self) -> sqlite_utils.Database:
        with self._lock:
            if self._closed:
                raise closed()
            connection = self._connect()
            self._open.add(connection)
        return sqlite_utils.Database(connection)

    def close(self) -> None:
        """Close every connection, those first that are not in the middle of a call; idempotent.

        A call that runs may wait for a lock that an idle connection's open transaction holds.
        """
        with self._lock:
            self._closed = True
            waiting = list(self._open)
            self._open.clear()
        for wait in (False, True):
            for connection in tuple(waiting):
                if connection.lock.acquire(blocking=wait):
                    try:
                        connection.close()
                    finally:
                        connection.lock.release()
                    waiting.remove(connection)
