"""
The file of the credential store: its tables, its format, and what SQLite says about the disk.

This module must never hold a key or a token.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from syncauth.errors import FileCorrupt, FileFull, FileInUse, FileNotOurs, FileTooNew, StorageError

FORMAT: Final = 2
"""The version of the layout; a file with a higher one is not touched."""

BUSY_SECONDS: Final = 0.5
"""How long a lock of another process is waited for: everything else waits meanwhile."""

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY NOT NULL, value TEXT) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS users (
        user_id TEXT PRIMARY KEY NOT NULL,
        device_id TEXT NOT NULL,
        state TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        current INTEGER NOT NULL DEFAULT 0,
        profile TEXT NOT NULL,
        received_at REAL NOT NULL,
        data_key BLOB,
        access BLOB,
        refresh BLOB,
        life REAL,
        refresh_id TEXT,
        episode TEXT,
        reason TEXT,
        since REAL NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 0,
        refresh_life REAL,
        refresh_ends_at REAL
    ) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS revocations (id INTEGER PRIMARY KEY AUTOINCREMENT, refresh BLOB NOT NULL)",
    """CREATE TABLE IF NOT EXISTS removals (
        user_id TEXT PRIMARY KEY NOT NULL,
        discard INTEGER
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS history (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id TEXT NOT NULL,
        at REAL NOT NULL,
        before TEXT NOT NULL,
        after TEXT NOT NULL,
        trigger TEXT NOT NULL,
        reason TEXT
    )""",
)

NO_UTF_8: Final = "a text in it is no UTF-8"

_SINCE_1: Final = (
    "ALTER TABLE users ADD COLUMN fence INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE users ADD COLUMN refresh_life REAL",
    "ALTER TABLE users ADD COLUMN refresh_ends_at REAL",
)
"""What a file of format 1 lacks."""


def open_sessions(path: str) -> sqlite3.Connection:
    """Open, make or bring up to date the file, for this user of the machine alone.

    The connection is to be used by one thread at a time.

    Raises:
        FileTooNew, FileNotOurs, FileCorrupt: it was left as it is.
        FileFull, FileInUse, StorageError: it cannot be used now.
    """
    with storage_errors(path):
        _check_untouched(path)
        _make(path)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            check_format(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("BEGIN IMMEDIATE")
            (number,) = connection.execute("PRAGMA user_version").fetchone()
            for statement in (*(_SINCE_1 if number == 1 else ()), *_TABLES):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
    return connection


def _check_untouched(path: str) -> None:
    """Read the format on a connection that cannot write.

    The last ordinary one to close would move a log that was left behind into the file.
    """
    # A journal that was left behind cannot be rolled back read-only; only a first open leaves one.
    if not Path(path).exists() or Path(f"{path}-journal").exists():
        return
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
        check_format(connection, path)


def _make(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    Path(path).chmod(0o600)


def check_format(connection: sqlite3.Connection, path: str) -> None:
    """Read which format the file has; raises `FileNotOurs`, `FileTooNew`."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    if number < 1 and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise FileNotOurs(
            "the file is no credential store",
            path=path,
            why="it has tables, and no format of ours",
            remedy="Move it away; it was not touched",
        )
    if number > FORMAT:
        raise FileTooNew(
            "the credential store was written by a newer version of syncauth",
            path=path,
            why=f"its format is {number}, this version knows {FORMAT}",
            remedy="Install the newer version; the file was not touched",
        )


@contextlib.contextmanager
def storage_errors(path: str) -> Iterator[None]:
    """Turn what SQLite and the system say about the disk into our own errors; all others pass."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            "the credential store cannot be made",
            path=path,
            why=error.strerror or type(error).__name__,
            remedy="Check the data directory and its permissions",
        ) from error
    except UnicodeDecodeError:  # SQLite quotes the file in its error, and that is no text
        raise damaged(path, NO_UTF_8) from None
    except sqlite3.Error as error:
        if is_undecodable(error):
            raise damaged(path, NO_UTF_8) from None
        raise _storage_error(error, path) from error


def is_undecodable(error: sqlite3.Error) -> bool:
    """Tell whether a text is no UTF-8: what Python says then has no code, and shows the text."""
    return not hasattr(error, "sqlite_errorcode") and "decode" in str(error)


def damaged(path: str, why: str) -> FileCorrupt:
    """Return the error for a file that cannot be read; it is left as it is."""
    return FileCorrupt(
        "the credential store is damaged or no database",
        path=path,
        why=why,
        remedy="Keep a copy; without the file users log in again and lose no rows",
    )


def _storage_error(error: sqlite3.Error, path: str) -> StorageError:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    why = str(error)
    if primary == sqlite3.SQLITE_FULL:
        remedy = "Free some space; nothing was changed"
        return FileFull("the disk is full", path=path, why=why, remedy=remedy)
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, why)
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        remedy = "Try again; nothing was changed"
        return FileInUse(
            "another program holds a lock on the file", path=path, why=why, remedy=remedy
        )
    remedy = "Check the disk, the directory and its permissions"
    return StorageError("the credential store cannot be used", path=path, why=why, remedy=remedy)
