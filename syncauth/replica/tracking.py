"""
Which tables are tracked: registering them, giving ids to tables and columns, keeping their triggers in place.

A table's id and its columns' ids are given once and never reused: entries in the outbox speak of them. Rows that
are there when a table is first tracked become inserts stamped 0. After any change of the schema the triggers are
verified; where they were missing, what happened meanwhile is found out as far as it can be (`restoring`). Every
function works inside the transaction of its caller. This module must never change a row of the app.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from syncauth.errors import TableNotTrackable
from syncauth.models import TableSpec
from syncauth.replica import downloads, restoring
from syncauth.replica.rowwrites import count_entries
from syncauth.replica.table import Table
from syncauth.rows import capture
from syncauth.rows.capture_sql import NEXT_ENTRY
from syncauth.rows.capture_tables import Tracked, mask_bit
from syncauth.rows.capture_triggers import trigger_sql
from syncauth.rows.sqltext import quote
from syncauth.rows.tables import Column, TableInfo, introspect
from syncauth.rows.trackable import check_trackable

Tables = Mapping[str, Table]
Recover = Callable[[sqlite3.Connection, Table], bool]


def schema_version(connection: sqlite3.Connection) -> int:
    """Return the counter that SQLite raises with every change of the schema."""
    (version,) = connection.execute("PRAGMA main.schema_version").fetchone()
    return int(version)


def register(connection: sqlite3.Connection, specs: Sequence[TableSpec]) -> Tables:
    """Track the tables that the app declares, and verify those that are tracked already.

    A tracked table that is neither declared nor there any more is forgotten.

    Raises:
        TableNotTrackable: with its reason; `shape_changed` where the key or a counter was taken away.
    """
    infos = {}
    for spec in specs:
        info = introspect(connection, spec.name)
        check_trackable(connection, info, spec)
        infos[info.name] = (info, spec)
    known = {each.name: each for each in _known(connection)}
    for name in known.keys() - infos.keys():
        if not _is_there(connection, name):
            _forget(connection, known[name].number)
    for name in _parents_first({name: info for name, (info, _) in infos.items()}):
        info, spec = infos[name]
        if name not in known:
            _track(connection, info, spec)
        else:
            _check_unchanged(info, spec, known[name])
            _write_counters(connection, known[name].number, spec)
    return verify(connection)


def verify(connection: sqlite3.Connection, recover: Recover = restoring.restore) -> Tables:
    """Look at every tracked table anew: give ids to new columns, put missing triggers back.

    `recover` records what a table whose triggers were missing went through; where it returns True, its rows must be
    compared with the server's.

    Raises:
        TableNotTrackable: a tracked table is gone or has another key.
    """
    return {known.name: _verify_one(connection, known, recover) for known in _known(connection)}


class _Known(NamedTuple):
    """A tracked table as it is registered; `key` and `counters` are JSON."""

    number: int
    name: str
    key: str
    counters: str
    uncertain: int


def _known(connection: sqlite3.Connection) -> list[_Known]:
    rows = connection.execute(
        "SELECT id, name, key, counters, uncertain FROM _sync_tables ORDER BY id"
    ).fetchall()
    return [_Known(*row) for row in rows]


def _is_there(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND name = ?", (name,)
    ).fetchone()
    return found is not None


def _track(connection: sqlite3.Connection, info: TableInfo, spec: TableSpec) -> None:
    (number,) = connection.execute(
        "INSERT INTO _sync_tables (name, key, counters) VALUES (?, ?, ?) RETURNING id",
        (info.name, json.dumps(info.key_names), json.dumps(spec.counters)),
    ).fetchone()
    ids, _, _ = _column_ids(connection, number, info)
    tracked = Tracked(info, number, ids, tuple(spec.counters))
    capture.install(connection, tracked)
    _insert_rows_present(connection, Table(tracked))
    downloads.wish(connection)


def _insert_rows_present(connection: sqlite3.Connection, table: Table) -> None:
    """Make an insert of every row that is there, stamped 0: any write of any device is newer."""
    order = f"a.{table.tracked.info.rowid_name}" if table.tracked.info.rowid_name else "NULL"
    connection.execute(
        f"INSERT INTO {table.capture} (entry, kind, hlc, {table.keys})"
        f" SELECT clock.entry + row_number() OVER (ORDER BY {order}), 'insert', 0,"
        f" {table.app_keys_of('a')} FROM {table.app} AS a, _sync_clock AS clock"
    )
    count_entries(connection, table)


def _verify_one(connection: sqlite3.Connection, known: _Known, recover: Recover) -> Table:
    tracked, added, gone = _look_again(connection, known)
    table = Table(tracked, bool(known.uncertain))
    if not capture.missing(connection, tracked):
        return table
    interrupted = _triggers_gone(connection, tracked)
    capture.install(connection, tracked)
    _clear_gone_columns(connection, table, gone)
    if added:
        _record_new_columns(connection, table, added)
    if added or gone:
        downloads.wish(connection)
    if interrupted and recover(connection, table):
        connection.execute("UPDATE _sync_tables SET uncertain = 1 WHERE id = ?", (known.number,))
        downloads.wish(connection)
        return Table(tracked, uncertain=True)
    return table


def _look_again(
    connection: sqlite3.Connection, known: _Known
) -> tuple[Tracked, list[str], list[int]]:
    """Return the table as it is now, its new columns, and the ids of those that are gone."""
    info = introspect(connection, known.name)
    key, counters = json.loads(known.key), json.loads(known.counters)
    if list(info.key_names) != key:
        raise _shape_changed(known.name, f"its key was {key} and is {list(info.key_names)}")
    lost = set(counters) - set(info.value_names)
    if lost:
        why = f"the counters {sorted(lost)} are gone, but changes may wait"
        raise _shape_changed(known.name, why)
    ids, added, gone = _column_ids(connection, known.number, info)
    return Tracked(info, known.number, ids, tuple(counters)), added, gone


def _triggers_gone(connection: sqlite3.Connection, tracked: Tracked) -> bool:
    """Whether a trigger is absent, so that changes went by; one that only has another text was at work.

    One that has followed the table to another name is absent, too.
    """
    return any(
        connection.execute(
            "SELECT 1 FROM main.sqlite_master WHERE type = 'trigger' AND name = ?"
            " AND tbl_name = ? COLLATE NOCASE",
            (name, tracked.info.name),
        ).fetchone()
        is None
        for name in trigger_sql(tracked)
    )


def _column_ids(
    connection: sqlite3.Connection, number: int, info: TableInfo
) -> tuple[dict[str, int], list[str], list[int]]:
    """Return the ids of a table's value columns, the names of those that got one only now, and ids now gone."""
    rows = connection.execute(
        "SELECT id, name, present FROM _sync_columns WHERE table_id = ?", (number,)
    ).fetchall()
    ids = {name: column_id for column_id, name, present in rows if present}
    gone = [ids.pop(name) for name in ids.keys() - set(info.value_names)]
    connection.executemany(
        "UPDATE _sync_columns SET present = 0 WHERE table_id = ? AND id = ?",
        [(number, column_id) for column_id in gone],
    )
    added = [name for name in info.value_names if name not in ids]
    first = 1 + max((row[0] for row in rows), default=-1)
    for column_id, name in enumerate(added, first):
        ids[name] = column_id
        connection.execute(
            "INSERT INTO _sync_columns (table_id, id, name, present) VALUES (?, ?, ?, 1)",
            (number, column_id, name),
        )
    return ids, added, gone


