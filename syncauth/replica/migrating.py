"""
A migration: the app changes the shape of its tables, and none of its writes goes by unseen.

The capture triggers stand in the way of DROP COLUMN and do not survive a rebuild. So they are taken off, and the rows
as they are now are kept in temporary tables; afterwards the triggers are put back and every difference is recorded,
stamped now. Unlike after an interruption nothing is uncertain. Everything works inside the transaction of the caller,
who rolls back if it raises. This module must never change a row of the app.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable, Mapping
from typing import TypeVar

from syncauth.replica import restoring, tracking
from syncauth.replica.rowwrites import count_entries
from syncauth.replica.table import Table
from syncauth.rows import capture
from syncauth.rows.capture_sql import NEXT_ENTRY, any_of
from syncauth.rows.sqltext import quote

_Result = TypeVar("_Result")


def migrate(connection: sqlite3.Connection, work: Callable[[], _Result]) -> _Result:
    """Run `work` with the triggers taken off, put them back, and record what it did.

    Raises:
        TableNotTrackable: a tracked table is gone or has another key afterwards.
    """
    before = tracking.verify(connection)
    for table in before.values():
        _keep(connection, table)
        capture.remove(connection, table.tracked)
    result = work()
    tracking.verify(connection, functools.partial(_record, before=before))
    for table in before.values():
        connection.execute(f"DROP TABLE temp.{_kept(table)}")
    return result


def _kept(table: Table) -> str:
    return f"_sync_before_{table.tracked.number}"


def _keep(connection: sqlite3.Connection, table: Table) -> None:
    """Copy the rows; a column keeps its affinity, so that the values stay what they are."""
    names = zip(table.tracked.info.key_names, table.tracked.key_names, strict=True)
    columns = [f"{quote(name)} AS {ours}" for name, ours in names]
    columns += [f"{quote(name)} AS {_value(table, name)}" for name in table.columns]
    connection.execute(
        f"CREATE TEMP TABLE {_kept(table)} AS SELECT {', '.join(columns)} FROM {table.app}"
    )
    connection.execute(f"CREATE INDEX temp.{_kept(table)}_key ON {_kept(table)} ({table.keys})")


def _value(table: Table, name: str) -> str:
    return f"v{table.tracked.column_ids[name]}"


def _record(connection: sqlite3.Connection, table: Table, *, before: Mapping[str, Table]) -> bool:
    """Record what a migration did to a table; nothing about it is uncertain."""
    restoring.restore(connection, table)
    ids = before[table.name].tracked.column_ids
    stayed = [name for name in table.columns if ids.get(name) == table.tracked.column_ids[name]]
    changed = [_changed(table, name) for name in stayed]
    connection.execute(NEXT_ENTRY)
    connection.execute(
        f"INSERT INTO {table.capture} (entry, kind, hlc, {table.keys},"
        f" {', '.join([*table.tracked.mask_names, *table.tracked.delta_names])})"
        " SELECT clock.entry + row_number() OVER (), 'update', clock.hlc,"
        f" {', '.join([table.keys_of('b'), *_words(table, stayed), *_deltas(table)])}"
        f" FROM temp.{_kept(table)} AS b CROSS JOIN {table.app} AS a ON {table.app_key_is('b')}"
        " CROSS JOIN _sync_clock AS clock"
        f" WHERE {any_of(changed)} AND NOT EXISTS (SELECT 1 FROM {table.capture} AS c"
        f" WHERE {table.same_key('c', 'b')} AND c.batch IS NULL AND c.kind = 'insert')"
    )
    count_entries(connection, table)
    return False


def _changed(table: Table, name: str) -> str:
    new, old = f"a.{quote(name)}", f"b.{_value(table, name)}"
    return f"(typeof({new}) <> typeof({old}) OR {new} COLLATE BINARY IS NOT {old})"


def _counted(table: Table, name: str) -> str:
    """The condition that a counter was counted up or down: by an integer that 64 bits hold.

    A counter whose value waits to be sent takes part in that: a delta beside it would count twice.
    """
    new, old = f"a.{quote(name)}", f"b.{_value(table, name)}"
    word, bit = table.bit(name)
    return (
        f"(typeof({new}) = 'integer' AND typeof({old}) = 'integer'"
        f" AND typeof({new} - {old}) = 'integer' AND NOT EXISTS (SELECT 1 FROM {table.capture} AS c"
        f" WHERE {table.same_key('c', 'b')} AND c.batch IS NULL AND c.m{word} & {bit}))"
    )


def _words(table: Table, names: list[str]) -> list[str]:
    """SQL of each mask word: the bits of the columns that changed, less those that counted."""
    terms: dict[int, list[str]] = {word: [] for word in range(table.tracked.words)}
    for name in names:
        word, bit = table.bit(name)
        condition = _changed(table, name)
        if name in table.tracked.counters:
            condition += f" AND NOT {_counted(table, name)}"
        terms[word].append(f"(CASE WHEN {condition} THEN {bit} ELSE 0 END)")
    return [any_of(each, operator=" | ") for each in terms.values()]


def _deltas(table: Table) -> list[str]:
    return [
        f"CASE WHEN {_counted(table, name)} THEN"
        f" nullif(a.{quote(name)} - b.{_value(table, name)}, 0) END"
        for name in table.tracked.counters
    ]
