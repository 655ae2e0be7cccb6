"""
Removing a user's file from the device: rows, unsent changes and all, if that is said to be wanted.

This is also how unsent changes are discarded. What a row was before an unsent edit is known to the server alone, so
that it cannot be put back here; the next open makes a new file and downloads what the server has. The lock file beside
stays, since another process may be about to lock it; it is empty. This module must never remove a file whose unsent
changes were not counted to the caller.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from syncauth.errors import ChangesPending, FileInUse, StorageError
from syncauth.replica import files, schema
from syncauth.replica.files import Owner
from syncauth.rows.capture_tables import capture_table

_PARTS: Final = ("", "-wal", "-shm", "-journal")
"""The database first: what is left of its log is nothing without it, while a file without its log is an older one."""


class _Lock(Protocol):
    def release(self) -> None: ...


def remove_files(
    data_dir: str | os.PathLike[str],
    owner: Owner,
    *,
    expected: int,
    hold: Callable[[str], _Lock],
    really: bool = True,
) -> bool:
    """Delete the owner's file, durably; returns whether there was one.

    Args:
        data_dir: the data directory of the App.
        owner: the server, the app, and the user or the guest.
        expected: how many changes are known to be lost by it: those in the outbox and in flight.
        hold: how to lock the file (`adapters.locks.hold_file`).
        really: False only finds out whether it could be deleted.

    Raises:
        ChangesPending: it is another number; nothing was removed.
        FileInUse: an App, or any other program, has the file open; nothing was removed.
        FileNotOurs, FileTooNew, FileCorrupt, StorageError: it is not to be judged; nothing was removed.
    """
    path = files.path_of(data_dir, owner)
    if not Path(path).parent.is_dir():
        _check(expected, 0)
        return False
    lock = hold(path)
    try:
        return remove_held(path, owner, expected=expected, really=really)
    finally:
        lock.release()


def remove_held(path: str, owner: Owner, *, expected: int | None, really: bool = True) -> bool:
    """Do what `remove_files` does with a file whose lock the caller holds; None expects any number."""
    files.check_owner(path, owner)
    there = Path(path).exists()
    pending = _pending_alone(path) if there else 0
    if expected is not None:
        _check(expected, pending)
    if really:
        _delete(path)
    return there


def _check(expected: int, pending: int) -> None:
    if expected != pending:
        raise ChangesPending(
            "the file was not removed",
            pending=pending,
            remedy="Export them, or say with their number that they may be lost",
        )


def _pending_alone(path: str) -> int:
    """Count the changes while nobody else has the file open; raises `FileInUse`.

    In this locking mode SQLite takes the whole file, which fails as long as any other connection to it is open.
    """
    with (
        schema.storage_errors(path),
        contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            what, remedy = "another program has the file open", "Close it there first"
            raise FileInUse(what, path=path, remedy=remedy) from None
        numbers = _tables(connection)
        counts = [
            connection.execute(f"SELECT count(*) FROM {capture_table(number)}").fetchone()[0]
            for number in numbers
        ]
        connection.execute("ROLLBACK")
        return sum(counts)


def _tables(connection: sqlite3.Connection) -> list[int]:
    """Return the ids of the tables whose entries count: none where a user has adopted them."""
    there = connection.execute(
        "SELECT count(*) FROM main.sqlite_master WHERE name IN ('_sync_tables', '_sync_meta')"
    ).fetchone()
    if there != (2,) or schema.read_meta(connection, "adopted") is not None:
        return []
    return [number for (number,) in connection.execute("SELECT id FROM _sync_tables").fetchall()]


def _delete(path: str) -> None:
    try:
        for part in _PARTS:
            Path(f"{path}{part}").unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            "the file cannot be removed",
            path=path,
            why=error.strerror or str(error),
            remedy="Check the directory and its permissions, and remove it again",
        ) from error
    files.sync_directory(path)
