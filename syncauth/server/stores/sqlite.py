"""
The server's SQLite file: opened durable, and shaped by the schema file of whoever runs the server.

A commit on this connection is on the disk before it returns (synchronous=FULL). Foreign keys are not enforced by
SQLite here, because a cascade would delete rows without a trace: the judge of batches checks them itself, for the
rows that it touches. This module must never know what the tables mean.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from syncauth.errors import FileCorrupt, FileNotOurs, FileTooNew, InvalidConfig, StorageError
from syncauth.server.stores.account_schema import FROM_FORMAT_1

DATABASE: Final = "server.db"
"""The file's name in the data folder."""

FORMAT: Final = 3
"""The version of the layout of our tables, in `_sync_meta`; a file with a higher one is not touched."""

BACKED_UP_AT: Final = "backed_up_at"
"""The key of `_sync_meta` that only a backup has: when it was made, in wall-clock seconds."""

META: Final = "CREATE TABLE IF NOT EXISTS _sync_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID"

_OF_THE_FILE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }
)

BUSY_SECONDS: Final = 10.0
"""How long a transaction waits for another program that writes to the file."""


def open_server_file(
    path: Path | str, schema: str, factory: type[sqlite3.Connection] = sqlite3.Connection
) -> sqlite3.Connection:
    """Open or make the file and run the schema file's SQL in one transaction.

    The SQL runs at every start, so it says CREATE TABLE IF NOT EXISTS. The connection is in autocommit mode and
    for one thread at a time; it is made by `factory`.

    Raises:
        InvalidConfig: the schema file's SQL fails; nothing of it was kept.
        FileCorrupt: the file is no database or damaged; it was left as it is.
        FileTooNew: a newer version of syncauth wrote the file; it was not touched.
        FileNotOurs: it is a backup that nobody restored; it was not touched.
        StorageError: the file cannot be opened or not used in WAL mode.
    """
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=factory,
        )
        try:
            _check_format(connection, path)
            _prepare(connection, path)
            _migrate(connection)
            _shape(connection, schema)
            _mark_format(connection)
        except BaseException:
            connection.close()
            raise
    except UnicodeDecodeError:  # SQLite quotes the file in its error, and that is no text
        raise _corrupt(path, "a statement in it is no UTF-8") from None
    except sqlite3.Error as error:
        raise _refusal(error, path) from error
    return connection


def _check_format(connection: sqlite3.Connection, path: Path | str) -> None:
    if not _has_table(connection, "_sync_meta"):
        return
    row = connection.execute("SELECT value FROM _sync_meta WHERE key = 'format'").fetchone()
    if row is not None and (not isinstance(row[0], int) or row[0] > FORMAT):
        raise FileTooNew(
            "the server's file was written by a newer version of syncauth",
            path=str(path),
            why=f"its format is {row[0]!r}, this version knows {FORMAT}",
            remedy="Install the newer version; the file was not touched",
        )
    if connection.execute("SELECT 1 FROM _sync_meta WHERE key = ?", (BACKED_UP_AT,)).fetchone():
        raise FileNotOurs(
            "the server's file is a backup that was put in place by hand",
            path=str(path),
            why="devices that are ahead of it would not be told",
            remedy="Move it away, and have `syncauth server restore` put it back",
        )


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of an older format to this one, whole or not at all; the lock keeps a second process out."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = _format(connection)
        for statement in FROM_FORMAT_1 if found == 1 else ():
            connection.execute(statement)
        if found is not None and found < FORMAT:  # from 2 to 3 there are new tables alone
            connection.execute(META)
            connection.execute(
                "INSERT OR REPLACE INTO _sync_meta (key, value) VALUES ('format', ?)", (FORMAT,)
            )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _format(connection: sqlite3.Connection) -> int | None:
    """Return the format of a file, None for one that is new; the first did not always say so."""
    if _has_table(connection, "_sync_meta"):
        row = connection.execute("SELECT value FROM _sync_meta WHERE key = 'format'").fetchone()
        if row is not None:
            return int(row[0])
    return 1 if _has_table(connection, "_sync_users") else None


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    sql = "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(sql, (name,)).fetchone() is not None


def _mark_format(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(META)
    connection.execute(
        "INSERT INTO _sync_meta (key, value) VALUES ('format', ?) ON CONFLICT (key) DO NOTHING",
        (FORMAT,),
    )
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection, path: Path | str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StorageError(
            "the server's file cannot be used in WAL mode",
            path=str(path),
            why=f"its journal mode stays {mode!r}",
            remedy="Keep it on a local disk",
        )
    for pragma in (
        "synchronous = FULL",
        "foreign_keys = OFF",
        "recursive_triggers = OFF",
        "temp_store = MEMORY",
        "cache_size = -65536",
        "wal_autocheckpoint = 4000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _shape(connection: sqlite3.Connection, schema: str) -> None:
    try:
        # executescript would commit a transaction that is open: the script itself has to hold it.
        connection.executescript(f"BEGIN IMMEDIATE;\n{schema}\n;COMMIT;")
    except sqlite3.OperationalError as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if (error.sqlite_errorcode & 0xFF) != sqlite3.SQLITE_ERROR:
            raise
        raise InvalidConfig(
            "the schema file cannot be run",
            setting="server.schema",
            why=str(error),
            remedy="Correct its SQL, and write CREATE TABLE IF NOT EXISTS: it runs at every start",
        ) from error


def _corrupt(path: Path | str, why: str) -> FileCorrupt:
    return FileCorrupt(
        "the server's file is damaged or no database",
        path=str(path),
        why=why,
        remedy="Keep a copy and restore a backup; the file was left as it is",
    )


def is_of_the_file(error: BaseException) -> bool:
    """Tell whether a failure is of the file or the disk, whatever was to be written: another try soon fails as well."""
    if not isinstance(error, sqlite3.Error):
        return False
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _OF_THE_FILE


def _refusal(error: sqlite3.Error, path: Path | str) -> StorageError:
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _corrupt(path, str(error))
    return StorageError(
        "the server's file cannot be used",
        path=str(path),
        why=str(error),
        remedy="Check the disk, the directory and its permissions",
    )
