"""
Batches in flight: reading them for a resend, and taking entries back when the device gets another id.

A batch is immutable until it is acknowledged or taken back. Entries taken back are unsent again, and several unsent
entries of one row are folded into the form in which the capture triggers leave them. This module must never alter
the bytes of a batch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from syncauth.replica.entries import Entry, delete_entries, read_entries
from syncauth.replica.page import fill_keys
from syncauth.replica.restoring import drop_entries_of_lost_rows
from syncauth.replica.rowwrites import write_entry
from syncauth.replica.schema import read_meta, write_meta
from syncauth.replica.table import Table
from syncauth.rows.stamps import make_stamp
from syncauth.rows.values import equal_to, read_all
from syncauth.sansio.records import Batch


def batches_after(connection: sqlite3.Connection, after: int) -> list[Batch]:
    """Return the batches in flight above a number, in order, with the very bytes they had."""
    rows = connection.execute(
        "SELECT batch, digest, sections, changes FROM _sync_inflight WHERE batch > ? ORDER BY batch",
        (after,),
    )
    return [Batch(number, digest, bytes(raw), changes) for number, digest, raw, changes in rows]


def adopt_device(connection: sqlite3.Connection, tables: Iterable[Table], device: str) -> None:
    """Take another device id; everything in flight is unsent again and the numbers of batches begin anew."""
    before = str(read_meta(connection, "device"))
    if before == device:
        return
    for table in tables:
        take_back(connection, table, "c.batch IS NOT NULL")
    connection.execute("DELETE FROM _sync_inflight")
    for key, value in (
        ("device", device),
        ("next_batch", 1),
        ("acked_batch", None),
        ("acked_digest", None),
    ):
        write_meta(connection, key, value)


def take_back(
    connection: sqlite3.Connection, table: Table, which: str, given: Sequence[Any] = ()
) -> None:
    """Make entries in flight unsent again; `which` is a condition on `c`, an entry, and `given` its parameters."""
    _forget_begun_lives(connection, table, which, given)
    keys = read_all(
        connection,
        f"SELECT DISTINCT {table.keys_of('c')} FROM {table.capture} AS c WHERE {which}",
        given,
    )
    connection.execute(f"UPDATE {table.capture} AS c SET batch = NULL WHERE {which}", given)
    fill_keys(connection, table, [(*key, None) for key in keys])
    _fold_rows(connection, table)
    drop_entries_of_lost_rows(connection, table)


def _forget_begun_lives(
    connection: sqlite3.Connection, table: Table, which: str, given: Sequence[Any]
) -> None:
    """A life that an insert in flight was to begin has not begun; what was there before counts again."""
    device = str(read_meta(connection, "device"))
    rows = read_all(
        connection,
        f"SELECT {table.keys_of('r')}, r.lives, c.hlc, c.life FROM {table.capture} AS c"
        f" CROSS JOIN {table.rows} AS r ON {table.same_key('r', 'c')}"
        f" WHERE c.kind = 'insert' AND {which}",
        given,
    )
    for *key, lives, hlc, ended in rows:
        others = [life for life in lives.split(" ") if life != make_stamp(hlc, device)]
        left = " ".join(others) or ended
        at_key = equal_to(table.tracked.key_names, key)
        if left:
            sql = f"UPDATE {table.rows} SET lives = ? WHERE {at_key}"
            connection.execute(sql, (left, *key))
        else:
            connection.execute(f"DELETE FROM {table.rows} WHERE {at_key}", key)


def _fold_rows(connection: sqlite3.Connection, table: Table) -> None:
    """Fold the unsent entries of the page's keys."""
    found = read_entries(
        connection,
        table,
        f"{table.page} AS p CROSS JOIN {table.capture} AS c ON {table.same_key('p', 'c')}"
        " WHERE c.batch IS NULL AND ?",
        (1,),
    )
    for entries in found.values():
        if len(entries) == 1:
            continue
        folded = {entry.entry: entry for entry in fold(entries)}
        delete_entries(connection, table, [e.entry for e in entries if e.entry not in folded])
        for entry in folded.values():
            write_entry(connection, table, entry)


def fold(entries: Sequence[Entry]) -> list[Entry]:
    """Return what remains to be sent of the entries of one row, none of which was applied.

    An insert takes in later updates; an insert and its deletion leave the deletion of the life that was there
    before, if any; each column and each delta stays in the newest update only.
    """
    left: list[Entry] = []
    for entry in entries:
        first = left[0] if left else None
        if entry.kind == "insert":
            ended = first.life if first is not None and first.kind == "delete" else entry.life
            left = [replace(entry, life=ended)]
        elif entry.kind == "delete":
            begun = first is not None and first.kind == "insert"
            life = first.life if first is not None and begun else entry.life
            left = [] if begun and life is None else [replace(entry, life=life)]
        elif first is None or first.kind == "update":
            left = _newest_only(left, entry)
    return left


def _newest_only(older: Sequence[Entry], entry: Entry) -> list[Entry]:
    """Take the columns and deltas of an update out of older ones; deltas add up, unless a value is sent."""
    valued = {name for other in older for name in other.columns if name in entry.deltas}
    columns = (*entry.columns, *sorted(valued))
    deltas: Mapping[str, int] = {
        name: delta + sum(other.deltas.get(name, 0) for other in older)
        for name, delta in entry.deltas.items()
        if name not in valued
    }
    kept = [
        replace(
            other,
            columns=tuple(name for name in other.columns if name not in columns),
            deltas={
                name: delta
                for name, delta in other.deltas.items()
                if name not in deltas and name not in columns
            },
        )
        for other in older
    ]
    return [
        *(other for other in kept if other.columns or other.deltas),
        replace(entry, columns=columns, deltas=deltas),
    ]
