"""
One user's file, open: the app's connections, its writer, our replica in its thread, and the waking.

`open_file` puts it together and blocks; the rest may be used from any thread. What may have
happened to the file is only a notice, from the app's connections or from the watched directory;
`PRAGMA data_version`, read on the replica's own connection in its own thread, tells whether anybody
else has committed, and so our own commits wake nobody. This module must never look at a row.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol, TypeVar

import sqlite_utils

from syncauth.models import DeadLetter, TableSpec
from syncauth.replica import adopting, files, migrating, schema
from syncauth.replica.adopting import Counts
from syncauth.replica.connections import AppConnections
from syncauth.replica.courtesy import Courtesy
from syncauth.replica.files import Owner
from syncauth.replica.replica import FileReplica
from syncauth.replica.writer import Worker, Writer

_Result = TypeVar("_Result")


class Lock(Protocol):
    """A lock that is held until it is released or the process ends."""

    def release(self) -> None:
        """Give it back; idempotent."""
        ...


class Watcher(Protocol):
    """What gives notices of a directory until it is closed."""

    @property
    def kind(self) -> str:
        """How: "events" or "polling"."""
        ...

    def close(self) -> None:
        """Give no notice any more; idempotent."""
        ...


Hold = Callable[[str], Lock]
"""Takes the lock of the file at a path without waiting; raises `FileInUse`, `StorageError`."""

Watch = Callable[[str, str, Callable[[], None]], Watcher]
"""Watches the files of a directory that begin with a prefix, and gives notices from any thread."""


def open_file(
    data_dir: str | os.PathLike[str],
    owner: Owner,
    *,
    tables: Sequence[TableSpec],
    create: str,
    device: str,
    incarnation: str,
    hold: Hold,
    watch: Watch,
    clock: Callable[[], float],
) -> OpenedFile:
    """Open the owner's file in the data directory, and make it if it is not there; blocks.

    Args:
        data_dir: the data directory of the App.
        owner: the server, the app, and the user or the guest.
        tables: the tables to synchronise.
        create: SQL of the app that is run first, in one transaction.
        device: a random device id of 16 hexadecimal digits, used if the file has none.
        incarnation: a random id, used if the file has none.
        hold: how to lock the file (`adapters.locks.hold_file`).
        watch: how to watch its directory (`adapters.watching.Watcher`).
        clock: tells monotonic seconds.

    Raises:
        FileInUse: another App or process has it open.
        FileNotOurs, FileTooNew: it belongs to somebody else or a newer version; it was not touched.
        InvalidConfig: `create` cannot be run; nothing of it was kept.
        TableNotTrackable: a table cannot be synchronised; nothing of the app's was changed.
        FileCorrupt, FileFull, StorageError: the file cannot be used now.
    """
    path = files.path_of(data_dir, owner)
    files.make_directory(path)
    with contextlib.ExitStack() as undo:
        lock = hold(path)
        undo.callback(lock.release)
        files.check_owner(path, owner)
        files.make_file(path)
        connection = schema.open_connection(path)
        undo.callback(connection.close)
        schema.create(connection, path, device=device, incarnation=incarnation)
        if owner.user is None:
            adopting.check_not_adopted(connection, path)
        files.claim(connection, path, owner)
        if create:
            files.run_create(path, create, tables)
        replica = FileReplica(
            connection, path, tables=tables, device=device, incarnation=incarnation
        )
        opened = OpenedFile(path, connection, replica, lock, watch, clock)
        undo.pop_all()
        return opened


class OpenedFile:
    """One user's file, open until `close`."""

    def __init__(
        self,
        path: str,
        connection: sqlite3.Connection,
        replica: FileReplica,
        lock: Lock,
        watch: Watch,
        clock: Callable[[], float],
    ) -> None:
        """Take over the lock, the replica and its connection; made by `open_file` alone."""
        self.path = path
        self.replica = replica
        self.worker = Worker("syncauth-replica")
        self._connection = connection
        self._lock = lock
        self._callback: Callable[[], None] | None = None
        self._noticing = threading.Lock()
        self._closing = threading.Lock()
        self._look_is_due = False
        self._closed = False
        self._seen = self._version()
        courtesy = Courtesy(clock)
        replica.courtesy = courtesy
        self._connections = AppConnections(path, self._notice, courtesy)
        self._writer = Writer(path, courtesy)
        self._watcher = watch(str(Path(path).parent), Path(path).name, self._notice)

    @property
    def db(self) -> sqlite_utils.Database:
        """The file as a sqlite-utils database on the calling thread's own connection.

        Raises:
            Closed: the file was closed.
        """
        return self._connections.database()

    @property
    def watching(self) -> str:
        """How writes of others are noticed: "events" or "polling"."""
        return self._watcher.kind

    def write(self, work: Callable[[sqlite_utils.Database], _Result]) -> Future[_Result]:
        """Run `work` in the writer's thread, in one transaction; see `Writer.write`."""
        return self._writer.write(work, self._notice)

    def migrate(self, work: Callable[[sqlite_utils.Database], _Result]) -> Future[_Result]:
        """Run `work`, which may alter the tables, as `write` does; see `migrating.migrate`."""

        def run(db: sqlite_utils.Database) -> _Result:
            return migrating.migrate(db.conn, lambda: work(db))

        return self._writer.write(run, self._notice)

    def dead_letters(self) -> Future[Sequence[DeadLetter]]:
        """Read the refused changes, the oldest first; raises `Closed`."""
        return self.worker.submit(self.replica.dead_letters)

    def adopt(
        self, data_dir: str | os.PathLike[str], guest: Owner, hold: Hold
    ) -> Future[Mapping[str, Counts]]:
        """Take over every row of the guest's file, once, and wake whoever sends; see `adopting`.

        The guest's file must be closed. Called again it changes nothing, and returns what it did. The future raises
        what `adopting.open_guest` and `FileReplica.adopt` raise.
        """

        def run() -> Mapping[str, Counts]:
            with adopting.open_guest(files.path_of(data_dir, guest), guest, hold) as found:
                counts = {} if found is None else self.replica.adopt(found)
            callback = self._callback
            if callback is not None:
                callback()  # our own commit is no notice
            return counts

        return self.worker.submit(run)

    def export(self, target: str | os.PathLike[str]) -> Future[int]:
        """Write what the server does not have into a new file; the future has their number. See `exporting`."""
        place = os.fspath(target)
        return self.worker.submit(lambda: self.replica.export(place))

    def watch(self, callback: Callable[[], None]) -> None:
        """Call this whenever anybody but the replica itself may have committed to the file.

        It is called in the replica's thread, once for all commits since it was last called, and
        for those between the opening and now; it must not block. Raises `Closed`.
        """
        self._callback = callback
        self.worker.start(self._look)

    def close(self) -> None:
        """Let what was submitted end, then close every connection and release the lock; idempotent.

        Blocks, for as long as a call runs that was begun before, but in none of the file's threads.
        """
        with self._closing:
            if self._closed:
                return
            with contextlib.ExitStack() as steps:  # each of them, whatever another raises
                steps.callback(self._lock.release)
                steps.callback(self.replica.close)
                steps.callback(self.worker.close)
                steps.callback(self._stop_noticing)
                steps.callback(self._connections.close)
                steps.callback(self._writer.close)
                steps.callback(self._watcher.close)

    def _notice(self) -> None:
        """Have the replica's thread look soon, once for all notices until it does."""
        with self._noticing:
            if self._closed or self._look_is_due:
                return
            self._look_is_due = True
            self.worker.start(self._look)

    def _stop_noticing(self) -> None:
        with self._noticing:
            self._closed = True

    def _look(self) -> None:
        self._look_is_due = False  # first of all: a commit from here on is another notice
        callback = self._callback
        if callback is None:
            return
        try:
            version = self._version()
        except sqlite3.Error:
            callback()  # the replica's next call finds the same, and tells what it means
            raise
        if version != self._seen:
            self._seen = version
            callback()

    def _version(self) -> int:
        """Read the number that changes with every commit of another connection."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)