def _clear_gone_columns(connection: sqlite3.Connection, table: Table, gone: Sequence[int]) -> None:
    """Take columns that are gone out of the updates; one that wrote nothing else has nothing to send."""
    for column_id in gone:
        word, bit = mask_bit(column_id)
        connection.execute(f"UPDATE {table.capture} SET m{word} = m{word} & ~{bit}")
    if gone:
        empty = [f"{name} = 0" for name in table.tracked.mask_names]
        empty += [f"{name} IS NULL" for name in table.tracked.delta_names]
        connection.execute(
            f"DELETE FROM {table.capture} WHERE kind = 'update' AND {' AND '.join(empty)}"
        )


def _record_new_columns(connection: sqlite3.Connection, table: Table, added: list[str]) -> None:
    """Send what stands in new columns of rows that the server knows, unless it is the default."""
    columns = {column.name: column for column in table.tracked.info.columns}
    for name in added:
        word, bit = table.bit(name)
        default = _stored_default(connection, columns[name])
        connection.execute(NEXT_ENTRY)
        connection.execute(
            f"INSERT INTO {table.capture} (entry, kind, hlc, {table.keys}, m{word})"
            " SELECT clock.entry + row_number() OVER (), 'update', clock.hlc,"
            f" {table.keys_of('r')}, {bit}"
            f" FROM {table.rows} AS r JOIN {table.app} AS a ON {table.app_key_is('r')}, _sync_clock AS clock"
            f" WHERE (typeof(a.{quote(name)}) <> (SELECT typeof(value) FROM {default})"
            f" OR a.{quote(name)} COLLATE BINARY IS NOT (SELECT value FROM {default})) AND NOT EXISTS (SELECT 1"
            f" FROM {table.capture} AS c WHERE {table.same_key('c', 'r')} AND c.batch IS NULL"
            " AND c.kind = 'insert')"
        )
        count_entries(connection, table)


def _stored_default(connection: sqlite3.Connection, column: Column) -> str:
    """Write a column's default as the column stores it, by its affinity, to a temporary table of that name."""
    name = "temp._sync_default"
    connection.execute(f"DROP TABLE IF EXISTS {name}")
    connection.execute(f"CREATE TEMP TABLE {name[5:]} (value {column.affinity})")
    connection.execute(f"INSERT INTO {name} VALUES ({column.default or 'NULL'})")
    return name


def _check_unchanged(info: TableInfo, spec: TableSpec, known: _Known) -> None:
    lost = set(json.loads(known.counters)) - set(spec.counters)
    if lost:
        raise _shape_changed(info.name, f"{sorted(lost)} no longer counts, but changes may wait")


def _write_counters(connection: sqlite3.Connection, number: int, spec: TableSpec) -> None:
    connection.execute(
        "UPDATE _sync_tables SET counters = ?1 WHERE id = ?2 AND counters <> ?1",
        (json.dumps(spec.counters), number),
    )


def _shape_changed(name: str, why: str) -> TableNotTrackable:
    return TableNotTrackable(
        table=name,
        reason="shape_changed",
        why=why,
        remedy="Undo the change, or put the new shape into a table of another name",
    )


def _forget(connection: sqlite3.Connection, number: int) -> None:
    capture.drop_tables(connection, number)
    for statement in (
        "DELETE FROM _sync_columns WHERE table_id = ?",
        "DELETE FROM _sync_waiting WHERE table_id = ?",
        "DELETE FROM _sync_tables WHERE id = ?",
    ):
        connection.execute(statement, (number,))


def _parents_first(infos: Mapping[str, TableInfo]) -> list[str]:
    """Order tables so that rows come after the rows they refer to; as declared where there is a circle."""
    names = {name.lower(): name for name in infos}
    graph: dict[str, set[str]] = {name: set() for name in infos}
    for name, info in infos.items():
        parents = {names.get(key.parent.lower(), name) for key in info.foreign_keys}
        graph[name] = parents - {name}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError:
        return list(infos)
