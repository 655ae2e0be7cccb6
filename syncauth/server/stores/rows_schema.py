"""
The tables in which the server's SQLite file keeps what it knows about rows, devices and batches.

    _sync_commits     one row: the number of the last commit that changed rows
    _sync_served      a served table and its number n
    _sync_partitions  a partition: its number, its name and its head, the highest version given in it
    _sync_devices     a device of one user: its last batch with its digest, the batch whose result it has
                      committed, and the highest HLC that a cut stamp of it was lowered to
    _sync_results     the result of each batch that the device has not committed yet, as JSON
    _sync_histories   the histories of this file, the last one the present; each but the first began with a restore
    _sync_forks       for each history before: how far a partition, or a device, had come where the next one began
    _sync_rows_<n>    a row of a served table, living, deleted or moved away; see below

`_sync_rows_<n>` has partition and key, and of the row: `lives`; `deleted` (0 living, 1 a tombstone, 2 it has left
this partition for another); `stamp`, the stamp of all columns but those in `stamps` (JSON or NULL); `newest`, the
highest of these (NULL where it is `stamp`); `version` and `commit_id` of the last change; `origin`, the number of
the device that has the row as it stands, since it wrote it, NULL where nobody does. This module must never hold
anything but the statements.
"""

from __future__ import annotations

from typing import Final

LIVING: Final = 0
TOMBSTONE: Final = 1
LEFT: Final = 2

SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS _sync_commits (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        last INTEGER NOT NULL
    )""",
    "INSERT INTO _sync_commits (id, last) VALUES (1, 0) ON CONFLICT (id) DO NOTHING",
    """CREATE TABLE IF NOT EXISTS _sync_served (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    )""",
    """CREATE TABLE IF NOT EXISTS _sync_partitions (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        head INTEGER NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS _sync_devices (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        user_id TEXT NOT NULL,
        incarnation TEXT NOT NULL,
        last INTEGER NOT NULL,
        digest TEXT,
        acked INTEGER NOT NULL,
        cut_hlc INTEGER NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS _sync_results (
        device INTEGER NOT NULL,
        batch INTEGER NOT NULL,
        digest TEXT NOT NULL,
        result BLOB NOT NULL,
        PRIMARY KEY (device, batch)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _sync_histories (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        began_at REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS _sync_forks (
        history INTEGER NOT NULL,
        what TEXT NOT NULL CHECK (what IN ('partition', 'device')),
        name TEXT NOT NULL,
        reached INTEGER NOT NULL,
        PRIMARY KEY (history, what, name)
    ) WITHOUT ROWID""",
)


def rows_table(number: int) -> str:
    """Return the name of the table about the rows of served table `number`."""
    return f"_sync_rows_{number}"


def rows_schema(number: int, keys: str, definitions: str) -> tuple[str, ...]:
    """Return the statements for one served table: `keys` its key columns, `definitions` with their types."""
    name = rows_table(number)
    return (
        f"""CREATE TABLE IF NOT EXISTS {name} (
        part INTEGER NOT NULL,
        {definitions},
        lives TEXT NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0,
        stamp TEXT NOT NULL,
        stamps TEXT,
        newest TEXT,
        version INTEGER NOT NULL,
        commit_id INTEGER NOT NULL,
        origin INTEGER,
        PRIMARY KEY (part, {keys})
    ) WITHOUT ROWID""",
        f"CREATE INDEX IF NOT EXISTS {name}_version ON {name} (part, version, commit_id)",
    )
