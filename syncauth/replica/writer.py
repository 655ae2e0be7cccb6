"""
Threads that run calls one after the other, and the app's transactions in one of them.

A `Worker` is a thread with a queue. A `Writer` runs the app's functions on a connection of its own,
each in one transaction that waits for the file's write lock first and ends with it. What waits for
the writer, called by one of these functions, would wait for ever: it is refused. This module must
never let a function end its transaction itself: half of it could not be taken back.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

import sqlite_utils

from syncauth.errors import InvalidConfig
from syncauth.replica.connections import JOURNALS_IN_MEMORY, closed
from syncauth.replica.courtesy import Courtesy
from syncauth.replica.schema import BUSY_SECONDS, storage_errors

_Result = TypeVar("_Result")

_BLOCK: Final = "_sync_block"
"""The savepoint of a `with db.conn:` block inside the work; nested ones may share the name."""

log = logging.getLogger("syncauth")

_here = threading.local()
"""`path`: the file of the writer whose thread this is."""


def refuse_in_write(path: str | None = None) -> None:
    """Raise `InvalidConfig` in the thread of the writer of a file, or of any file: it would wait for itself."""
    own = getattr(_here, "path", None)
    if own is not None and path in (own, None):
        raise InvalidConfig(
            "this verb was called by the function given to replica.write",
            setting="work",
            why="it would wait for the end of that function",
            remedy="Write to the database that the function is given, and call the verb afterwards",
        )


class Worker:
    """A thread that runs blocking calls one after the other, as they were submitted."""

    def __init__(self, name: str) -> None:
        """Start nothing before the first call."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def submit(self, call: Callable[[], _Result]) -> Future[_Result]:
        """Queue a call and return at once; raises `Closed`."""
        try:
            return self._executor.submit(call)
        except RuntimeError as error:
            raise closed() from error

    def start(self, call: Callable[[], object]) -> None:
        """Queue a call whose result nobody waits for; what it raises is logged."""

        def run() -> None:
            try:
                call()
            except Exception:
                log.exception("a call in the thread of a replica failed")

        self.submit(run)

    def close(self) -> None:
        """Run what was submitted, then end the thread and wait for it; idempotent."""
        self._executor.shutdown(wait=True)


class Writer:
    """Runs the app's transactions, one after the other."""

    def __init__(self, path: str, courtesy: Courtesy) -> None:
        """Open the connection; the thread begins with the first write."""
        self._courtesy = courtesy
        with storage_errors(path):
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, check_same_thread=False, factory=_WriterConnection
            )
            self._connection.execute(JOURNALS_IN_MEMORY).close()
        self._path = path
        self._database = sqlite_utils.Database(self._connection)
        self._worker = Worker("syncauth-writer")

    def write(
        self, work: Callable[[sqlite_utils.Database], _Result], committed: Callable[[], None]
    ) -> Future[_Result]:
        """Run `work` in one transaction and call `committed` when it is kept.

        The future has what `work` returned or raised; in the latter case nothing was kept.

        Raises:
            Closed: at once.
            InvalidConfig: at once, if the function of another write calls. What follows comes by
                the future, and nothing was kept:
            InvalidConfig: `work` tried to end the transaction itself.
            FileFull, FileInUse, StorageError: the transaction could not be begun or committed.
        """
        refuse_in_write(self._path)

        def run() -> _Result:
            _here.path = self._path  # for good: the thread does nothing but write
            with self._courtesy.call():
                result = self._in_transaction(work)
            committed()
            return result

        return self._worker.submit(run)

    def close(self) -> None:
        """Let the writes submitted before end, then close the connection; idempotent."""
        self._worker.close()
        self._connection.close()

    def _in_transaction(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        connection = self._connection
        with storage_errors(self._path):
            connection.execute("BEGIN IMMEDIATE")
        try:
            with storage_errors(
                self._path
            ):  # of the work too: the disk may fill up at any statement
                result = self._guarded(work)
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                connection.execute("ROLLBACK")
            raise
        return result

    def _guarded(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work` while SQLite refuses every statement that begins or ends a transaction."""
        guard = _Guard()
        self._connection.set_authorizer(guard)
        try:
            result = work(self._database)
        except sqlite3.DatabaseError as error:
            if guard.refused and error.sqlite_errorcode == sqlite3.SQLITE_AUTH:
                raise guard.error(guard.refused) from error
            raise
        finally:
            self._connection.set_authorizer(None)
        if not self._connection.in_transaction:
            what = "ON CONFLICT ROLLBACK or RAISE(ROLLBACK)"
            raise guard.error(what)
        return result


class _Guard:
    """Refuses BEGIN, COMMIT and ROLLBACK; savepoints are free."""

    def __init__(self) -> None:
        self.refused = ""

    def __call__(self, action: int, name: str | None, *_: str | None) -> int:
        if action != sqlite3.SQLITE_TRANSACTION:
            return sqlite3.SQLITE_OK
        self.refused = name or ""
        return sqlite3.SQLITE_DENY

    def error(self, what: str) -> InvalidConfig:
        return InvalidConfig(
            "the function given to replica.write ended its transaction",
            setting="work",
            why=f"{what} ran inside it; nothing of it was kept",
            remedy="replica.write commits when the function returns; raise to roll back",
        )


class _WriterConnection(sqlite3.Connection):
    """A connection on which a `with db.conn:` block is a part of the transaction, not its end."""

    def __enter__(self) -> Self:
        self.execute(f"SAVEPOINT {_BLOCK}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Literal[False]:
        if self.in_transaction:  # an error may have ended all of it
            if kind is not None:
                self.execute(f"ROLLBACK TO {_BLOCK}")
            self.execute(f"RELEASE {_BLOCK}")
        return False
