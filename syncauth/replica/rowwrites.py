"""
The statements by which single facts about rows are written: values, known lives, entries, refusals.

All functions work within the caller's transaction, with the capture triggers silent. The rows of a group have the
layout of the wire: key…, lives, stamp, stamps, value…. This module must never use REPLACE.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from syncauth.errors import SyncStopped
from syncauth.replica import dead_letters
from syncauth.replica.entries import Entry
from syncauth.replica.table import Table
from syncauth.rows.capture_sql import NEXT_ENTRY
from syncauth.rows.sqltext import quote
from syncauth.rows.values import parameters, read_all, split_raw

_UNIQUE = (
    sqlite3.SQLITE_CONSTRAINT_UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    sqlite3.SQLITE_CONSTRAINT_ROWID,
)


class Edit(NamedTuple):
    """Columns and deltas of a row that were written, without an entry so far."""

    key: tuple[Any, ...]
    columns: Collection[str]
    deltas: Mapping[str, int]


def upsert_sql(table: Table, columns: Sequence[str], raw: Collection[int]) -> str:
    """SQL that places one row in the app's table, whatever conflict clause its constraints have."""

    def parameter(place: int) -> str:
        return f"CAST(?{place + 1} AS TEXT)" if place in raw else f"?{place + 1}"

    head = table.width + 3
    values = [parameter(place) for place in range(table.width)]
    values += [parameter(head + place) for place in range(len(columns))]
    names = ", ".join([table.app_keys, *(quote(name) for name in columns)])
    changes = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in columns)
    action = f"UPDATE SET {changes}" if columns else "NOTHING"
    return (
        f"INSERT OR ABORT INTO {table.app} ({names}) VALUES ({', '.join(values)})"
        f" ON CONFLICT ({table.app_keys}) DO {action}"
    )


def upsert_rows(
    connection: sqlite3.Connection,
    table: Table,
    columns: Sequence[str],
    rows: Sequence[Any],
    *,
    plain: bool = False,
) -> bool:
    """Place rows in the app's table; return True, with those before it placed, where a unique value is in the way.

    There is no savepoint around them: beneath one SQLite would copy each page again for every row. Nor is one
    needed, since rows that were placed can be placed once more.

    Raises:
        SyncStopped: the app's table does not take a row of the server (`schema_mismatch`).
    """
    try:
        for raw, group in _split(rows, plain=plain):
            given = group if columns else [row[: table.width] for row in group]
            connection.executemany(upsert_sql(table, columns, raw), given)
    except sqlite3.IntegrityError as error:
        check_unique(table, error)
        return True
    return False


def check_unique(table: Table, error: sqlite3.IntegrityError) -> None:
    """Pass if a unique value was in the way; any other constraint tells that two schemas differ."""
    if error.sqlite_errorcode not in _UNIQUE:
        raise SyncStopped(
            code="schema_mismatch",
            why=f"the table {table.name!r} does not take a row of the server: {error}",
            remedy="Give the table the constraints that it has at the server; nothing was applied",
        ) from error


def _split(rows: Sequence[Any], *, plain: bool) -> Iterable[tuple[Collection[int], Sequence[Any]]]:
    """Group rows by the positions of `RawText`; `plain` says that there is none."""
    return [((), rows)] if plain else split_raw(rows)


def upsert_known(
    connection: sqlite3.Connection, table: Table, rows: Sequence[Any], *, plain: bool = False
) -> None:
    """Write (key…, lives, partition id) of known rows."""
    for raw, group in _split(rows, plain=plain):
        values = [
            f"CAST(?{place + 1} AS TEXT)" if place in raw else f"?{place + 1}"
            for place in range(table.width + 2)
        ]
        connection.executemany(
            f"INSERT INTO {table.rows} ({table.keys}, lives, partition) VALUES ({', '.join(values)})"
            f" ON CONFLICT ({table.keys}) DO UPDATE"
            " SET lives = excluded.lives, partition = excluded.partition"
            # An edit of the row changes neither: most known rows need no write at all.
            " WHERE lives <> excluded.lives OR partition IS NOT excluded.partition",
            group,
        )


def delete_rows(connection: sqlite3.Connection, table: Table) -> None:
    """Delete the rows of the page's keys from the app's table."""
    connection.execute(
        f"DELETE FROM {table.app} WHERE ({table.app_keys}) IN (SELECT {table.keys} FROM {table.page})"
    )


def delete_known(connection: sqlite3.Connection, table: Table) -> None:
    """Forget the lives of the page's keys."""
    connection.execute(
        f"DELETE FROM {table.rows} WHERE ({table.keys}) IN (SELECT {table.keys} FROM {table.page})"
    )


