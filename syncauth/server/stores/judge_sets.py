"""
The fast way to judge a group of changes: all rows of it at once, or none.

It holds for what nearly always is the case: inserted keys are new, updates and deletions name the life that is
there, and no column has a newer write. Each such assumption stands in the WHERE of the statement, and the number
of rows that it changed tells whether it held for all. If not, or if the table refuses a row, everything of the
group is undone and `judge_rows` judges it row by row. This module must never decide who wins.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from syncauth.rows.stamps import make_stamp
from syncauth.rows.values import RawText, split_raw
from syncauth.server.stores.affinities import held_unaltered
from syncauth.server.stores.batch import Group
from syncauth.server.stores.rows_schema import LIVING, TOMBSTONE
from syncauth.server.stores.served import Served
from syncauth.server.stores.versions import Versions


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: the device's number here, its id, the HLCs that were cut, and the versions of the commit."""

    number: int
    device: str
    cut: dict[int, int]
    versions: Versions

    def stamp(self, entry: int, hlc: int) -> str:
        """Return the stamp that a change counts with."""
        return make_stamp(self.cut.get(entry, hlc), self.device)

    def stamps(self, group: Group) -> list[str]:
        """Return the stamps of all rows of a group."""
        at = group.table.width
        if self.cut:
            return [self.stamp(row[at], row[at + 1]) for row in group.rows]
        device = self.device
        return [f"{row[at + 1]:016x}{device}" for row in group.rows]


def judge_set(connection: sqlite3.Connection, writer: Writer, group: Group) -> bool:
    """Apply the whole group and return True, or change nothing and return False."""
    if group.targeted or not isinstance(group.partition, str) or not group.partition:
        return False
    if not held_unaltered(group) or any(RawText in map(type, keys) for keys in _key_columns(group)):
        return False
    apply = {"insert": _insert, "update": _update, "delete": _delete}[group.kind]
    connection.execute("SAVEPOINT judge_set")
    try:
        done = apply(connection, writer, group)
    except sqlite3.IntegrityError:
        done = False
    if not done:
        connection.execute("ROLLBACK TO judge_set")
    connection.execute("RELEASE judge_set")
    return done


def _insert(connection: sqlite3.Connection, writer: Writer, group: Group) -> bool:
    """Insert rows whose keys have never been here."""
    table, width, count = group.table, group.table.width, len(group.rows)
    part = writer.versions.number(group.partition)
    first = writer.versions.take(part, count)
    stamps = writer.stamps(group)
    device = writer.device
    lives = [f"{row[width + 1]:016x}{device}" for row in group.rows] if writer.cut else stamps
    keys = _key_columns(group)
    marks = ", ".join("?" * (width + 1))
    cursor = connection.executemany(
        f"INSERT INTO {table.rows} (part, {', '.join(table.our_keys)}, lives, stamp, version,"
        f" commit_id, origin) VALUES ({part}, {marks}, ?, ?, {writer.versions.commit}, {writer.number})"
        " ON CONFLICT DO NOTHING",
        zip(*keys, lives, stamps, range(first, first + count), strict=True),
    )
    if cursor.rowcount != count:
        return False
    names = table.names([table.partition_column, *table.key, *group.columns])
    head = width + 3
    places = [*range(width), *range(head, head + len(group.columns))]
    for raw, rows in _split(group):
        values = ", ".join([_partition(group), *_marks(places, raw)])
        if not group.columns:  # sqlite3 wants as many values as the highest mark says
            rows = [row[:width] for row in rows]  # noqa: PLW2901
        connection.executemany(f"{table.insert} ({', '.join(names)}) VALUES ({values})", rows)
    return True


def _update(connection: sqlite3.Connection, writer: Writer, group: Group) -> bool:
    """Write columns of living rows of the lives named, none of which has a newer write."""
    table, count = group.table, len(group.rows)
    if not _stamp_rows(connection, writer, group, count):
        return False
    width = table.width
    head, columns, deltas = width + 3, group.columns, group.deltas
    for raw, rows in _split(group):
        terms = [
            f"{name} = {value}"
            for name, value in zip(
                table.names(columns), _marks(range(head, head + len(columns)), raw), strict=True
            )
        ]
        terms += [
            added(name, f"?{head + len(columns) + place + 1}")
            for place, name in enumerate(table.names(deltas))
        ]
        if not terms:
            continue  # a row that was replaced by its like
        key = " AND ".join(
            f"{name} = ?{place}" for place, name in enumerate(table.names(table.key), 1)
        )
        cursor = connection.executemany(
            f"{table.update} SET {', '.join(terms)}"
            f" WHERE {table.names([table.partition_column])[0]} = {_partition(group)} AND {key}",
            rows,
        )
        if cursor.rowcount != len(rows):
            return False  # another program has taken a row away
    return True


