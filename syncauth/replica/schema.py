"""
Our own tables in the user's file, how the file is opened, and how a transaction on it runs.

Every connection that applies or cuts comes from `open_connection`: foreign keys are not enforced on it (a cascade
would delete unsent rows) and a commit is durable (synchronous=FULL); both are asserted before each BEGIN, since
inside a transaction the first is a silent no-op. What SQLite reports about the disk becomes one of our own errors
in one place, `storage_errors`. This module must never touch a table of the app.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Final

from syncauth.errors import (
    FileCorrupt,
    FileFull,
    FileInUse,
    FileTooNew,
    InvalidConfig,
    StorageError,
)
from syncauth.rows import capture

FORMAT: Final = 1
"""The version of the layout of our tables; a file with a higher one is not touched."""

BUSY_SECONDS: Final = 10.0
"""How long a transaction of ours waits for a writer of the app."""

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS _sync_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS _sync_tables (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL,
    counters TEXT NOT NULL,
    uncertain INTEGER NOT NULL DEFAULT 0
)""",
    """CREATE TABLE IF NOT EXISTS _sync_columns (
    table_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    present INTEGER NOT NULL,
    PRIMARY KEY (table_id, id)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_partitions (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    known INTEGER
)""",
    """CREATE TABLE IF NOT EXISTS _sync_inflight (
    batch INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    sections BLOB NOT NULL,
    changes INTEGER NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS _sync_retries (
    entry INTEGER PRIMARY KEY,
    times INTEGER NOT NULL
)""",
    """CREATE TABLE IF NOT EXISTS _sync_waiting (
    table_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    partition TEXT NOT NULL,
    columns TEXT NOT NULL,
    row TEXT NOT NULL,
    PRIMARY KEY (table_id, key)
) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL
)""",
)


def open_connection(path: str) -> sqlite3.Connection:
    """Open the file for applying and cutting; it may be used by any thread, by one at a time.

    Raises:
        FileCorrupt: it is no database or damaged; it was left as it is.
        StorageError: it cannot be opened, or not in WAL mode, or its encoding is not UTF-8.
    """
    with storage_errors(path):
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            _prepare(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(connection: sqlite3.Connection, path: str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            "the file cannot be used in WAL mode",
            path=path,
            why=f"its journal mode stays {mode!r}",
            remedy="Keep it on a local disk, as a file",
        )
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise StorageError(
            "the file cannot hold every text unaltered",
            path=path,
            why=f"its encoding is {encoding}, which a text that is no valid UTF-8 would not survive",
            remedy="Copy it into a file with the encoding UTF-8, SQLite's default",
        )
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = OFF",
        "recursive_triggers = OFF",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def create(connection: sqlite3.Connection, path: str, *, device: str, incarnation: str) -> None:
    """Create our tables where they are missing; a new file gets its device id and incarnation.

    Raises:
        FileTooNew: a newer version of syncauth wrote the file; it was not touched.
    """
    with transaction(connection, path):
        there = connection.execute(
            "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = '_sync_meta'"
        ).fetchone()
        if there:
            check_format(connection, path)
        for statement in _TABLES:
            connection.execute(statement)
        capture.install_clock(connection)
        for key, value in (("format", FORMAT), ("device", device), ("incarnation", incarnation)):
            connection.execute(
                "INSERT INTO _sync_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
                (key, value),
            )


def check_format(connection: sqlite3.Connection, path: str) -> None:
    """Read which format our tables in the file have; raises `FileTooNew`."""
    row = connection.execute("SELECT value FROM _sync_meta WHERE key = 'format'").fetchone()
    if row is not None and (not isinstance(row[0], int) or row[0] > FORMAT):
        raise FileTooNew(
            "the file was written by a newer version of syncauth",
            path=path,
            why=f"its format is {row[0]!r}, this version knows {FORMAT}",
            remedy="Install the newer version; the file was not touched",
        )


def read_meta(connection: sqlite3.Connection, key: str) -> str | int | None:
    """Return a value of `_sync_meta`, or None where there is none."""
    row = connection.execute("SELECT value FROM _sync_meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def read_number(connection: sqlite3.Connection, key: str, default: int) -> int:
    """Return a number of `_sync_meta`."""
    value = read_meta(connection, key)
    return value if isinstance(value, int) else default


def write_meta(connection: sqlite3.Connection, key: str, value: str | int | None) -> None:
    """Set a value of `_sync_meta` within the transaction of the caller."""
    connection.execute(
        "INSERT INTO _sync_meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """Run one durable transaction: all of it is kept, or nothing.

    Raises:
        FileFull, FileCorrupt, FileInUse, StorageError: nothing of it was kept.
    """
    with storage_errors(path):
        _assert_settings(connection)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                connection.execute("ROLLBACK")
            raise


@contextlib.contextmanager
def reading(connection: sqlite3.Connection, path: str) -> Iterator[None]:
    """Read one snapshot; waits for no writer. Raises `FileCorrupt`, `StorageError`."""
    with storage_errors(path):
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def applying(connection: sqlite3.Connection) -> Iterator[None]:
    """Keep the capture triggers silent for the rest of the transaction's work inside this block."""
    connection.execute("UPDATE _sync_clock SET applying = 1 WHERE id = 1")
    yield
    connection.execute("UPDATE _sync_clock SET applying = 0 WHERE id = 1")


def _assert_settings(connection: sqlite3.Connection) -> None:
    (foreign_keys,) = connection.execute("PRAGMA foreign_keys").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if (foreign_keys, synchronous) != (0, 2):
        raise InvalidConfig(
            "the replica's own connection has the wrong settings",
            setting="PRAGMA foreign_keys, synchronous",
            why=f"they are {foreign_keys} and {synchronous}, not 0 and 2",
            remedy="Leave this connection alone; use replica.db",
        )


@contextlib.contextmanager
def storage_errors(path: str) -> Iterator[None]:
    """Turn what SQLite says about the disk and the file into our own errors; all others pass."""
    try:
        yield
    except sqlite3.Error as error:
        found = _storage_error(error, path)
        if found is None:
            raise
        raise found from error


def _storage_error(error: sqlite3.Error, path: str) -> StorageError | None:
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF  # the upper bits are the extended code
    why = str(error)
    if primary == sqlite3.SQLITE_FULL:
        return FileFull(
            "the disk is full", path=path, why=why, remedy="Free some space; nothing is lost"
        )
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return FileCorrupt(
            "the file is damaged or no database",
            path=path,
            why=why,
            remedy="Keep a copy and restore a backup; the file was left as it is",
        )
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return FileInUse(
            "another connection holds a lock on the file",
            path=path,
            why=why,
            remedy=f"End transactions that stay open for more than {BUSY_SECONDS:.0f} s",
        )
    if primary in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
    ):
        return StorageError(
            "the file cannot be read or written",
            path=path,
            why=why,
            remedy="Check the disk, the directory and its permissions",
        )
    return None