def local_rows(
    connection: sqlite3.Connection, table: Table
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return the values, by column, of those of the page's keys that are in the app's table and have entries."""
    selected = ", ".join([table.keys_of("p"), *table.values_of(table.columns)])
    rows = read_all(
        connection,
        f"SELECT {selected} FROM {table.page} AS p"
        f" CROSS JOIN {table.app} AS a ON {table.app_key_is('p')}"
        f" WHERE EXISTS (SELECT 1 FROM {table.capture} AS c WHERE {table.same_key('c', 'p')})",
    )
    width = table.width
    return {row[:width]: dict(zip(table.columns, row[width:], strict=True)) for row in rows}


def clear_columns(
    connection: sqlite3.Connection, table: Table, entry: int, columns: Collection[str]
) -> None:
    """Take columns that have lost out of an unsent update; an empty one goes."""
    lost = _words(table, columns)
    masks = ", ".join(f"m{word} = m{word} & ~{bits}" for word, bits in enumerate(lost))
    connection.execute(f"UPDATE {table.capture} SET {masks} WHERE entry = ?", (entry,))
    empty = [f"{name} = 0" for name in table.tracked.mask_names]
    empty += [f"{name} IS NULL" for name in table.tracked.delta_names]
    connection.execute(
        f"DELETE FROM {table.capture} WHERE entry = ? AND {' AND '.join(empty)}",
        (entry,),
    )


def turn_into_update(
    connection: sqlite3.Connection, table: Table, entry: int, columns: Collection[str]
) -> None:
    """Make an unsent insert the update of these columns of the row that is living at the server."""
    if not columns:
        connection.execute(f"DELETE FROM {table.capture} WHERE entry = ?", (entry,))
        return
    masks = ", ".join(f"m{word} = {bits}" for word, bits in enumerate(_words(table, columns)))
    connection.execute(
        f"UPDATE {table.capture} SET kind = 'update', life = NULL, {masks} WHERE entry = ?",
        (entry,),
    )


def refuse(
    connection: sqlite3.Connection,
    table: Table,
    key: Sequence[Any],
    entry: Entry,
    here: Mapping[str, Any] | None,
    code: str,
    reason: str,
) -> None:
    """Hand an unsent entry, with the values that the row has here, to the dead letters; the entry stays."""
    names = {"insert": table.columns, "update": entry.columns, "delete": ()}[entry.kind]
    values = {name: here[name] for name in names} if here is not None else {}
    dead_letters.add(
        connection,
        table=table.name,
        kind=entry.kind,
        key=key,
        values=values | dict(entry.deltas),
        code=code,
        reason=reason,
    )


def _words(table: Table, columns: Collection[str]) -> list[int]:
    words = [0] * table.tracked.words
    for name in columns:
        word, bit = table.bit(name)
        words[word] |= bit
    return words


def write_entry(connection: sqlite3.Connection, table: Table, entry: Entry) -> None:
    """Write an entry's kind, life, columns and deltas over what it has."""
    terms = [f"m{word} = {bits}" for word, bits in enumerate(_words(table, entry.columns))]
    terms += [f"{table.delta(name)} = ?" for name in table.tracked.counters]
    deltas = [entry.deltas.get(name) for name in table.tracked.counters]
    connection.execute(
        f"UPDATE {table.capture} SET kind = ?, life = ?, {', '.join(terms)} WHERE entry = ?",
        (entry.kind, entry.life, *deltas, entry.entry),
    )


def add_updates(connection: sqlite3.Connection, table: Table, edits: Sequence[Edit]) -> None:
    """Make an unsent update of each edit, all stamped now."""
    if not edits:
        return
    connection.execute(NEXT_ENTRY)
    first, hlc = connection.execute("SELECT entry, hlc FROM _sync_clock").fetchone()
    counters = table.tracked.counters
    rows = [
        (*edit.key, entry, hlc, *_words(table, edit.columns), *map(edit.deltas.get, counters))
        for entry, edit in enumerate(edits, first)
    ]
    names = ["entry", "hlc", *table.tracked.mask_names, *table.tracked.delta_names]
    for raw, group in split_raw(rows):
        connection.executemany(
            f"INSERT INTO {table.capture} (kind, {table.keys}, {', '.join(names)})"
            f" VALUES ('update', {', '.join(parameters(len(group[0]), raw))})",
            group,
        )
    connection.execute("UPDATE _sync_clock SET entry = ?", (first + len(edits) - 1,))


def count_entries(connection: sqlite3.Connection, table: Table) -> None:
    """Bring the clock up to the entries that were numbered by a statement itself."""
    connection.execute(
        f"UPDATE _sync_clock SET entry = max(entry, (SELECT ifnull(max(entry), 0) FROM {table.capture}))"
    )
