"""
Installs, verifies and removes the capture of one table.

Every function works inside the transaction of its caller and commits nothing. A trigger counts as
present only if its stored text is equal to what would be created now: a rebuilt table has lost its
triggers, an altered one has triggers that no longer fit. Nor do they if they were made in another
order. This module must never touch a row of the app.
"""

from __future__ import annotations

import sqlite3

from syncauth.rows.capture_tables import (
    CLOCK_SQL,
    Tracked,
    capture_table,
    capture_table_sql,
    index_sql,
    replaced_table,
    replaced_table_sql,
    rows_table,
    rows_table_sql,
)
from syncauth.rows.capture_triggers import trigger_sql
from syncauth.rows.sqltext import quote


def install_clock(connection: sqlite3.Connection) -> None:
    """Create `_sync_clock` with its one row, if it is not there."""
    for statement in CLOCK_SQL:
        connection.execute(statement)


def install(connection: sqlite3.Connection, tracked: Tracked) -> None:
    """Create what is missing for the capture of a table, and replace triggers that no longer fit.

    Entries, known rows and their columns stay; mask words and deltas of new columns are added. The
    clock must be installed before the first write to the table.
    """
    number = tracked.number
    tables = {
        rows_table(number): rows_table_sql(tracked),
        capture_table(number): capture_table_sql(tracked),
        replaced_table(number): replaced_table_sql(tracked),
    }
    present = _stored(connection, "table", tables)
    for name, sql in tables.items():
        if name not in present:
            connection.execute(sql)
    _add_columns(connection, tracked)
    for name, sql in index_sql(tracked).items():
        if name not in _stored(connection, "index", [name]):
            connection.execute(sql)
    if _unfit(connection, tracked):
        # All of them anew: they run in the order of their making, on which what they do depends.
        remove(connection, tracked)
        for sql in trigger_sql(tracked).values():
            connection.execute(sql)


def remove(connection: sqlite3.Connection, tracked: Tracked) -> None:
    """Drop the triggers of a table; entries and known rows stay.

    Without triggers a table can be altered.
    """
    for name in trigger_sql(tracked):
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")


def drop_tables(connection: sqlite3.Connection, number: int) -> None:
    """Drop the entries, known rows and notes of a table whose triggers have been removed."""
    for name in (capture_table(number), rows_table(number), replaced_table(number)):
        connection.execute(f"DROP TABLE IF EXISTS {name}")


def missing(connection: sqlite3.Connection, tracked: Tracked) -> list[str]:
    """Name what of a table's capture (tables, indexes, triggers) is absent or was changed."""
    number = tracked.number
    wanted = {
        "table": [rows_table(number), capture_table(number), replaced_table(number)],
        "index": list(index_sql(tracked)),
    }
    lacking = [
        name
        for kind, names in wanted.items()
        for name in names
        if name not in _stored(connection, kind, names)
    ]
    return lacking + _unfit(connection, tracked)


def _unfit(connection: sqlite3.Connection, tracked: Tracked) -> list[str]:
    """Name the triggers that are absent or were changed; all of them if their order is another one."""
    triggers = trigger_sql(tracked)
    stored = _stored(connection, "trigger", triggers)
    unfit = [name for name, sql in triggers.items() if stored.get(name) != sql]
    return unfit if unfit or list(stored) == list(triggers) else list(triggers)


def _stored(
    connection: sqlite3.Connection, kind: str, names: list[str] | dict[str, str]
) -> dict[str, str]:
    """Return the stored SQL of those of the names that exist, the oldest first."""
    marks = ", ".join("?" for _ in names)
    cursor = connection.cursor()
    cursor.row_factory = None
    return dict(
        cursor.execute(
            f"SELECT name, sql FROM main.sqlite_master WHERE type = ? AND name IN ({marks})"
            " ORDER BY rowid",
            (kind, *names),
        ).fetchall()
    )


def _add_columns(connection: sqlite3.Connection, tracked: Tracked) -> None:
    """Give existing tables the mask words and deltas of columns that came later."""
    for table, names in (
        (capture_table(tracked.number), [*tracked.mask_names, *tracked.delta_names]),
        (replaced_table(tracked.number), [f"b{name[1:]}" for name in tracked.delta_names]),
    ):
        cursor = connection.cursor()
        cursor.row_factory = None
        there = {
            row[0] for row in cursor.execute("SELECT name FROM pragma_table_info(?)", (table,))
        }
        for name in names:
            if name not in there:
                rule = " NOT NULL DEFAULT 0" if name in tracked.mask_names else ""
                connection.execute(f"ALTER TABLE {table} ADD COLUMN {quote(name)} INTEGER{rule}")
