"""
What the server's results do here: trim batches, fill the dead letters, put refused rows back.

A result removes the batch that it names, never entries by table and key: what was written since is untouched.
Entries that were applied or superseded need nothing more, since the server's rows come in pages. A refusal that
other changes may lift is no last word (`retrying`). All of one call is one transaction of the caller. This module
must never touch an entry of another batch, except for unsent edits of a row whose insert was refused.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from syncauth.errors import InvalidMessage, SyncStopped
from syncauth.models import DeadLetter
from syncauth.replica import dead_letters, retrying, waiting
from syncauth.replica.apply import Applier
from syncauth.replica.entries import Entry, delete_entries, read_entries
from syncauth.replica.page import fill_keys
from syncauth.replica.rowwrites import local_rows, refuse
from syncauth.replica.schema import applying, read_meta, write_meta
from syncauth.replica.table import Table
from syncauth.rows.stamps import make_stamp
from syncauth.rows.values import decode_rows
from syncauth.sansio.messages import BatchResult, CutStamps, Refused, Section, decode_sections


def acknowledge(
    connection: sqlite3.Connection, tables: Mapping[str, Table], results: Sequence[BatchResult]
) -> tuple[DeadLetter, ...]:
    """Take results in the order of their batches; returns what was refused.

    Raises:
        InvalidMessage: a result is not that of the oldest batch in flight.
        SyncStopped: it has another digest: what the server judged under this number was not sent by this file.
    """
    before = dead_letters.newest(connection)
    with applying(connection):
        for result in sorted(results, key=lambda result: result.batch):
            _check_oldest(connection, result)
            _refuse(connection, tables, result)
            _trim(connection, tables, result)
            if result.rows or waiting.count(connection):
                applier = Applier(connection, tables, through=result.batch, decided=True)
                applier.apply(result.rows)
            if result.cut is not None:
                _lower_clock(connection, tables, result.cut)
            write_meta(connection, "acked_batch", result.batch)
            write_meta(connection, "acked_digest", result.digest)
    return dead_letters.read(connection, before)


def _check_oldest(connection: sqlite3.Connection, result: BatchResult) -> None:
    row = connection.execute(
        "SELECT batch, digest FROM _sync_inflight ORDER BY batch LIMIT 1"
    ).fetchone()
    if row is None or row[0] != result.batch:
        raise InvalidMessage(
            "a result does not fit the oldest batch in flight",
            why=f"it names batch {result.batch}, {'none' if row is None else row[0]} is in flight",
            remedy="Nothing was changed; the batch is sent again after the next connect",
        )
    if row[1] != result.digest:
        raise SyncStopped(
            code="digest_mismatch",
            why=f"the server has judged another batch {result.batch} of this device than this file sent",
            remedy="The file was copied or restored; nothing was changed, all that is unsent is kept",
        )


def _refuse(
    connection: sqlite3.Connection, tables: Mapping[str, Table], result: BatchResult
) -> None:
    """Hand refused entries to the dead letters with the values that were sent, but for those sent again."""
    if not result.refused:
        return
    again = retrying.send_again(connection, tables, result)
    refusals = {each.entry: each for each in result.refused if each.entry not in again}
    (raw,) = connection.execute(
        "SELECT sections FROM _sync_inflight WHERE batch = ?", (result.batch,)
    ).fetchone()
    for section in decode_sections(raw):
        table = tables.get(section.table)
        width = len(section.rows[0]) if table is None else table.width
        rows = [row for row in section.rows if table is not None and row[width] in refusals]
        if table is None or not rows:
            continue
        inserts = {}
        for row in decode_rows(rows, width + 3 + len(section.columns) + len(section.deltas)):
            refused = refusals[row[width]]
            _bury(connection, section, row, width, refused)
            if section.kind == "insert":
                inserts[tuple(row[:width])] = (make_life(connection, row[width + 1]), refused)
        delete_entries(connection, table, [row[width] for row in rows])
        _take_along(connection, table, inserts)


def make_life(connection: sqlite3.Connection, hlc: int) -> str:
    """Return the life that an insert of this device began."""
    return make_stamp(hlc, str(read_meta(connection, "device")))


def _bury(
    connection: sqlite3.Connection,
    section: Section,
    row: Sequence[Any],
    width: int,
    refused: Refused,
) -> None:
    names = [*section.columns, *section.deltas]
    dead_letters.add(
        connection,
        table=section.table,
        kind=section.kind,
        key=row[:width],
        values=dict(zip(names, row[width + 3 :], strict=True)),
        code=refused.code,
        reason=refused.reason,
    )


def _take_along(
    connection: sqlite3.Connection,
    table: Table,
    inserts: Mapping[tuple[Any, ...], tuple[str, Refused]],
) -> None:
    """Refuse the unsent edits of rows whose insert was refused; their deletions have nothing left to delete."""
    if not inserts:
        return
    fill_keys(connection, table, [(*key, life) for key, (life, _) in inserts.items()])
    source = f"{table.page} AS p CROSS JOIN {table.capture} AS c ON {table.same_key('p', 'c')}"
    entries = read_entries(
        connection,
        table,
        f"{source} WHERE c.batch IS NULL AND (c.kind = 'update' OR c.life = p.lives)"
        # What was written after the row was inserted once more belongs to that insert.
        f" AND NOT EXISTS (SELECT 1 FROM {table.capture} AS o WHERE {table.same_key('o', 'p')}"
        " AND o.batch IS NOT NULL AND o.kind = ?)",
        ("insert",),
    )
    here = local_rows(connection, table)
    connection.execute(
        f"DELETE FROM {table.rows} AS r WHERE EXISTS (SELECT 1 FROM {table.page} AS p"
        f" WHERE {table.same_key('p', 'r')} AND p.lives = r.lives)"
    )
    for key, own in entries.items():
        _, refused = inserts[key]
        for entry in own:
            if entry.kind == "update":
                refuse(connection, table, key, entry, here[key], refused.code, refused.reason)
        delete_entries(connection, table, [entry.entry for entry in own if entry.kind != "insert"])
        _begin_from_nothing(connection, table, own)


def _begin_from_nothing(
    connection: sqlite3.Connection, table: Table, entries: Collection[Entry]
) -> None:
    """A later insert of the same key would end the refused life; now there is none to end."""
    connection.executemany(
        f"UPDATE {table.capture} SET life = NULL WHERE entry = ?",
        [(entry.entry,) for entry in entries if entry.kind == "insert"],
    )


def _trim(connection: sqlite3.Connection, tables: Mapping[str, Table], result: BatchResult) -> None:
    """Remove the batch and its entries; rows whose deletion was applied are no longer known."""
    without_effect = [lost.entry for lost in result.superseded if not lost.columns]
    for table in tables.values():
        delete_entries(connection, table, without_effect)
        deleted = f"SELECT {table.keys} FROM {table.capture} WHERE batch = ?1 AND kind = 'delete'"
        connection.execute(
            f"DELETE FROM {table.rows} AS r WHERE ({table.keys}) IN ({deleted})"
            f" AND EXISTS (SELECT 1 FROM {table.capture} AS c WHERE {table.same_key('c', 'r')}"
            # The plus keeps SQLite from looking through the whole batch for each of its rows.
            " AND +c.batch = ?1 AND c.kind = 'delete' AND instr(r.lives, c.life))",
            (result.batch,),
        )
        connection.execute(f"DELETE FROM {table.capture} WHERE batch = ?", (result.batch,))
    connection.execute("DELETE FROM _sync_inflight WHERE batch = ?", (result.batch,))
    retrying.forget_settled(connection, tables)


def _lower_clock(
    connection: sqlite3.Connection, tables: Mapping[str, Table], cut: CutStamps
) -> None:
    """After stamps were cut, let the clock come back from the future, unless an entry still stands there."""
    highest = cut.first + len(cut.entries) - 1
    ahead = [
        f"NOT EXISTS (SELECT 1 FROM {table.capture} WHERE hlc > ?1)" for table in tables.values()
    ]
    connection.execute(
        "UPDATE _sync_clock SET hlc = min(hlc, max(?1, (ifnull(fixed_ms,"
        " CAST((julianday('now') - 2440587.5) * 86400000.0 + 0.5 AS INTEGER)) + offset_ms) << 16))"
        f" WHERE {' AND '.join(['id = 1', *ahead])}",
        (highest,),
    )
