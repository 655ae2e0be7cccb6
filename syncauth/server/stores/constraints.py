"""
What a table refuses, in the words of the catalogue, and the foreign keys that SQLite does not enforce here.

References are checked for the rows of a batch alone: a row written must find its parents, and a row that has gone
or changed must leave no child behind. NULL refers to nothing. This module must never change a row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from syncauth.rows.sqltext import quote
from syncauth.rows.tables import introspect
from syncauth.rows.values import equal_to
from syncauth.server.stores.rows_schema import LIVING
from syncauth.server.stores.served import Served
from syncauth.server.stores.versions import Versions


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change is refused; the code is of the catalogue."""

    code: str
    reason: str


MISSING_PARENT: Final = Refusal("foreign_key", "a row that it refers to is not there")
LEFT_CHILD: Final = Refusal("foreign_key", "another row still refers to it")


REASON_LENGTH: Final = 300
"""So much of SQLite's message is told: it may repeat a whole CHECK, and ten thousand rows may break it."""


def refusal_of(error: sqlite3.IntegrityError) -> Refusal:
    """Name what a table refused; SQLite's message names columns and never values."""
    reason = str(error)[:REASON_LENGTH]
    if error.sqlite_errorcode in (
        sqlite3.SQLITE_CONSTRAINT_UNIQUE,
        sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY,
    ):
        return Refusal("unique_conflict", reason)
    if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return Refusal("change_rejected", reason)
    return Refusal("constraint", reason)


@dataclass(frozen=True, slots=True)
class Reference:
    """One foreign key: columns of a child table and, in their order, the columns of its parent."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]

    @property
    def missing(self) -> str:
        """The condition that row `a` of the child refers to a parent that is not there."""
        given = " AND ".join(f"a.{quote(name)} IS NOT NULL" for name in self.columns)
        pairs = zip(self.columns, self.parent_columns, strict=True)
        same = " AND ".join(f"p.{quote(theirs)} = a.{quote(ours)}" for ours, theirs in pairs)
        parent = quote(self.parent)
        return f"{given} AND NOT EXISTS (SELECT 1 FROM {parent} AS p WHERE {same})"


class References:
    """All foreign keys of a file in which a served table has a part."""

    def __init__(self, connection: sqlite3.Connection, served: Mapping[str, Served]) -> None:
        """Read them."""
        self._connection = connection
        self._served = served
        self._all = [
            reference
            for reference in _read(connection)
            if reference.child in served or reference.parent in served
        ]

    def referenced(self, table: Served) -> tuple[str, ...]:
        """Name the columns of a table by which other rows refer to its rows."""
        names = {
            name
            for reference in self._all
            if reference.parent == table.name
            for name in reference.parent_columns
        }
        return tuple(sorted(names))

    def need_rows(self, table: Served, kind: str, columns: Sequence[str]) -> bool:
        """Tell whether changes must be judged one by one: values outside the key may leave a child behind."""
        outside = set(self.referenced(table)) - set(table.info.key_names)
        return bool(outside) and (kind == "delete" or not outside.isdisjoint(columns))

    def broken(self, versions: Versions) -> bool:
        """Tell whether a row written in this transaction lacks a parent, or one that has gone left a child."""
        return any(
            self._without_parent(reference, versions) or self._left_child(reference, versions)
            for reference in self._all
        )

    def _without_parent(self, reference: Reference, versions: Versions) -> bool:
        table = self._served.get(reference.child)
        if table is None:
            return False
        sql = (
            f"SELECT 1 FROM {table.rows} AS r JOIN {table.app} AS a ON a."
            f"{quote(table.partition_column)} = (SELECT name FROM _sync_partitions WHERE id = r.part)"
            f" AND {table.same_row('r', 'a')} WHERE r.part = ? AND r.version > ?"
            f" AND r.deleted = {LIVING} AND {reference.missing} LIMIT 1"
        )
        return self._any(sql, versions)

    def _left_child(self, reference: Reference, versions: Versions) -> bool:
        table = self._served.get(reference.parent)
        if table is None or not {*reference.parent_columns} <= {*table.info.key_names}:
            return False  # `need_rows` has had it judged row by row
        ours = dict(zip(table.key, (f"r.{name}" for name in table.our_keys), strict=True))
        ours[table.partition_column] = "(SELECT name FROM _sync_partitions WHERE id = r.part)"
        pairs = zip(reference.columns, reference.parent_columns, strict=True)
        same = " AND ".join(f"a.{quote(name)} = {ours[theirs]}" for name, theirs in pairs)
        sql = (
            f"SELECT 1 FROM {table.rows} AS r JOIN {quote(reference.child)} AS a ON {same}"
            f" WHERE r.part = ? AND r.version > ? AND r.deleted <> {LIVING} AND {reference.missing}"
            " LIMIT 1"
        )
        return self._any(sql, versions)

    def _any(self, sql: str, versions: Versions) -> bool:
        return any(
            self._connection.execute(sql, (part, versions.before(part))).fetchone()
            for part in versions.written
        )

    def check_row(
        self,
        table: Served,
        partition: str,
        key: Sequence[Any],
        before: Mapping[str, Any] | None,
    ) -> Refusal | None:
        """Check one row that was just changed; `before` are the values by which others referred to it."""
        place = (partition, *key)
        at_app = equal_to(table.names(table.info.key_names, "a"), place)
        for reference in self._all:
            if reference.child == table.name:
                sql = f"SELECT 1 FROM {table.app} AS a WHERE {at_app} AND {reference.missing}"
                if self._connection.execute(sql, place).fetchone():
                    return MISSING_PARENT
            if reference.parent == table.name and before is not None:
                given = [before[name] for name in reference.parent_columns]
                same = equal_to([f"a.{quote(name)}" for name in reference.columns], given)
                sql = f"SELECT 1 FROM {quote(reference.child)} AS a WHERE {same} AND {reference.missing}"
                if self._connection.execute(sql, given).fetchone():
                    return LEFT_CHILD
        return None


def _read(connection: sqlite3.Connection) -> list[Reference]:
    names = connection.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'table'"
        " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_sync\\_%' ESCAPE '\\'"
    ).fetchall()
    found = []
    for (name,) in names:
        for key in introspect(connection, name).foreign_keys:
            parent = introspect(connection, key.parent)
            columns = key.parent_columns or parent.key_names
            found.append(Reference(name, key.columns, parent.name, columns))
    return found
