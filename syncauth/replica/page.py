"""
A page of remote rows in the shape in which it is applied: checked, decoded, sorted by table.

A group holds rows of one table, kind and partition in the layout of the wire (`sansio.messages`), with values as
SQLite takes them. All checks are made here, before anything is written, and column by column. This module must
never write to a table of the app.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from syncauth.errors import InvalidMessage
from syncauth.replica.table import Table
from syncauth.rows.stamps import (
    check_lives,
    check_stamp,
    hlc_of,
    make_stamp,
    newest_overrides,
)
from syncauth.rows.values import decode_rows, parameters, split_raw
from syncauth.sansio.messages import Section

_HEXADECIMAL: Final = re.compile(r"[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one kind and partition; `partition_id` is that of `_sync_partitions`, if it has one.

    `plain` says that no value of them is a `RawText`.
    """

    kind: str
    partition: str
    partition_id: int | None
    columns: tuple[str, ...]
    rows: list[Any]
    plain: bool = False


@dataclass(slots=True)
class TablePage:
    """What a page brings for one table."""

    table: Table
    rows: list[Group] = field(default_factory=list)
    removals: list[Group] = field(default_factory=list)


def read_page(
    connection: sqlite3.Connection, tables: Mapping[str, Table], sections: Iterable[Section]
) -> list[TablePage]:
    """Check and decode sections; a key that has left one partition for another is no removal.

    Raises:
        InvalidMessage: an unknown table, column or kind, a row of a wrong length, a value of no type.
    """
    pages: dict[str, TablePage] = {}
    for section in sections:
        table = tables.get(section.table)
        if table is None:
            raise _invalid(f"it names the table {section.table!r}, which is not synchronised here")
        page = pages.setdefault(table.name, TablePage(table))
        group = _read_group(connection, table, section)
        (page.rows if group.kind == "row" else page.removals).append(group)
    for page in pages.values():
        if page.rows and page.removals:
            page.removals = [_without_moved(page, group) for group in page.removals]
    return list(pages.values())


def _read_group(connection: sqlite3.Connection, table: Table, section: Section) -> Group:
    unknown = set(section.columns) - set(table.columns)
    if unknown:
        raise _invalid(f"it names the unknown columns {sorted(unknown)} of {table.name!r}")
    head = {"row": 3, "gone": 2, "exit": 0}.get(section.kind)
    if head is None or section.deltas:
        raise _invalid(f"the server sends no section of kind {section.kind!r}, and no deltas")
    values = len(section.columns) if section.kind == "row" else 0
    rows = decode_rows(section.rows, table.width + head + values)
    if head:
        _check_texts([row[table.width] for row in rows], check_lives)
        _check_texts([row[table.width + 1] for row in rows], check_stamp)
    return Group(
        kind=section.kind,
        partition=section.partition,
        partition_id=_partition_id(connection, section.partition, known=section.kind == "row"),
        columns=tuple(section.columns),
        rows=rows,
        plain=bool(rows) and rows[0] is section.rows[0],  # no column had anything to decode
    )


def _check_texts(column: Sequence[Any], check: Any) -> None:
    """Check stamps or lives: all at once where they look alike, one by one to find the culprit."""
    alike = set(map(type, column)) <= {str} and set(map(len, column)) <= {32}
    if alike and _HEXADECIMAL.fullmatch("".join(column)):
        return
    for value in column:
        check(value)


def _partition_id(connection: sqlite3.Connection, name: str, *, known: bool) -> int | None:
    """Return the id of a partition, which a living row makes `known`; None where it has none."""
    found = connection.execute("SELECT id FROM _sync_partitions WHERE name = ?", (name,)).fetchone()
    if found is None and known and name:
        found = connection.execute(
            "INSERT INTO _sync_partitions (name, version) VALUES (?, 0) RETURNING id", (name,)
        ).fetchone()
    return None if found is None else int(found[0])


def _without_moved(page: TablePage, group: Group) -> Group:
    width = page.table.width
    living = {tuple(row[:width]) for other in page.rows for row in other.rows}
    rows = [row for row in group.rows if tuple(row[:width]) not in living]
    return Group(group.kind, group.partition, group.partition_id, group.columns, rows)


def newest_stamp(pages: Sequence[TablePage], bound: int) -> int:
    """Return the highest HLC of a page that is at most `bound`, or 0: no clock is set further ahead by it."""
    stamps: list[str] = []
    for page in pages:
        base, overrides = page.table.width + 1, page.table.width + 2
        for group in page.rows:
            stamps += map(itemgetter(base), group.rows)
            newer = [row[overrides] for row in group.rows if row[overrides] is not None]
            if not set(map(type, newer)) <= {str}:
                raise _invalid("the stamps of a row are no text")
            newest = newest_overrides(newer)
            _check_texts(newest, check_stamp)
            stamps += newest
        for group in page.removals:
            if group.kind == "gone":
                stamps += [row[base] for row in group.rows]
    highest = hlc_of(max(stamps, default=make_stamp(0, "")))
    if highest <= bound:
        return highest
    return max((hlc for hlc in map(hlc_of, stamps) if hlc <= bound), default=0)


def fill_keys(connection: sqlite3.Connection, table: Table, rows: Iterable[Sequence[Any]]) -> None:
    """Put keys, each followed by lives or None, into the temporary table of the page, in place of all others."""
    definitions = ", ".join(
        f"{name} {column.affinity}"
        for name, column in zip(table.tracked.key_names, table.tracked.info.key, strict=True)
    )
    connection.execute(
        f"CREATE TEMP TABLE IF NOT EXISTS {table.page[5:]} ({definitions}, lives TEXT)"
    )
    connection.execute(f"DELETE FROM {table.page}")
    for raw, group in split_raw(list(rows)):
        marks = ", ".join(parameters(table.width + 1, raw))
        connection.executemany(f"INSERT INTO {table.page} VALUES ({marks})", group)


def _invalid(why: str) -> InvalidMessage:
    return InvalidMessage(
        "a page of remote rows cannot be applied",
        why=why,
        remedy="Check that server and app declare the same tables; nothing was applied",
    )
