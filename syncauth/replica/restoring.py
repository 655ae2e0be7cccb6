"""
After the capture of a table was interrupted: what can be found out about the changes that went by.

A rebuilt table (ALTER by way of a copy, sqlite-utils' `transform`) has lost its triggers without a word. Keys that
the server knows and the table has not are deletions, keys that only the table has are inserts; both get entries
stamped now. Whether the values of the other rows changed cannot be seen here; `comparing` finds out. This module must
never change a row of the app, and never invent an edit.
"""

from __future__ import annotations

import sqlite3

from syncauth.replica.rowwrites import count_entries
from syncauth.replica.table import Table
from syncauth.rows.capture_sql import NEXT_ENTRY


def restore(connection: sqlite3.Connection, table: Table) -> bool:
    """Record deletions and inserts that went by; True, since the rows that are left must be compared."""
    connection.execute(NEXT_ENTRY)
    drop_entries_of_lost_rows(connection, table)
    _record_deletions(connection, table)
    _record_inserts(connection, table)
    count_entries(connection, table)
    return True


def drop_entries_of_lost_rows(connection: sqlite3.Connection, table: Table) -> None:
    """Unsent inserts and updates of rows that are gone have nothing left to send; an ended life stays ended."""
    lost = (
        f"batch IS NULL AND NOT EXISTS (SELECT 1 FROM {table.app} AS a"
        f" WHERE {table.app_key_is(table.capture)})"
    )
    connection.execute(
        f"UPDATE {table.capture} SET kind = 'delete' WHERE kind = 'insert' AND life IS NOT NULL AND {lost}"
    )
    connection.execute(f"DELETE FROM {table.capture} WHERE kind IN ('insert', 'update') AND {lost}")


def _record_deletions(connection: sqlite3.Connection, table: Table) -> None:
    connection.execute(
        f"INSERT INTO {table.capture} (entry, kind, hlc, life, {table.keys})"
        " SELECT clock.entry + row_number() OVER (), 'delete', clock.hlc, substr(r.lives, 1, 32),"
        f" {table.keys_of('r')} FROM {table.rows} AS r, _sync_clock AS clock"
        f" WHERE NOT EXISTS (SELECT 1 FROM {table.app} AS a WHERE {table.app_key_is('r')})"
        f" AND ifnull({_newest_kind(table, 'r')}, '') <> 'delete'"
    )
    count_entries(connection, table)


def _record_inserts(connection: sqlite3.Connection, table: Table) -> None:
    """A row that nobody knows is new; one whose deletion stands in the outbox has come back."""
    known = f"SELECT 1 FROM {table.rows} AS r WHERE {table.app_key_is('r')}"
    newest = _newest_kind(table, "a")
    connection.execute(
        f"INSERT INTO {table.capture} (entry, kind, hlc, life, {table.keys})"
        " SELECT clock.entry + row_number() OVER (), 'insert', clock.hlc,"
        f" (SELECT c.life FROM {table.capture} AS c WHERE {table.app_key_is('c')} AND c.kind = 'delete'"
        f" ORDER BY c.entry DESC LIMIT 1), {table.app_keys_of('a')}"
        f" FROM {table.app} AS a, _sync_clock AS clock"
        f" WHERE {newest} = 'delete' OR ({newest} IS NULL AND NOT EXISTS ({known}))"
    )
    connection.execute(
        f"DELETE FROM {table.capture} AS c WHERE c.batch IS NULL AND c.kind = 'delete'"
        f" AND EXISTS (SELECT 1 FROM {table.app} AS a WHERE {table.app_key_is('c')})"
    )


def _newest_kind(table: Table, alias: str) -> str:
    """The kind of the newest entry of a row: of the app's table (`a`) or of the known rows (`r`)."""
    same = table.app_key_is("c") if alias == "a" else table.same_key("c", alias)
    return f"(SELECT c.kind FROM {table.capture} AS c WHERE {same} ORDER BY c.entry DESC LIMIT 1)"
