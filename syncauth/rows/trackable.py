"""
Whether a table can be synchronised: each refusal with its reason and its remedy.

The reasons are the fixed words of `TableNotTrackable`. This module must never change the table or
guess what the app meant; it looks and says no.
"""

from __future__ import annotations

import sqlite3

from syncauth.errors import TableNotTrackable
from syncauth.models import TableSpec
from syncauth.rows.tables import TableInfo

RESERVED_PREFIX = "_sync_"

MAX_RESULT_COLUMNS = 2000
"""How many columns SQLite gives in one result (SQLITE_MAX_COLUMN)."""


def check_trackable(connection: sqlite3.Connection, info: TableInfo, spec: TableSpec) -> None:
    """Refuse a table that cannot be synchronised as it is declared.

    Raises:
        TableNotTrackable: the first reason found; nothing was changed.
    """
    for check in (_check_kind, _check_width, _check_key, _check_indexes, _check_counters):
        check(info, spec)
    _check_triggers(connection, info, spec)


def _refuse(info: TableInfo, reason: str, why: str, remedy: str) -> TableNotTrackable:
    return TableNotTrackable(table=info.name, reason=reason, why=why, remedy=remedy)


def _check_kind(info: TableInfo, _: TableSpec) -> None:
    if info.kind == "view":
        raise _refuse(
            info, "view", "it is a view, which holds no rows", "Synchronise the tables beneath it"
        )
    if info.kind != "table":
        raise _refuse(
            info,
            "virtual_table",
            "it is a virtual table or belongs to one, and SQLite fires no triggers on these",
            "Synchronise an ordinary table and fill the virtual one from it by local triggers",
        )
    names = [info.name, *(column.name for column in (*info.key, *info.columns))]
    reserved = [name for name in names if name.lower().startswith(RESERVED_PREFIX)]
    if reserved:
        raise _refuse(
            info,
            "reserved_name",
            f"the name {reserved[0]!r} begins with {RESERVED_PREFIX}, which is kept for syncauth",
            "Choose another name",
        )


def _check_width(info: TableInfo, spec: TableSpec) -> None:
    """A row is read in one result, together with what an update is sorted by when a batch is cut."""
    values = len(info.value_names)
    read = len(info.key) + values + 2 * len(spec.counters) + values // 63 + 8
    if read > MAX_RESULT_COLUMNS:
        raise _refuse(
            info,
            "too_many_columns",
            f"its {values} columns, read together with what is known of them, are more than the"
            f" {MAX_RESULT_COLUMNS} that SQLite gives in one result",
            "Move some of the columns into a second table with the same key",
        )


def _check_key(info: TableInfo, spec: TableSpec) -> None:
    if not info.key:
        raise _refuse(
            info,
            "no_primary_key",
            "it has no primary key, so that rows cannot be told apart on another device",
            'Add one, for instance "id" TEXT NOT NULL PRIMARY KEY with values of syncauth.new_id()',
        )
    for column, collation in zip(info.key, info.key_collations, strict=True):
        if not column.declared:
            raise _refuse(
                info,
                "key_without_type",
                f"the key column {column.name!r} has no declared type,"
                " so that 1 and '1' are two keys",
                "Declare its type, for instance TEXT",
            )
        if collation != "BINARY" or column.collation != "BINARY":
            raise _refuse(
                info,
                "key_collation",
                f"the key column {column.name!r} has another collation than BINARY, so that devices"
                " may disagree which keys are equal",
                "Remove COLLATE from the key; a unique index may have it",
            )
        if not column.not_null and not info.rowid_key:
            raise _refuse(
                info,
                "nullable_key",
                f"the key column {column.name!r} may be NULL: outside WITHOUT ROWID and STRICT"
                " tables SQLite allows that in a primary key, any number of times",
                "Declare it NOT NULL; with sqlite-utils"
                f" db[{info.name!r}].create(…, pk={_pk(info)}, {_not_null(info)}),"
                f" or for a table that is there db[{info.name!r}].transform({_not_null(info)})",
            )
    if info.rowid_key and not spec.key_by_app:
        raise _refuse(
            info,
            "integer_primary_key",
            "its key is an INTEGER PRIMARY KEY: two devices would both make row 1",
            "Use a TEXT key with values of syncauth.new_id(), or declare"
            ' keys="assigned by the app" if the app gives numbers that no other device gives',
        )


def _pk(info: TableInfo) -> str:
    return repr(info.key_names[0]) if len(info.key) == 1 else repr(info.key_names)


def _not_null(info: TableInfo) -> str:
    return f"not_null={{{', '.join(map(repr, info.key_names))}}}"


def _check_indexes(info: TableInfo, _: TableSpec) -> None:
    for index in info.unique:
        if index.on_expression:
            raise _refuse(
                info,
                "expression_index",
                f"the unique index {index.name!r} is on an expression,"
                " so that rows which REPLACE removes cannot be foretold",
                "Add a generated column with the expression and put the unique index on it",
            )


def _check_counters(info: TableInfo, spec: TableSpec) -> None:
    columns = {column.name: column for column in info.columns}
    for name in spec.counters:
        column = columns.get(name)
        if column is None and name not in info.key_names:
            raise _refuse(
                info, "unknown_column", f"it has no column {name!r} to count", "Correct the name"
            )
        if column is None or column.generated or column.affinity != "INTEGER":
            raise _refuse(
                info,
                "counter_not_integer",
                f"the counter {name!r} is not an ordinary column of type INTEGER",
                "Declare the column INTEGER, or do not name it as a counter",
            )


def _check_triggers(connection: sqlite3.Connection, info: TableInfo, spec: TableSpec) -> None:
    if spec.local_triggers:
        return
    cursor = connection.cursor()
    cursor.row_factory = None
    found = cursor.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?)"
        " AND lower(substr(name, 1, 6)) <> '_sync_' ORDER BY name",
        (info.name,),
    ).fetchone()
    if found:
        raise _refuse(
            info,
            "app_trigger",
            f"the trigger {found[0]!r} on it would fire again on every device",
            "Drop it, or declare the table's triggers local if they write only tables that are not"
            " synchronised (full-text search, for instance)",
        )
