"""
Remote rows that cannot be placed yet, because a row here holds a unique value that they need.

Such a holder is an edited row whose edit the server will judge, or a row whose own next state comes with a later
page. The remote row waits, whole and durable, and is tried again with every page and every acknowledgement. This
module must never lose a row: a waiting row ends by being placed, replaced by a newer state, or removed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from syncauth.replica.page import Group
from syncauth.replica.table import Table
from syncauth.rows.values import encode_rows
from syncauth.sansio.messages import Section


def take(
    connection: sqlite3.Connection, tables: Mapping[str, Table], sections: Sequence[Section]
) -> list[Section]:
    """Return the waiting rows as sections, less those of which the sections bring news; none waits after it."""
    names = {table.tracked.number: name for name, table in tables.items()}
    rows = connection.execute(
        "SELECT table_id, key, partition, columns, row FROM _sync_waiting ORDER BY table_id, key"
    ).fetchall()
    if not rows:
        return []
    connection.execute("DELETE FROM _sync_waiting")
    found = []
    for table_id, key, partition, columns, row in rows:
        name = names[table_id]
        width = tables[name].width
        if any(_is_news(section, name, partition, key, width) for section in sections):
            continue
        found.append(
            Section(
                table=name,
                kind="row",
                rows=[msgspec.json.decode(row)],
                columns=msgspec.json.decode(columns),
                partition=partition,
            )
        )
    return found


def _is_news(section: Section, table: str, partition: str, key: str, width: int) -> bool:
    if section.table != table or (section.kind == "exit" and section.partition != partition):
        return False
    return any(_text(row[:width]) == key for row in section.rows)


def store(
    connection: sqlite3.Connection, table: Table, group: Group, rows: Iterable[Sequence[Any]]
) -> None:
    """Let rows of a group, as the server sent them, wait."""
    width = table.width
    connection.executemany(
        "INSERT INTO _sync_waiting (table_id, key, partition, columns, row) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (table_id, key) DO UPDATE SET partition = excluded.partition,"
        " columns = excluded.columns, row = excluded.row",
        [
            (
                table.tracked.number,
                _text(wire[:width]),
                group.partition,
                _text(group.columns),
                _text(wire),
            )
            for wire in encode_rows(list(rows))
        ],
    )


def count(connection: sqlite3.Connection) -> int:
    """Return how many rows wait."""
    (found,) = connection.execute("SELECT count(*) FROM _sync_waiting").fetchone()
    return int(found)


def _text(values: Iterable[Any]) -> str:
    return msgspec.json.encode(list(values)).decode()
