"""
A served table: what the configuration and the schema file say about it, and the SQL that is made of that.

The server's table has a primary key that begins with the partition column; the key that devices know is the rest.
Our own table about its rows names these key columns k0, k1 … All checks are made once, at the start. This module
must never execute anything but the reading of the schema, and never hold a value of a row.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from syncauth.errors import InvalidConfig, TableNotTrackable
from syncauth.rows.sqltext import quote
from syncauth.rows.tables import TableInfo, introspect
from syncauth.sansio.messages import TableShape
from syncauth.server.settings.config import ServedTable
from syncauth.server.stores.rows_schema import rows_table

_CONFLICT: Final = re.compile(r"\bconflict\b", re.IGNORECASE)


@dataclass(frozen=True)
class Served:
    """One served table; `by_user` says that rows belong to the partition `user:<id>` of whoever wrote them.

    `resolves` says that its declaration seems to have conflict clauses: a constraint of it may drop or replace
    rows instead of refusing them.
    """

    number: int
    info: TableInfo
    partition_column: str
    by_user: bool
    counters: tuple[str, ...]
    resolves: bool

    @property
    def name(self) -> str:
        """The name of the table."""
        return self.info.name

    @functools.cached_property
    def app(self) -> str:
        """The table as an SQL identifier."""
        return quote(self.info.name)

    @functools.cached_property
    def insert(self) -> str:
        """The begin of a statement that inserts into the table and fails where a constraint is broken.

        The statement's clause overrides those of the table. It overrides those within triggers, too, so it stands
        only where it is needed: a trigger may well have its own INSERT OR IGNORE.
        """
        return f"INSERT {'OR ABORT ' if self.resolves else ''}INTO {self.app}"

    @functools.cached_property
    def update(self) -> str:
        """The begin of a statement that updates the table; see `insert`."""
        return f"UPDATE {'OR ABORT ' if self.resolves else ''}{self.app}"

    @functools.cached_property
    def rows(self) -> str:
        """The table about its rows."""
        return rows_table(self.number)

    @functools.cached_property
    def key(self) -> tuple[str, ...]:
        """The key columns that devices know."""
        return self.info.key_names[1:]

    @functools.cached_property
    def width(self) -> int:
        """How many they are."""
        return len(self.key)

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns whose values travel, without the key; in mode "column" the partition is one of them."""
        own = () if self.by_user else (self.partition_column,)
        return (*own, *self.info.value_names)

    @functools.cached_property
    def affinities(self) -> dict[str, str]:
        """The affinity of each column, key and partition included."""
        return {each.name: each.affinity for each in (*self.info.key, *self.info.columns)}

    @functools.cached_property
    def our_keys(self) -> tuple[str, ...]:
        """The key columns in our own table."""
        return tuple(f"k{place}" for place in range(self.width))

    @functools.cached_property
    def at_row(self) -> str:
        """The condition for one row of our own table; its parameters are part and key."""
        return " AND ".join(f"{name} = ?" for name in ("part", *self.our_keys))

    @functools.cached_property
    def at_app(self) -> str:
        """The condition for one row of the served table; its parameters are partition and key."""
        return " AND ".join(f"{quote(name)} = ?" for name in self.info.key_names)

    def same_row(self, ours: str, app: str) -> str:
        """The condition that both tables, by their aliases, have the same key; the partition is not compared."""
        pairs = zip(self.our_keys, self.key, strict=True)
        return " AND ".join(f"{app}.{quote(name)} = {ours}.{our}" for our, name in pairs)

    def names(self, columns: Collection[str], alias: str = "") -> list[str]:
        """Return columns as SQL identifiers."""
        dot = f"{alias}." if alias else ""
        return [f"{dot}{quote(name)}" for name in columns]

    @functools.cached_property
    def shape(self) -> TableShape:
        """The table as a device is told of it."""
        return TableShape(
            table=self.name,
            key=list(self.key),
            columns=list(self.columns),
            counters=list(self.counters),
        )


def describe(connection: sqlite3.Connection, number: int, table: ServedTable) -> Served:
    """Read and check one served table.

    Raises:
        InvalidConfig: the schema file does not give it the shape that the configuration needs.
    """
    try:
        info = introspect(connection, table.name)
    except TableNotTrackable as error:
        raise _refused(table, "the schema file has no such table", "Create it there") from error
    if info.kind != "table" or info.name != table.name:
        why = f"the schema file has a {info.kind} named {info.name!r}"
        raise _refused(table, why, "Serve tables only, by their exact names")
    if not info.key[1:] or info.key[0].name != table.partition_column:
        why = f"its primary key is ({', '.join(info.key_names)})"
        remedy = f"Declare PRIMARY KEY ({table.partition_column}, …) with the devices' key after it"
        raise _refused(table, why, remedy)
    _check_key(table, info)
    _check_counters(table, info)
    (sql,) = connection.execute(
        "SELECT sql FROM main.sqlite_master WHERE type = 'table' AND name = ?", (info.name,)
    ).fetchone()
    return Served(
        number,
        info,
        table.partition_column,
        by_user=table.partition == "user",
        counters=table.counters,
        resolves=_CONFLICT.search(sql) is not None,
    )


def _check_key(table: ServedTable, info: TableInfo) -> None:
    for column, collation in zip(info.key, info.key_collations, strict=True):
        if collation != "BINARY":
            why = f"the key column {column.name!r} has the collation {collation}"
            raise _refused(table, why, "Keys are compared as they are: use BINARY")
        if not column.not_null and not info.without_rowid:
            why = f"the key column {column.name!r} may be NULL"
            raise _refused(table, why, "Declare it NOT NULL")


def _check_counters(table: ServedTable, info: TableInfo) -> None:
    integers = {column.name for column in info.columns if column.affinity == "INTEGER"}
    for name in table.counters:
        if name not in integers or name not in info.value_names:
            why = f"the counter {name!r} is no INTEGER column outside the key"
            raise _refused(table, why, "Correct the name or declare the column as INTEGER")


def _refused(table: ServedTable, why: str, remedy: str) -> InvalidConfig:
    what = f"the table {table.name!r} cannot be served"
    return InvalidConfig(what, setting=f"tables.{table.name}", why=why, remedy=remedy)


def misfit(served: dict[str, Served], shapes: Sequence[TableShape]) -> tuple[str, str] | None:
    """Return code and message if tables of a device do not fit those served here, or None."""
    for shape in shapes:
        table = served.get(shape.table)
        if table is None:
            return "unknown_table", f"there is no table {shape.table!r} here"
        if tuple(shape.key) != table.key:
            message = f"the key of {shape.table!r} is {list(table.key)} here, not {shape.key}"
            return "schema_mismatch", message
        unknown = [name for name in shape.columns if name not in table.columns]
        if unknown or len(set(shape.columns)) != len(shape.columns):
            return "schema_mismatch", f"{shape.table!r} has no columns {unknown} here"
        if set(shape.counters) != {name for name in table.counters if name in shape.columns}:
            message = f"the counters of {shape.table!r} are {list(table.counters)} here"
            return "schema_mismatch", f"{message}, not {shape.counters}"
        if not table.by_user and table.partition_column not in shape.columns:
            message = f"{shape.table!r} needs the column {table.partition_column!r}, its partition"
            return "schema_mismatch", message
    return None
