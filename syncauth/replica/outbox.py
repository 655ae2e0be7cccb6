"""
The cut: the oldest unsent entries become a batch in flight, with the values that the rows have now.

One cut reads one snapshot, so that it never splits a local transaction as long as everything unsent fits into one
batch; above the limits it goes by entry number. What is read and in which order stands in `sections`. The bytes are
stored before anything is sent, and a resend sends these bytes. This module must never change a row of the app.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from syncauth.errors import FileCorrupt
from syncauth.replica import downloads, oversize, retrying
from syncauth.replica.schema import read_meta, read_number, write_meta
from syncauth.replica.sections import Kinds, Reader, Span
from syncauth.replica.table import Table
from syncauth.sansio.messages import digest_of, encode_sections
from syncauth.sansio.records import Batch


def cut(
    connection: sqlite3.Connection, tables: Mapping[str, Table], *, rows: int, size: int
) -> Batch | None:
    """Move the oldest unsent entries in flight, within the caller's transaction; None if there are none.

    At most `rows` changes; at most `size` bytes unless a single change is larger; one that no frame can carry
    goes to the dead letters. While a table is uncertain, or all is to be downloaded again, nothing is cut of any:
    a newer change never overtakes an older one.

    Raises:
        FileCorrupt: an entry names a row that is gone; nothing was cut.
    """
    wanted = rows
    while True:
        if downloads.is_wished(connection) or any(table.uncertain for table in tables.values()):
            return None
        span = _oldest(connection, tables.values(), wanted)
        if span is None:
            return None
        reader = Reader(connection, span, size)
        unsent = [(table, reader.kinds(table)) for table in tables.values()]
        sections = reader.read([(table, kinds) for table, kinds in unsent if kinds.any])
        raw = encode_sections(sections)
        if reader.span.changes > 1 and len(raw) > size:
            wanted = max(1, min(reader.span.changes - 1, reader.fitting))
        elif len(raw) > size + oversize.ROOM:
            oversize.refuse(connection, tables, span.first, len(raw), size)
            wanted = rows
        else:
            break
    number = read_number(connection, "next_batch", 1)
    batch = Batch(number=number, digest=digest_of(raw), sections=raw, changes=reader.span.changes)
    marked = sum(
        _mark(connection, table, kinds, reader.span, number) for table, kinds in unsent if kinds.any
    )
    if marked != batch.changes:
        raise FileCorrupt(
            "the outbox names rows that are gone",
            why=f"{marked} entries have {batch.changes} rows",
            remedy="Leave the tables and triggers named _sync_ alone; nothing was sent",
        )
    connection.execute(
        "INSERT INTO _sync_inflight (batch, digest, sections, changes) VALUES (?, ?, ?, ?)",
        (batch.number, batch.digest, batch.sections, batch.changes),
    )
    write_meta(connection, "next_batch", number + 1)
    return batch


def _oldest(connection: sqlite3.Connection, tables: Collection[Table], rows: int) -> Span | None:
    """Return the span of the `rows` oldest unsent entries."""
    if not tables:
        return None
    held = retrying.first_held_back(connection, tables)
    before = "" if held is None else f" AND entry < {held}"
    unsent = " UNION ALL ".join(
        f"SELECT entry FROM {table.capture} WHERE batch IS NULL{before}" for table in tables
    )
    first, last, count = connection.execute(
        f"SELECT min(entry), max(entry), count(*) FROM ({unsent} ORDER BY 1 LIMIT ?)", (rows,)
    ).fetchone()
    return Span(first, last, count) if count else None


def _mark(
    connection: sqlite3.Connection, table: Table, kinds: Kinds, span: Span, batch: int
) -> int:
    """Move a table's entries in flight, and return how many they are: later writes make new ones.

    Inserted rows count as known from now on.
    """
    unsent = "batch IS NULL AND entry BETWEEN ? AND ?"
    if kinds.inserts:
        connection.execute(
            f"INSERT INTO {table.rows} ({table.keys}, lives)"
            f" SELECT {table.keys}, printf('%016x', hlc) || ? FROM {table.capture}"
            f" WHERE kind = 'insert' AND {unsent} ORDER BY {table.keys}"
            f" ON CONFLICT ({table.keys}) DO UPDATE SET lives = excluded.lives",
            (read_meta(connection, "device"), span.first, span.last),
        )
    if kinds.updates:
        connection.execute(
            f"UPDATE {table.capture} AS c SET life = (SELECT substr(r.lives, 1, 32)"
            f" FROM {table.rows} AS r WHERE {table.same_key('r', 'c')})"
            f" WHERE kind = 'update' AND life IS NULL AND {unsent}",
            (span.first, span.last),
        )
    marked = connection.execute(
        f"UPDATE {table.capture} SET batch = ? WHERE {unsent}", (batch, span.first, span.last)
    )
    return marked.rowcount
