"""
What a result shows of the rows whose changes were refused: their present state, as much as one message carries.

The device writes these rows over what was refused, so none may be shown in part. Living rows beyond `SHOWN_BYTES`
are left out and get a new version instead, for which the next page brings them. Rows that are gone, or not there,
are small and always shown: only here does a removal hold whatever the device thought of the row. This module must
never change a value of a row.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from syncauth.rows.values import encode_rows, equal_to
from syncauth.sansio.messages import Section, TableShape
from syncauth.server.stores.changes import Change
from syncauth.server.stores.pages import present_state
from syncauth.server.stores.rows_interface import Access
from syncauth.server.stores.rows_schema import LIVING
from syncauth.server.stores.served import Served
from syncauth.server.stores.versions import Versions

SHOWN_BYTES: Final = 1_000_000
"""So many bytes of values of living rows stand in one result; the next page brings the others."""

Key = tuple[Any, ...]


def show(
    connection: sqlite3.Connection,
    access: Mapping[str, Access],
    changes: Sequence[Change],
    shapes: Sequence[TableShape],
    versions: Versions,
) -> list[Section]:
    """Return the present state of all rows that a refusal names; what the user may not read, as gone away."""
    by_place: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        by_place[change.table.name, str(change.partition or "")].append(change)
    known = {shape.table: shape for shape in shapes}
    sections: list[Section] = []
    room = SHOWN_BYTES
    for (name, partition), each in by_place.items():
        table = each[0].table
        keys = list(dict.fromkeys(change.key for change in each))
        if partition in access:
            shape = known.get(name, table.shape)
            fit, room = _that_fit(connection, table, shape, partition, keys, room)
            later = _send_later(connection, table, partition, keys[fit:], versions)
            shown = [key for key in keys if key not in later]
            sections += present_state(connection, table, shape, partition, shown)
        else:
            _send_when_readable(connection, table, partition, each, versions)
            sections.append(_exit(name, partition, keys))
    return sections


def _exit(table: str, partition: str, keys: Sequence[Key]) -> Section:
    rows = [list(row) for row in encode_rows(keys)]
    return Section(table=table, kind="exit", rows=rows, partition=partition)


def _that_fit(
    connection: sqlite3.Connection,
    table: Served,
    shape: TableShape,
    partition: str,
    keys: Sequence[Key],
    room: int,
) -> tuple[int, int]:
    """Return how many of the rows, from the first on, there is room for, and what room is left."""
    sizes = [f"ifnull(length(CAST({name} AS BLOB)), 0)" for name in table.names(shape.columns)]
    size = " + ".join(["0", *sizes])
    for place, key in enumerate(keys):
        row = _app_row(connection, table, size, partition, key)
        taken = 0 if row is None else int(row[0])
        if taken > room:
            return place, 0
        room -= taken
    return len(keys), room


def _send_when_readable(
    connection: sqlite3.Connection,
    table: Served,
    partition: str,
    changes: Sequence[Change],
    versions: Versions,
) -> None:
    """Give rows that the device is about to remove a new version: should it read them again, they are news.

    Only whoever has read a row knows its life: nobody else can have it sent to its readers once more.
    """
    for change in changes:
        if change.life is None or _app_row(connection, table, "1", partition, change.key) is None:
            continue
        part = versions.number(partition)
        at_row = equal_to(("part", *table.our_keys), (part, *change.key))
        connection.execute(
            f"UPDATE {table.rows} SET version = ?, commit_id = ?, origin = NULL"
            f" WHERE instr(lives, ?) AND {at_row}",
            (
                versions.take(part, 1, told=False),
                versions.commit,
                change.life,
                part,
                *change.key,
            ),
        )


def _send_later(
    connection: sqlite3.Connection,
    table: Served,
    partition: str,
    keys: Sequence[Key],
    versions: Versions,
) -> frozenset[Key]:
    """Give the living ones of the rows a new version, under which the device itself is sent them, too."""
    later = []
    for key in keys:
        if _app_row(connection, table, "1", partition, key) is None:
            continue
        part = versions.number(partition)
        cursor = connection.execute(
            f"UPDATE {table.rows} SET version = ?, commit_id = ?, origin = NULL WHERE deleted = {LIVING} AND part = ?"
            f" AND {equal_to(table.our_keys, key)}",
            (versions.take(part, 1, told=False), versions.commit, part, *key),
        )
        if cursor.rowcount:
            later.append(key)
    return frozenset(later)


def _app_row(
    connection: sqlite3.Connection, table: Served, what: str, partition: str, key: Key
) -> tuple[Any, ...] | None:
    """Read something about a row of the served table; None if it is not there."""
    place = (partition, *key)
    at_row = equal_to(table.names(table.info.key_names), place)
    row: tuple[Any, ...] | None = connection.execute(
        f"SELECT {what} FROM {table.app} WHERE {at_row}", place
    ).fetchone()
    return row
