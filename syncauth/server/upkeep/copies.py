"""
Copies of a server's file: made by SQLite itself, checked, and made to appear whole or not at all.

A copy is made with SQLite's backup API in one step: it is the state of one instant, and whoever writes meanwhile is
not held up (in many steps it begins anew with every commit of others, and may never end). It is one file without a
log beside it, readable by its owner alone. This module must never overwrite a file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from syncauth.errors import (
    FileCorrupt,
    FileFull,
    FileInUse,
    FileNotOurs,
    FileTooNew,
    StorageError,
)
from syncauth.server.stores.sqlite import FORMAT

BUSY_SECONDS: Final = 10.0

_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def open_reading(path: Path) -> sqlite3.Connection:
    """Open a database that must be there, to read it alone; closing it does not touch its log."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS, isolation_level=None
    )


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """Tell what the disk or SQLite says about a file as an error of ours.

    Raises:
        FileCorrupt, FileFull, FileInUse, StorageError: by what it was.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise _of_sqlite(code, path, str(error)) from error
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read or written",
            path=str(path),
            why=error.strerror or str(error),
            remedy="Check the disk, the directory and its permissions",
        ) from error


def missing(path: Path) -> StorageError:
    """Return the error for a file that is not there."""
    return StorageError(f"there is no file {path}", path=str(path), remedy="Check the path")


def _of_sqlite(code: int, path: Path, why: str) -> StorageError:
    if code in _CORRUPT:
        return FileCorrupt(
            f"{path} is damaged or no database",
            path=str(path),
            why=why,
            remedy="Keep it, and use an older backup; the file was left as it is",
        )
    if code == sqlite3.SQLITE_FULL:
        return FileFull("the disk is full", path=str(path), why=why, remedy="Free some space")
    if code in _BUSY:
        return FileInUse(
            f"another program holds {path}", path=str(path), why=why, remedy="End it first"
        )
    if code == sqlite3.SQLITE_CANTOPEN and not path.exists():
        return missing(path)
    return StorageError(
        f"{path} cannot be used",
        path=str(path),
        why=why,
        remedy="Check the path, the disk, the directory and its permissions",
    )


def copy(source: sqlite3.Connection, target: Path) -> None:
    """Copy a database into a new file that is one file alone.

    Raises:
        StorageError: the new file cannot be made.
        sqlite3.Error: see `told`; an unfinished copy may be left.
    """
    with told(target):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(target, isolation_level=None)
    with contextlib.closing(connection):
        source.backup(connection, pages=-1)
        connection.execute("PRAGMA journal_mode = DELETE")  # it was copied with the rest


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that this is a whole server's file that this version can read.

    Raises:
        FileCorrupt: SQLite's integrity check finds faults.
        FileNotOurs, FileTooNew: see `check_ours`.
    """
    check_ours(connection, path)
    faults = faults_of(connection)
    if faults:
        raise FileCorrupt(
            "the file is damaged",
            path=str(path),
            why="; ".join(faults),
            remedy="Keep it, and use an older backup",
        )


def check_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Check that this is a server's file that this version can read.

    Raises:
        FileNotOurs: it is another database.
        FileTooNew: a newer version wrote it.
    """
    tables = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if not {"_sync_meta", "_sync_users"} <= tables:
        raise FileNotOurs(
            "this is no file of a syncauth server",
            path=str(path),
            why="it has none of its tables",
            remedy="Name a file that `syncauth server backup` has made",
        )
    row = connection.execute("SELECT value FROM _sync_meta WHERE key = 'format'").fetchone()
    if row is None or not isinstance(row[0], int) or row[0] > FORMAT:
        raise FileTooNew(
            "the file was written by a newer version of syncauth",
            path=str(path),
            why=f"its format is {None if row is None else row[0]!r}, this version knows {FORMAT}",
            remedy="Install the newer version",
        )


def faults_of(connection: sqlite3.Connection) -> list[str]:
    """Return the first faults that SQLite's integrity check finds, none if it is whole."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    return [] if found == ["ok"] else found


def sync(path: Path) -> None:
    """Have a file or a directory on the disk before this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
