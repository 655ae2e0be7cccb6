"""
Unique values in the way of remote rows: two passes, never REPLACE.

First all rows that the page writes to a table are taken out, so that they can swap values among each other; then
they are placed one by one. A row of this device alone that still holds a needed value goes to the dead letters with
`unique_conflict`. Any other holder is for the server to judge or to move: the remote row waits (`waiting`), and the
state that it had here comes back; whatever of the page has taken its values meanwhile waits, too. So a row that the
app sees never vanishes, and neither does an edit of it. This module must never remove a row that the server knows,
except for placing it again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from syncauth.errors import SyncStopped
from syncauth.replica.entries import read_entries
from syncauth.replica.orphans import Orphans
from syncauth.replica.page import Group, fill_keys
from syncauth.replica.rowwrites import check_unique, delete_rows, upsert_sql
from syncauth.replica.table import Table
from syncauth.rows.sqltext import quote
from syncauth.rows.tables import UniqueIndex
from syncauth.rows.values import RawText, read_all

CODE: Final = "unique_conflict"
REASON: Final = "a row of the server holds the same unique value"

_FAILED: Final = "UNIQUE constraint failed: "


class Candidate(NamedTuple):
    """A row of a group to be placed as `row`, and as the server `sent` it (key…, lives, stamp, stamps, value…)."""

    group: Group
    row: Sequence[Any]
    sent: Sequence[Any]


class Placing(NamedTuple):
    """The rows that were placed, and those that have to wait."""

    placed: list[Candidate]
    waiting: list[Candidate]


def place(
    connection: sqlite3.Connection,
    table: Table,
    candidates: Sequence[Candidate],
    *,
    orphans: Orphans,
) -> Placing:
    """Place rows one by one; see the module."""
    width = table.width
    fill_keys(connection, table, [(*each.row[:width], None) for each in candidates])
    before = _take_out(connection, table)
    result = Placing([], [])
    for each in candidates:
        placed = _place_one(connection, table, each, orphans)
        (result.placed if placed else result.waiting).append(each)
    back = list(result.waiting)
    while back:
        old = before.get(tuple(back.pop().row[:width]))
        if old is not None:
            freed = _put_back(connection, table, old, result.placed)
            result.waiting.extend(freed)
            back.extend(freed)
    return result


def _take_out(connection: sqlite3.Connection, table: Table) -> dict[tuple[Any, ...], Any]:
    """Remove the rows of the page's keys; returns them by their keys, in the layout of a remote row."""
    names = ", ".join([table.app_keys_of("a"), *table.values_of(table.columns)])
    rows = read_all(
        connection,
        f"SELECT {names} FROM {table.page} AS p CROSS JOIN {table.app} AS a ON {table.app_key_is('p')}",
    )
    delete_rows(connection, table)
    width = table.width
    return {row[:width]: (*row[:width], None, None, None, *row[width:]) for row in rows}


def _put_back(
    connection: sqlite3.Connection, table: Table, old: Sequence[Any], placed: list[Candidate]
) -> list[Candidate]:
    """Show the old state of a row that waits; returns those of `placed` that were taken out again for it.

    All old states have stood here together: with the last of `placed` out of the way there is room.
    """
    freed: list[Candidate] = []
    while placed:
        failed = _insert(connection, table, table.columns, old)
        if failed is None:
            return freed
        holders = set(_holders(connection, table, table.columns, old, failed))
        leaving = [each for each in placed if tuple(each.row[: table.width]) in holders]
        leaving = leaving or list(placed)  # the holder of a value of an expression cannot be named
        _withdraw(connection, table, leaving)
        placed[:] = [each for each in placed if each not in leaving]
        freed += leaving
    if _insert(connection, table, table.columns, old) is not None:
        raise SyncStopped(
            code="schema_mismatch",
            why=f"a row of {table.name!r} that stood here finds its place no more",
            remedy="See whether triggers of the app change unique values; nothing was applied",
        )
    return freed


def _withdraw(
    connection: sqlite3.Connection, table: Table, candidates: Sequence[Candidate]
) -> None:
    fill_keys(connection, table, [(*each.row[: table.width], None) for each in candidates])
    delete_rows(connection, table)


def _place_one(
    connection: sqlite3.Connection, table: Table, candidate: Candidate, orphans: Orphans
) -> bool:
    columns, row = candidate.group.columns, candidate.row
    while (failed := _insert(connection, table, columns, row)) is not None:
        holders = _holders(connection, table, columns, row, failed)
        if not holders or not all(_give_way(connection, table, key, orphans) for key in holders):
            return False
    return True


def _insert(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], row: Sequence[Any]
) -> str | None:
    """Place a row; returns SQLite's name for what is unique and in its way."""
    raw = {place for place, value in enumerate(row) if type(value) is RawText}
    given = row if columns else row[: table.width]
    try:
        connection.execute(upsert_sql(table, columns, raw), given)
    except sqlite3.IntegrityError as error:
        check_unique(table, error)
        return str(error)
    return None


def _holders(
    connection: sqlite3.Connection,
    table: Table,
    columns: Sequence[str],
    row: Sequence[Any],
    failed: str,
) -> list[tuple[Any, ...]]:
    """Return the keys of the rows that hold a unique value of a row, in the index that has `failed`.

    Another index would not do: a partial one may not concern the row at all.
    """
    info = table.tracked.info
    values = dict(zip(info.key_names, row, strict=False))
    values |= dict(zip(columns, row[table.width + 3 :], strict=True))
    found: list[tuple[Any, ...]] = []
    for index in info.unique:
        given = [values.get(name) for name, _ in index.columns]
        if failed != _failure(table, index) or any(value is None for value in given):
            continue  # NULL is equal to nothing; nor can a generated column be known before the row is there
        found += read_all(connection, _holder_sql(table, index, given), given)
    return found


def _failure(table: Table, index: UniqueIndex) -> str:
    """Return the message by which SQLite tells that a unique index is violated."""
    return _FAILED + ", ".join(f"{table.name}.{name}" for name, _ in index.columns)


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
