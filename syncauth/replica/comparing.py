"""
Rows of a table whose capture was interrupted, compared with those of the server.

A column that differs was edited here unseen, or there. It was edited here for certain if the server's row is no newer
than what this replica had before, or if its column was last written by this very device: then the edit is recorded,
stamped now, and goes its usual way. Otherwise nobody can tell; the server's value is taken and the one that stood here
goes to the dead letters, so that the app can. This module must never write to a table of the app.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from syncauth.replica import dead_letters
from syncauth.replica.entries import Entry
from syncauth.replica.page import Group
from syncauth.replica.rowwrites import Edit, add_updates
from syncauth.replica.table import Table
from syncauth.rows.stamps import RowStamps, device_of, life_of, same_life
from syncauth.rows.values import read_all

_INTERRUPTED: Final = (
    "capture_interrupted",
    "the row was changed here or by another device while the table was rebuilt; the server's value is kept",
)


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs in one row: columns and deltas written here, and values of which that cannot be told."""

    columns: list[str] = field(default_factory=list)
    deltas: dict[str, int] = field(default_factory=dict)
    doubtful: dict[str, Any] = field(default_factory=dict)


def compare(
    connection: sqlite3.Connection,
    table: Table,
    group: Group,
    pending: Mapping[tuple[Any, ...], Sequence[Entry]],
    *,
    known: bool,
    device: str | None,
) -> None:
    """Record what was edited unseen in the rows of a group, whose keys are those of the page at hand.

    `pending` are the entries that wait anyway; `known` says that all these rows had been received before; what
    `device` itself wrote last is as good as known (None: nothing is).
    """
    width, here, edits = table.width, _rows_here(connection, table), list[Edit]()
    for row in group.rows:
        key = tuple(row[:width])
        entries = pending.get(key, ())
        mine = here.get(key)
        begun = any(entry.kind == "insert" for entry in entries)
        if mine is None or begun or not same_life(row[width], life_of(mine[0])):
            continue
        theirs = dict(zip(group.columns, row[width + 3 :], strict=True))
        stamps = RowStamps.read(row[width + 1], row[width + 2])
        found = _differences(table, mine[1], theirs, entries)
        sure = {name for name in found if known or device_of(stamps.of(name)) == device}
        compared = _sort(found, sure, known=known)
        if compared.columns or compared.deltas:
            edits.append(Edit(key, compared.columns, compared.deltas))
        if compared.doubtful:
            code, reason = _INTERRUPTED
            dead_letters.add(
                connection,
                table=table.name,
                kind="update",
                key=key,
                values=compared.doubtful,
                code=code,
                reason=reason,
            )
    add_updates(connection, table, edits)


def _rows_here(
    connection: sqlite3.Connection, table: Table
) -> dict[tuple[Any, ...], tuple[str, dict[str, Any]]]:
    """Return lives and values of those of the page's keys that are here and known to the server."""
    selected = ", ".join([table.keys_of("p"), "r.lives", *table.values_of(table.columns)])
    rows = read_all(
        connection,
        f"SELECT {selected} FROM {table.page} AS p"
        f" CROSS JOIN {table.rows} AS r ON {table.same_key('p', 'r')}"
        f" CROSS JOIN {table.app} AS a ON {table.app_key_is('p')}",
    )
    width = table.width
    return {
        row[:width]: (row[width], dict(zip(table.columns, row[width + 1 :], strict=True)))
        for row in rows
    }


def _differences(
    table: Table, mine: Mapping[str, Any], theirs: Mapping[str, Any], entries: Sequence[Entry]
) -> dict[str, tuple[Any, int | None]]:
    """Return the value here of each column that differs and does not wait anyway, and by how much it counted."""
    waiting = {name for entry in entries for name in entry.columns}
    found: dict[str, tuple[Any, int | None]] = {}
    for name, other in theirs.items():
        own = mine[name]
        if name in waiting:
            continue
        if name in table.tracked.counters and type(own) is int and type(other) is int:
            counted = own - other - sum(entry.deltas.get(name, 0) for entry in entries)
            if counted:
                found[name] = (own, counted)
        elif type(own) is not type(other) or own != other:
            found[name] = (own, None)
    return found


def _sort(found: Mapping[str, tuple[Any, int | None]], sure: set[str], *, known: bool) -> Compared:
    """A counter is added to without a stamp: only in a row that was known is its difference ours."""
    compared = Compared()
    for name, (value, counted) in found.items():
        if counted is not None and known:
            compared.deltas[name] = counted
        elif counted is None and name in sure:
            compared.columns.append(name)
        else:
            compared.doubtful[name] = value
    return compared
