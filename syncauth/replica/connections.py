"""
The app's own connections to its file: one for each thread, each telling when it has committed.

Python 3.11's sqlite3 has no commit hook, so a connection looks after each of its calls whether a
transaction has ended or rows have changed. Each call holds the connection's lock, so that `close`,
from whatever thread, waits for the call that runs and never takes the connection away under it:
sqlite3 lets other threads run in the middle of closing, and what they touch then is memory already
freed, be it no more than `in_transaction`. This module must never change what a statement does.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Literal, ParamSpec, Self, TypeVar

import sqlite_utils

from syncauth.errors import Closed
from syncauth.replica.courtesy import Courtesy
from syncauth.replica.schema import BUSY_SECONDS

_execute = sqlite3.Cursor.execute  # called for every row or statement, where `super()` would cost
_executemany = sqlite3.Cursor.executemany
_executescript = sqlite3.Cursor.executescript
_fetchone = sqlite3.Cursor.fetchone
_fetchmany = sqlite3.Cursor.fetchmany
_fetchall = sqlite3.Cursor.fetchall
_next = sqlite3.Cursor.__next__

JOURNALS_IN_MEMORY: Final = "PRAGMA temp_store = MEMORY"
"""Keeps the journal of each statement in memory, by which SQLite undoes it alone.

A statement that fires triggers has one. At 64 kB it moves to a file and stays there until the
transaction ends; each row of a large import then costs eight writes to that file: half the time.
"""

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def closed() -> Closed:
    """Return the error for every use of a file that was closed."""
    return Closed("this replica is closed", remedy="Open it again with App.open_replica")


class ReadingCursor(sqlite3.Cursor):
    """A cursor whose every statement is one call of its `AppConnection`.

    The rows of a SELECT come without the lock: its statement keeps SQLite's memory until it ends,
    and only the end of a writing statement asks the connection for more.
    """

    connection: AppConnection

    def execute(self, *arguments: Any) -> Self:
        """As `sqlite3.Cursor.execute`."""
        self.connection.run(_execute, self, *arguments)
        return self

    def executemany(self, *arguments: Any) -> Self:
        """As `sqlite3.Cursor.executemany`."""
        self.connection.run(_executemany, self, *arguments)
        return self

    def executescript(self, *arguments: Any) -> sqlite3.Cursor:
        """As `sqlite3.Cursor.executescript`."""
        self.connection.run(_executescript, self, *arguments)
        return self


class AppCursor(ReadingCursor):
    """A cursor whose every call, also for a row, is one call of its `AppConnection`."""

    def fetchone(self) -> Any:
        """As `sqlite3.Cursor.fetchone`."""
        with self.connection.lock:
            return _fetchone(self)

    def fetchmany(self, *arguments: Any, **named: Any) -> list[Any]:
        """As `sqlite3.Cursor.fetchmany`."""
        with self.connection.lock:
            return _fetchmany(self, *arguments, **named)

    def fetchall(self) -> list[Any]:
        """As `sqlite3.Cursor.fetchall`."""
        with self.connection.lock:
            return _fetchall(self)

    def __next__(self) -> Any:
        """As `sqlite3.Cursor.__next__`."""
        with self.connection.lock:
            return _next(self)


class AppConnection(sqlite3.Connection):
    """An ordinary connection that tells after each call that may have committed something."""

    def __init__(self, path: str, *, committed: Callable[[], None], courtesy: Courtesy) -> None:
        """Open the file; `committed` must not block."""
        super().__init__(path, timeout=BUSY_SECONDS, check_same_thread=False)
        self.lock = threading.RLock()
        self._committed = committed
        self._courtesy = courtesy
        self._closed = False
        self._changes = 0
        self._was_in_transaction = False
        self.execute(JOURNALS_IN_MEMORY).close()

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
                with self._courtesy.call():
                    return call(*arguments, **named)
            finally:
                self._look()

    @property
    def in_transaction(self) -> bool:
        """As `sqlite3.Connection.in_transaction`; False once it is closed."""
        with self.lock:
            return not self._closed and super().in_transaction

    @property
    def total_changes(self) -> int:
        """As `sqlite3.Connection.total_changes`."""
        return self.run(lambda: super(AppConnection, self).total_changes)

    def _look(self) -> None:
        """Tell if a transaction has ended, or rows have changed outside one."""
        if self._closed:
            return
        if super().in_transaction:
            self._was_in_transaction = True
            return
        changes = super().total_changes
        if self._was_in_transaction or changes != self._changes:
            self._was_in_transaction = False
            self._changes = changes
            self._committed()

    def cursor(self, factory: Any = AppCursor) -> Any:
        """As `sqlite3.Connection.cursor`."""
        return self.run(super().cursor, factory)

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """As `sqlite3.Connection.execute`, which would make a cursor of its own kind."""
        kind = ReadingCursor if sql[:6].upper() == "SELECT" else AppCursor
        return kind(self).execute(sql, *arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        """As `sqlite3.Connection.executemany`."""
        return AppCursor(self).executemany(*arguments)

    def executescript(self, *arguments: Any) -> sqlite3.Cursor:
        """As `sqlite3.Connection.executescript`."""
        return AppCursor(self).executescript(*arguments)

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
        """Close it, after the call that runs; an open transaction is rolled back.

        SQLite itself would keep it, and its lock, for as long as a statement in it is half read.
        """
        with self.lock:
            if not self._closed and super().in_transaction:
                super().rollback()
            self._closed = True
            super().close()


def _guarded(name: str) -> Callable[..., Any]:
    """Return the method of `sqlite3.Connection` as one call of an `AppConnection`."""
    plain = getattr(sqlite3.Connection, name)

    @functools.wraps(plain)
    def method(self: AppConnection, *arguments: Any, **named: Any) -> Any:
        return self.run(functools.partial(plain, self, *arguments, **named))

    return method


for _name in (
    "backup",
    "blobopen",
    "create_aggregate",
    "create_collation",
    "create_function",
    "create_window_function",
    "deserialize",
    "enable_load_extension",
    "getlimit",
    "load_extension",
    "serialize",
    "set_authorizer",
    "set_progress_handler",
    "set_trace_callback",
    "setlimit",
):
    if hasattr(sqlite3.Connection, _name):  # a build of Python may lack some
        setattr(AppConnection, _name, _guarded(_name))


class AppConnections:
    """One `sqlite_utils.Database` for each thread that asks; a thread's end closes its own."""

    def __init__(self, path: str, committed: Callable[[], None], courtesy: Courtesy) -> None:
        """Open nothing yet."""
        self._connect = functools.partial(
            AppConnection, path, committed=committed, courtesy=courtesy
        )
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