def _stamp_rows(connection: sqlite3.Connection, writer: Writer, group: Group, count: int) -> bool:
    """Give all rows of an update their new stamps and versions, if the update wins in all of them."""
    table = group.table
    part = writer.versions.number(group.partition)
    first = writer.versions.take(part, count)
    keys = _key_columns(group)
    lives = [row[table.width + 2] for row in group.rows]
    stamps = writer.stamps(group)
    terms, wins = stamping(table, group.columns)
    cursor = connection.executemany(
        f"UPDATE {table.rows} SET {terms}version = ?1, commit_id = {writer.versions.commit},"
        f" origin = {writer.versions.origin(part)}"
        f" WHERE part = {part} AND {_key_from(table, 4)} AND deleted = {LIVING}"
        f" AND instr(lives, ?2){wins}",
        zip(range(first, first + count), lives, stamps, *keys, strict=True),
    )
    return cursor.rowcount == count


def stamping(table: Served, columns: Sequence[str]) -> tuple[str, str]:
    """Return the SQL that gives columns the stamp ?3, and the condition that none has a newer one."""
    if not columns:
        return "", " AND ?3 IS NOT NULL"
    if set(columns) >= {*table.columns}:  # a partition that is a column has a stamp, too
        terms = "stamp = ?3, stamps = NULL, newest = NULL, "
    else:
        names = ", ".join(f"{_text(name)}, ?3" for name in columns)
        terms = f"stamps = json_patch(ifnull(stamps, '{{}}'), json_object({names})), newest = ?3, "
    return terms, " AND ?3 >= ifnull(newest, stamp)"


def _delete(connection: sqlite3.Connection, writer: Writer, group: Group) -> bool:
    """Delete living rows of the lives named."""
    table, width, count = group.table, group.table.width, len(group.rows)
    part = writer.versions.number(group.partition)
    first = writer.versions.take(part, count)
    keys = _key_columns(group)
    lives = [row[width + 2] for row in group.rows]
    cursor = connection.executemany(
        f"UPDATE {table.rows} SET deleted = {TOMBSTONE}, stamp = ?3, stamps = NULL, newest = NULL,"
        f" version = ?1, commit_id = {writer.versions.commit},"
        f" origin = {writer.versions.origin(part)}"
        f" WHERE part = {part} AND {_key_from(table, 4)} AND deleted = {LIVING} AND instr(lives, ?2)",
        zip(range(first, first + count), lives, writer.stamps(group), *keys, strict=True),
    )
    if cursor.rowcount != count:
        return False
    connection.executemany(
        f"DELETE FROM {table.app} WHERE {table.at_app}",
        [(group.partition, *row[:width]) for row in group.rows],
    )
    return True


def _key_columns(group: Group) -> list[list[Any]]:
    return [list(map(itemgetter(place), group.rows)) for place in range(group.table.width)]


def added(name: str, delta: str) -> str:
    """Return the SQL that adds a delta to a counter; what is no number, NULL among it, stays as it is."""
    return f"{name} = CASE WHEN typeof({name}) IN ('integer', 'real') THEN {name} + {delta} ELSE {name} END"


def _key_from(table: Served, first: int) -> str:
    return " AND ".join(f"{name} = ?{first + place}" for place, name in enumerate(table.our_keys))


def _marks(places: Iterable[int], raw: Iterable[int]) -> list[str]:
    cast = set(raw)
    return [f"CAST(?{place + 1} AS TEXT)" if place in cast else f"?{place + 1}" for place in places]


def _split(group: Group) -> Iterable[tuple[frozenset[int], Sequence[Any]]]:
    """Group the rows by the positions of texts that are no valid UTF-8."""
    return [(frozenset(), group.rows)] if group.plain else split_raw(group.rows)


def _partition(group: Group) -> str:
    """Return the name of the partition as SQL, so that rows are bound as they are, without it."""
    return f"CAST(x'{group.partition.encode().hex()}' AS TEXT)"


def _text(name: str) -> str:
    """Return the name of a column as an SQL text, to be a name within the stamps."""
    return "'" + name.replace("'", "''") + "'"
