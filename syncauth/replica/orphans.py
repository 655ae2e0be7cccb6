"""
Local rows that cannot stay: refusing unsent inserts, and with them the rows that refer to them.

When a remote deletion takes a parent away, an unsent insert that refers to it would be refused by the server; it
goes to the dead letters now, and so do those that refer to it in turn. Only values that have vanished in this
transaction are looked for: a reference that was broken before is the app's own business. Edits of rows that the
server knows are left to it, since only it can put them back. This module must never remove a row that the server
knows.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from syncauth.replica.entries import read_entries
from syncauth.replica.page import fill_keys
from syncauth.replica.rowwrites import delete_rows, local_rows, refuse
from syncauth.replica.table import Table
from syncauth.rows.sqltext import quote
from syncauth.rows.values import parameters, read_all, split_raw

CODE: Final = "foreign_key"
REASON: Final = "the row that it refers to was deleted"


@dataclass(frozen=True, slots=True)
class _Reference:
    """A foreign key of a tracked table to a tracked table: equal numbers of columns on both sides."""

    child: Table
    columns: tuple[str, ...]
    parent: Table
    parent_columns: tuple[str, ...]


class Orphans:
    """Collects parents that vanish in one transaction, and refuses the inserts that refer to them."""

    def __init__(self, connection: sqlite3.Connection, tables: Mapping[str, Table]) -> None:
        """Find out which tables refer to which."""
        self._connection = connection
        self._vanished: list[tuple[_Reference, list[Any]]] = []
        self._references: dict[str, list[_Reference]] = defaultdict(list)
        by_name = {name.lower(): table for name, table in tables.items()}
        for child in tables.values():
            for key in child.tracked.info.foreign_keys:
                parent = by_name.get(key.parent.lower())
                if parent is not None:
                    columns = key.parent_columns or parent.tracked.info.key_names
                    self._references[parent.name].append(
                        _Reference(child, key.columns, parent, columns)
                    )

    def collect(self, table: Table) -> None:
        """Note what others may refer to in the rows of the page's keys, before these are deleted."""
        for reference in self._references[table.name]:
            if not self._has_unsent_insert(reference.child):
                continue
            names = ", ".join(table.values_of(reference.parent_columns))
            rows = read_all(
                self._connection,
                f"SELECT {names} FROM {table.page} AS p CROSS JOIN {table.app} AS a ON {table.app_key_is('p')}",
            )
            if rows:
                self._vanished.append((reference, rows))

    def refuse_all(self) -> None:
        """Refuse the unsent inserts whose parents have vanished, and those that refer to them in turn."""
        while self._vanished:
            reference, rows = self._vanished.pop()
            keys = self._children_of(reference, rows)
            if keys:
                self.refuse(reference.child, keys, CODE, REASON)

    def refuse(self, table: Table, keys: Sequence[Any], code: str, reason: str) -> None:
        """Hand the unsent inserts of these rows to the dead letters and remove the rows.

        An insert that ends a life leaves the deletion of that life: that part was not refused.
        """
        fill_keys(self._connection, table, [(*key, None) for key in keys])
        self.collect(table)
        entries = read_entries(
            self._connection,
            table,
            f"{table.page} AS p CROSS JOIN {table.capture} AS c ON {table.same_key('p', 'c')}"
            " WHERE c.batch IS NULL AND c.kind = ?",
            ("insert",),
        )
        here = local_rows(self._connection, table)
        for key, (entry,) in entries.items():
            refuse(self._connection, table, key, entry, here[key], code, reason)
            self._connection.execute(
                f"UPDATE {table.capture} SET kind = 'delete' WHERE entry = ?",
                (entry.entry,),
            )
        self._connection.execute(
            f"DELETE FROM {table.capture} WHERE batch IS NULL AND kind = 'delete' AND life IS NULL"
        )
        delete_rows(self._connection, table)

    def _has_unsent_insert(self, table: Table) -> bool:
        found = self._connection.execute(
            f"SELECT 1 FROM {table.capture} WHERE batch IS NULL AND kind = 'insert' LIMIT 1"
        ).fetchone()
        return found is not None

    def _children_of(self, reference: _Reference, rows: Sequence[Any]) -> list[Any]:
        """Return the keys of unsent inserts that refer to one of the values, none of which is there now."""
        child, parent = reference.child, reference.parent
        names = [f"f{place}" for place in range(len(reference.columns))]
        vanished = f"_sync_vanished_{len(names)}"
        connection = self._connection
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {vanished} ({', '.join(names)})")
        connection.execute(f"DELETE FROM temp.{vanished}")
        for raw, group in split_raw(rows):
            marks = ", ".join(parameters(len(names), raw))
            connection.executemany(f"INSERT INTO temp.{vanished} VALUES ({marks})", group)
        pairs = list(zip(reference.columns, names, reference.parent_columns, strict=True))
        refers = " AND ".join(f"a.{quote(column)} = v.{name}" for column, name, _ in pairs)
        there = " AND ".join(f"q.{quote(column)} = a.{quote(own)}" for own, _, column in pairs)
        return read_all(
            connection,
            f"SELECT DISTINCT {child.keys_of('c')} FROM {child.capture} AS c"
            f" CROSS JOIN {child.app} AS a ON {child.app_key_is('c')}"
            f" CROSS JOIN temp.{vanished} AS v ON {refers}"
            " WHERE c.batch IS NULL AND c.kind = 'insert'"
            f" AND NOT EXISTS (SELECT 1 FROM {parent.app} AS q WHERE {there})",
        )
