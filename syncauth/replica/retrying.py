"""
Refusals that other changes of this device may lift: such a change is sent again, behind all that waits.

Values are read at the cut, while batches go by the number of entries: a row may refer to a row, or take a unique
value over from one, that only a later batch carries. So a refusal for want of another row does not count while more
of this device is unsent or in flight, a few times at most; what stands still is refused for good. This module must
never take back a change of a row that has another one in flight, since batches in flight are immutable.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from typing import Final

from syncauth.replica.entries import has_pending
from syncauth.replica.inflight import take_back
from syncauth.replica.table import Table
from syncauth.sansio.messages import BatchResult

TIMES: Final = 3
"""How often a change is sent again: each time settles one more batch of changes that need each other."""

LIFTED: Final = ("foreign_key", "unique_conflict")
"""The codes of refusals that another row causes."""

_AMONG: Final = "IN (SELECT value FROM json_each(?))"


def send_again(
    connection: sqlite3.Connection, tables: Mapping[str, Table], result: BatchResult
) -> frozenset[int]:
    """Make refused entries of a batch unsent again if their refusal need not be final; returns these."""
    refused = [each.entry for each in result.refused if each.code in LIFTED]
    if not refused or not _more_to_come(connection, tables.values(), result.batch):
        return frozenset()
    again: set[int] = set()
    for table in tables.values():
        entries = _may_go_again(connection, table, refused, result.batch)
        if entries:
            take_back(connection, table, f"c.entry {_AMONG}", (json.dumps(entries),))
            _move_to_the_end(connection, table, entries)
            again.update(entries)
    return frozenset(again)


def first_held_back(connection: sqlite3.Connection, tables: Collection[Table]) -> int | None:
    """Return the first unsent entry that goes again only after all that is in flight, or None.

    Only so do changes that need each other, and were refused in one batch after the other, meet in one batch.
    """
    waiting = connection.execute(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM _sync_retries) AND EXISTS (SELECT 1 FROM _sync_inflight)"
    ).fetchone()
    if not waiting:
        return None
    held = " UNION ALL ".join(
        f"SELECT t.entry FROM _sync_retries AS t CROSS JOIN {table.capture} AS c"
        " ON c.entry = t.entry WHERE c.batch IS NULL"
        for table in tables
    )
    (first,) = connection.execute(f"SELECT min(entry) FROM ({held})").fetchone()
    return None if first is None else int(first)


def forget_settled(connection: sqlite3.Connection, tables: Mapping[str, Table]) -> None:
    """Forget how often entries were sent again that are no more."""
    if connection.execute("SELECT 1 FROM _sync_retries LIMIT 1").fetchone():
        gone = [
            f"NOT EXISTS (SELECT 1 FROM {table.capture} AS c WHERE c.entry = t.entry)"
            for table in tables.values()
        ]
        connection.execute(f"DELETE FROM _sync_retries AS t WHERE {' AND '.join(gone)}")


def _more_to_come(connection: sqlite3.Connection, tables: Collection[Table], batch: int) -> bool:
    """Whether the server has not judged everything that this device has written."""
    return any(has_pending(connection, table, batch) for table in tables)


def _may_go_again(
    connection: sqlite3.Connection, table: Table, refused: Collection[int], batch: int
) -> list[int]:
    rows = connection.execute(
        f"SELECT c.entry FROM {table.capture} AS c WHERE c.batch = ? AND c.entry {_AMONG}"
        f" AND NOT EXISTS (SELECT 1 FROM {table.capture} AS o"
        f" WHERE {table.same_key('o', 'c')} AND o.batch > c.batch)"
        " AND NOT EXISTS (SELECT 1 FROM _sync_retries AS t WHERE t.entry = c.entry AND t.times >= ?)"
        " ORDER BY c.entry",
        (batch, json.dumps(list(refused)), TIMES),
    )
    return [entry for (entry,) in rows]


def _move_to_the_end(
    connection: sqlite3.Connection, table: Table, entries: Collection[int]
) -> None:
    """Give new numbers to those of the entries that are still there, and count."""
    rows = connection.execute(
        f"SELECT c.entry, ifnull(t.times, 0) + 1 FROM {table.capture} AS c"
        f" LEFT JOIN _sync_retries AS t ON t.entry = c.entry WHERE c.entry {_AMONG} ORDER BY c.entry",
        (json.dumps(list(entries)),),
    ).fetchall()
    (last,) = connection.execute("SELECT entry FROM _sync_clock").fetchone()
    numbers = range(last + 1, last + 1 + len(rows))
    old = [entry for entry, _ in rows]
    connection.executemany(
        f"UPDATE {table.capture} SET entry = ? WHERE entry = ?", zip(numbers, old, strict=True)
    )
    connection.executemany(
        "INSERT INTO _sync_retries (entry, times) VALUES (?, ?)",
        [(number, times) for number, (_, times) in zip(numbers, rows, strict=True)],
    )
    connection.execute("UPDATE _sync_clock SET entry = ?", (last + len(rows),))
