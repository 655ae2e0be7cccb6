"""
Unique values in the way of remote rows: two passes, never REPLACE.

First all rows that the page writes are taken out, so that they can swap values among each other; then they are
placed one by one. A row of this device alone that still holds a needed value goes to the dead letters with
`unique_conflict`. Any other holder is for the server to judge or to move: the remote row waits (`waiting`), and
the state it had here stays, if there is room for it. This module must never remove a row that the server knows,
except for placing it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from syncauth.replica.entries import read_entries
from syncauth.replica.orphans import Orphans
from syncauth.replica.page import fill_keys
from syncauth.replica.rowwrites import check_unique, delete_rows, upsert_sql
from syncauth.replica.table import Table
from syncauth.rows.sqltext import quote
from syncauth.rows.tables import UniqueIndex
from syncauth.rows.values import RawText, read_all

CODE: Final = "unique_conflict"
REASON: Final = "a row of the server holds the same unique value"


@dataclass(slots=True)
class Placing:
    """The rows that were placed, and those that have to wait."""

    placed: list[Any] = field(default_factory=list)
    waiting: list[Any] = field(default_factory=list)


def place(
    connection: sqlite3.Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Any],
    *,
    orphans: Orphans,
) -> Placing:
    """Place rows (key…, lives, stamp, stamps, value…) one by one; see the module."""
    width = table.width
    fill_keys(connection, table, [(*row[:width], None) for row in rows])
    before = _take_out(connection, table)
    result = Placing()
    for row in rows:
        if _place_one(connection, table, columns, row, orphans):
            result.placed.append(row)
        else:
            result.waiting.append(row)
    for row in result.waiting:
        _put_back(connection, table, before.get(tuple(row[:width])))
    return result


def _take_out(connection: sqlite3.Connection, table: Table) -> dict[tuple[Any, ...], Any]:
    names = ", ".join([table.app_keys_of("a"), *table.values_of(table.columns)])
    rows = read_all(
        connection,
        f"SELECT {names} FROM {table.page} AS p CROSS JOIN {table.app} AS a ON {table.app_key_is('p')}",
    )
    delete_rows(connection, table)
    return {row[: table.width]: row for row in rows}


def _put_back(connection: sqlite3.Connection, table: Table, before: Sequence[Any] | None) -> None:
    """Show the old state of a row that waits, unless its own unique values are taken meanwhile."""
    if before is None:
        return
    width = table.width
    row = [*before[:width], None, None, None, *before[width:]]
    _insert(connection, table, table.columns, row)


def _place_one(
    connection: sqlite3.Connection,
    table: Table,
    columns: Sequence[str],
    row: Sequence[Any],
    orphans: Orphans,
) -> bool:
    while not _insert(connection, table, columns, row):
        holders = _holders(connection, table, columns, row)
        if not holders or not all(_give_way(connection, table, key, orphans) for key in holders):
            return False
    return True


def _insert(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], row: Sequence[Any]
) -> bool:
    raw = {place for place, value in enumerate(row) if type(value) is RawText}
    given = row if columns else row[: table.width]
    try:
        connection.execute(upsert_sql(table, columns, raw), given)
    except sqlite3.IntegrityError as error:
        check_unique(table, error)
        return False
    return True


def _holders(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], row: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Return the keys of the rows that hold a unique value of a remote row."""
    info = table.tracked.info
    values = dict(zip(info.key_names, row, strict=False))
    values |= dict(zip(columns, row[table.width + 3 :], strict=True))
    found: list[tuple[Any, ...]] = []
    for index in info.unique:
        given = [values.get(name) for name, _ in index.columns]
        if any(value is None for value in given):
            continue  # NULL is equal to nothing; nor can a generated column be known before the row is there
        found += read_all(connection, _holder_sql(table, index, given), given)
    return found


def _holder_sql(table: Table, index: UniqueIndex, given: Sequence[Any]) -> str:
    terms = []
    for place, (name, collation) in enumerate(index.columns):
        mark = f"?{place + 1}"
        value = f"CAST({mark} AS TEXT)" if type(given[place]) is RawText else mark
        terms.append(f"a.{quote(name)} = {value} COLLATE {collation}")
    if index.condition is not None:
        terms.append(f"({index.condition})")
    return f"SELECT {table.app_keys_of('a')} FROM {table.app} AS a WHERE {' AND '.join(terms)}"


def _give_way(
    connection: sqlite3.Connection, table: Table, key: tuple[Any, ...], orphans: Orphans
) -> bool:
    """Refuse the unsent insert of a row that nobody else knows; False where the row is another one."""
    fill_keys(connection, table, [(*key, None)])
    entries = read_entries(
        connection,
        table,
        f"{table.page} AS p CROSS JOIN {table.capture} AS c ON {table.same_key('p', 'c')} WHERE ?",
        (1,),
    ).get(key, [])
    if [(entry.kind, entry.batch, entry.life) for entry in entries] != [("insert", None, None)]:
        return False
    orphans.refuse(table, [key], CODE, REASON)
    return True
