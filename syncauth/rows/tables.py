"""
What a table is, as SQLite itself tells it: keys, columns, unique indexes, foreign keys.

Reads pragmas and the stored SQL only. It must never change anything and never judge: whether a
table can be synchronised is decided in `syncauth.rows.trackable`.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from syncauth.errors import TableNotTrackable
from syncauth.rows.sqltext import affinity, declared_collations, index_condition


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its declared type and affinity, and what the declaration adds to it.

    `collation` is the declared one (BINARY if none is named), `default` the SQL text of the
    default.
    """

    name: str
    declared: str
    affinity: str
    collation: str
    not_null: bool
    default: str | None
    generated: bool


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """A unique index besides the primary key: columns with the index's own collations.

    `condition` is the SQL after WHERE of a partial index. Where `on_expression` is true, `columns`
    lacks the expressions and does not describe the index.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    condition: str | None
    on_expression: bool


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to another table.

    `parent_columns` is empty where the parent's primary key is meant.
    """

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table.

    `key` in the order of the primary key, `columns` all others in the order of declaration.

    `kind` is SQLite's word: "table", "view", "virtual" or "shadow". `rowid_key` says that the key
    is an INTEGER PRIMARY KEY, that is the rowid itself. `key_collations` are those of the primary
    key's index.
    """

    name: str
    kind: str
    key: tuple[Column, ...]
    key_collations: tuple[str, ...]
    rowid_key: bool
    columns: tuple[Column, ...]
    without_rowid: bool
    strict: bool
    unique: tuple[UniqueIndex, ...]
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key columns in the order of the primary key."""
        return tuple(column.name for column in self.key)

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the columns whose values travel: neither key nor generated."""
        return tuple(column.name for column in self.columns if not column.generated)

    @property
    def rowid_name(self) -> str | None:
        """A name by which the rowid can be reached, or None.

        No rowid, or all three names are taken.
        """
        if self.without_rowid:
            return None
        taken = {column.name.lower() for column in (*self.key, *self.columns)}
        return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)


def introspect(connection: sqlite3.Connection, table: str) -> TableInfo:
    """Describe a table of the main schema.

    The name is matched as SQLite does, without regard to case.

    Raises:
        TableNotTrackable: there is no such table (`unknown_table`).
    """
    rows = _fetch(
        connection,
        "SELECT l.name, l.type, l.wr, l.strict, ifnull(m.sql, '') FROM pragma_table_list(?) AS l"
        " LEFT JOIN main.sqlite_master AS m ON m.name = l.name AND m.type IN ('table', 'view')"
        " WHERE l.schema = 'main'",
        (table,),
    )
    if not rows:
        raise TableNotTrackable(
            table=table,
            reason="unknown_table",
            why="the file has no table of this name",
            remedy="Create the table first, or correct the name",
        )
    name, kind, without_rowid, strict, sql = rows[0]
    positions, key_positions = _columns(connection, name, sql, strict=bool(strict))
    key = tuple(column for _, column in sorted(key_positions.items()))
    key_index = _index_of_key(connection, name)
    if key_index is None:
        key_collations = tuple("BINARY" for _ in key)
    else:
        key_collations = tuple(coll for _, coll in _index_columns(connection, key_index))
    return TableInfo(
        name=name,
        kind=kind,
        key=key,
        key_collations=key_collations,
        rowid_key=bool(key) and key_index is None,
        columns=tuple(positions),
        without_rowid=bool(without_rowid),
        strict=bool(strict),
        unique=_unique_indexes(connection, name),
        foreign_keys=_foreign_keys(connection, name),
    )


def _fetch(connection: sqlite3.Connection, sql: str, parameters: tuple[Any, ...]) -> list[Any]:
    """Read plain tuples whatever row factory the connection has."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(sql, parameters).fetchall()


def _columns(
    connection: sqlite3.Connection, table: str, sql: str, *, strict: bool
) -> tuple[list[Column], dict[int, Column]]:
    """Return the columns outside the key, and those of the key by their place in it."""
    collations = {name.lower(): c for name, c in declared_collations(sql).items()}
    others: list[Column] = []
    key: dict[int, Column] = {}
    for name, declared, not_null, default, place, hidden in _fetch(
        connection,
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)'
        " ORDER BY cid",
        (table,),
    ):
        column = Column(
            name=name,
            declared=declared,
            affinity=affinity(declared, strict=strict),
            collation=collations.get(name.lower(), "BINARY").upper(),
            not_null=bool(not_null),
            default=default,
            generated=hidden
            in (2, 3),  # 2 virtual, 3 stored; 1 is a hidden column of a virtual table
        )
        if place:
            key[place] = column
        else:
            others.append(column)
    return others, key


def _index_of_key(connection: sqlite3.Connection, table: str) -> str | None:
    found = _fetch(
        connection, "SELECT name FROM pragma_index_list(?) WHERE origin = 'pk'", (table,)
    )
    return found[0][0] if found else None


def _index_columns(connection: sqlite3.Connection, index: str) -> list[tuple[str | None, str]]:
    """Return name (None: an expression) and collation of each column of an index."""
    return _fetch(
        connection,
        "SELECT name, upper(coll) FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno",
        (index,),
    )


def _unique_indexes(connection: sqlite3.Connection, table: str) -> tuple[UniqueIndex, ...]:
    found = []
    for name, partial, sql in _fetch(
        connection,
        "SELECT l.name, l.partial, m.sql FROM pragma_index_list(?) AS l"
        " LEFT JOIN main.sqlite_master AS m ON m.type = 'index' AND m.name = l.name"
        " WHERE l.\"unique\" = 1 AND l.origin <> 'pk' ORDER BY l.name",
        (table,),
    ):
        columns = _index_columns(connection, name)
        found.append(
            UniqueIndex(
                name=name,
                columns=tuple((column, coll) for column, coll in columns if column is not None),
                condition=index_condition(sql) if partial else None,
                on_expression=any(column is None for column, _ in columns),
            )
        )
    return tuple(found)


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    grouped: dict[int, list[Any]] = {}
    for row in _fetch(
        connection,
        'SELECT id, "from", "table", "to", on_update, on_delete FROM pragma_foreign_key_list(?)'
        " ORDER BY id, seq",
        (table,),
    ):
        grouped.setdefault(row[0], []).append(row)
    return tuple(
        ForeignKey(
            columns=tuple(row[1] for row in rows),
            parent=rows[0][2],
            parent_columns=tuple(row[3] for row in rows if row[3] is not None),
            on_update=rows[0][4],
            on_delete=rows[0][5],
        )
        for _, rows in sorted(grouped.items())
    )
