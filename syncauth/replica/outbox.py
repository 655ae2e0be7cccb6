"""
The cut: the oldest unsent entries become a batch in flight, with the values that the rows have now.

One cut reads one snapshot, so that it never splits a local transaction as long as everything unsent fits into one
batch; above the limits it goes by entry number. The values are read set-wise: one query for the inserts of a table,
one each for its updates and its deletions; only updates of several column sets are sorted in Python. The bytes are
stored before anything is sent, and a resend sends these bytes. This module must never change a row of the app.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final

from syncauth.errors import FileCorrupt
from syncauth.replica.schema import read_meta, read_number, write_meta
from syncauth.replica.table import Table
from syncauth.rows.capture_sql import any_of
from syncauth.rows.values import encode_rows, read_all
from syncauth.sansio.inputs import Batch
from syncauth.sansio.messages import Section, digest_of, encode_sections

_ROW_BYTES: Final = 60
"""A guess at the bytes of a change besides its values."""


def cut(
    connection: sqlite3.Connection, tables: Sequence[Table], *, rows: int, size: int
) -> Batch | None:
    """Move the oldest unsent entries in flight, within the caller's transaction; None if there are none.

    At most `rows` changes; at most `size` bytes unless a single change is larger. While a table is uncertain,
    nothing is cut of any: a newer change never overtakes an older one.
    """
    if any(table.uncertain for table in tables):
        return None
    partitions = dict(connection.execute("SELECT id, name FROM _sync_partitions").fetchall())
    wanted, raw, last = rows, b"", 0
    while True:
        found = _last_entry(connection, tables, wanted)
        if found is None:
            return None
        last, count = found
        estimate = sum(_estimate(connection, table, last) for table in tables)
        if estimate > size and count > 1:
            # They are certain not to fit: a first look, so that no more is read than what will.
            fitting = max(1, min(count - 1, count * size * 8 // (estimate * 10)))
            last, count = _last_entry(connection, tables, fitting) or (last, count)
        raw = encode_sections(_sections(connection, tables, last, partitions))
        if len(raw) <= size or count == 1:
            break
        wanted = max(1, min(count - 1, count * size * 9 // (len(raw) * 10)))
    number = read_number(connection, "next_batch", 1)
    batch = Batch(number=number, digest=digest_of(raw), sections=raw, changes=count)
    _mark(connection, tables, last, batch)
    return batch


def _last_entry(
    connection: sqlite3.Connection, tables: Sequence[Table], rows: int
) -> tuple[int, int] | None:
    """Return the highest of the `rows` oldest unsent entries, and how many they are."""
    if not tables:
        return None
    unsent = " UNION ALL ".join(
        f"SELECT entry FROM {table.capture} WHERE batch IS NULL" for table in tables
    )
    last, count = connection.execute(
        f"SELECT max(entry), count(*) FROM ({unsent} ORDER BY 1 LIMIT ?)",
        (rows,),
    ).fetchone()
    return None if last is None else (last, count)


def _estimate(connection: sqlite3.Connection, table: Table, last: int) -> int:
    """Estimate the bytes of a table's inserts and updates, too low rather than too high."""
    total = 0
    for kind, columns in (("insert", table.columns), ("update", _updated(connection, table, last))):
        lengths = [f"ifnull(length({name}), 0)" for name in table.values_of(columns)]
        values = any_of([f"sum({length})" for length in lengths], operator=" + ")
        (found,) = connection.execute(
            f"SELECT count(*) * {_ROW_BYTES} + ifnull({values}, 0)"
            f" FROM {table.capture} AS c CROSS JOIN {table.app} AS a ON {table.app_key_is('c')}"
            " WHERE c.batch IS NULL AND c.kind = ? AND c.entry <= ?",
            (kind, last),
        ).fetchone()
        total += found
    return total


def _updated(connection: sqlite3.Connection, table: Table, last: int) -> list[str]:
    """Name the columns that the unsent updates send."""
    groups = connection.execute(
        f"SELECT DISTINCT {', '.join(table.tracked.mask_names)} FROM {table.capture}"
        " WHERE batch IS NULL AND kind = 'update' AND entry <= ?",
        (last,),
    ).fetchall()
    columns = {name for words in groups for name in table.columns_in(words)}
    return [name for name in table.columns if name in columns]


def _sections(
    connection: sqlite3.Connection, tables: Sequence[Table], last: int, partitions: dict[int, str]
) -> list[Section]:
    """Deletions first, since they free keys and unique values; then inserts, then updates."""
    return [
        *(s for table in tables for s in _deletes(connection, table, last, partitions)),
        *(s for table in tables for s in _inserts(connection, table, last)),
        *(s for table in tables for s in _updates(connection, table, last, partitions)),
    ]


def _deletes(
    connection: sqlite3.Connection, table: Table, last: int, partitions: dict[int, str]
) -> Iterable[Section]:
    rows = read_all(
        connection,
        f"SELECT {table.keys_of('c')}, c.entry, c.hlc, c.life, r.partition"
        f" FROM {table.capture} AS c LEFT JOIN {table.rows} AS r ON {table.same_key('c', 'r')}"
        " WHERE c.batch IS NULL AND c.kind = 'delete' AND c.entry <= ? ORDER BY c.entry",
        (last,),
    )
    for (partition,), group in _split(rows, 1):
        yield Section(
            table=table.name,
            kind="delete",
            rows=encode_rows(group),
            partition=partitions.get(partition, ""),
        )


def _inserts(connection: sqlite3.Connection, table: Table, last: int) -> Iterable[Section]:
    selected = [table.keys_of("c"), "c.entry", "c.hlc", "c.life", *table.values_of(table.columns)]
    rows = read_all(
        connection,
        f"SELECT {', '.join(selected)}"
        f" FROM {table.capture} AS c CROSS JOIN {table.app} AS a ON {table.app_key_is('c')}"
        " WHERE c.batch IS NULL AND c.kind = 'insert' AND c.entry <= ? ORDER BY c.entry",
        (last,),
    )
    _check_complete(connection, table, "insert", last, len(rows))
    if rows:
        yield Section(
            table=table.name, kind="insert", rows=encode_rows(rows), columns=list(table.columns)
        )


def _updates(
    connection: sqlite3.Connection, table: Table, last: int, partitions: dict[int, str]
) -> Iterable[Section]:
    """One section for each set of columns, counters and partition; rows of one set are read as they are sent."""
    columns = _updated(connection, table, last)
    counters = list(table.tracked.counters)
    deltas = [f"c.{table.delta(name)}" for name in counters]
    traits = [
        *(f"c.{name}" for name in table.tracked.mask_names),
        *(f"{delta} IS NOT NULL" for delta in deltas),
        "r.partition",
    ]
    selected = [
        *(table.keys_of("c"), "c.entry", "c.hlc", "ifnull(c.life, substr(r.lives, 1, 32))"),
        *table.values_of(columns),
        *deltas,
        *traits,
    ]
    rows = read_all(
        connection,
        f"SELECT {', '.join(selected)} FROM {table.capture} AS c"
        f" CROSS JOIN {table.app} AS a ON {table.app_key_is('c')}"
        f" LEFT JOIN {table.rows} AS r ON {table.same_key('c', 'r')}"
        " WHERE c.batch IS NULL AND c.kind = 'update' AND c.entry <= ? ORDER BY c.entry",
        (last,),
    )
    _check_complete(connection, table, "update", last, len(rows))
    words = len(table.tracked.mask_names)
    head = table.width + 3
    for trait, group in _split(rows, len(traits)):
        sent = table.columns_in(trait[:words])
        counted = [n for n, there in zip(counters, trait[words:-1], strict=True) if there]
        places = [head + columns.index(name) for name in sent]
        places += [head + len(columns) + counters.index(name) for name in counted]
        yield Section(
            table=table.name,
            kind="update",
            rows=encode_rows(_pick(group, head, places)),
            columns=sent,
            deltas=counted,
            partition=partitions.get(trait[-1], ""),
        )


def _pick(rows: list[Any], head: int, places: list[int]) -> list[Any]:
    """Keep the first `head` columns and those at the places."""
    wanted = [*range(head), *places]
    if wanted == list(range(len(rows[0]))):
        return rows
    return list(map(itemgetter(*wanted), rows))


def _split(rows: list[Any], traits: int) -> Iterable[tuple[Any, list[Any]]]:
    """Group rows by their last `traits` columns, in the order of the first of each group."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row[-traits:]].append(row)
    return [(trait, [row[:-traits] for row in group]) for trait, group in groups.items()]


def _check_complete(
    connection: sqlite3.Connection, table: Table, kind: str, last: int, found: int
) -> None:
    """The triggers never leave an entry whose row is gone; a file where one is was changed behind them."""
    (wanted,) = connection.execute(
        f"SELECT count(*) FROM {table.capture} WHERE batch IS NULL AND kind = ? AND entry <= ?",
        (kind, last),
    ).fetchone()
    if wanted != found:
        raise FileCorrupt(
            f"the outbox of table {table.name!r} names rows that are gone",
            why=f"{wanted} entries of kind {kind} have {found} rows",
            remedy="Leave the tables and triggers named _sync_ alone; nothing was sent",
        )


def _mark(connection: sqlite3.Connection, tables: Sequence[Table], last: int, batch: Batch) -> None:
    """Move the entries in flight: later writes make new ones. Inserted rows count as known from now on."""
    device = read_meta(connection, "device")
    for table in tables:
        unsent = "batch IS NULL AND entry <= ?"
        connection.execute(
            f"INSERT INTO {table.rows} ({table.keys}, lives)"
            f" SELECT {table.keys}, printf('%016x', hlc) || ? FROM {table.capture}"
            f" WHERE kind = 'insert' AND {unsent} ORDER BY {table.keys}"
            f" ON CONFLICT ({table.keys}) DO UPDATE SET lives = excluded.lives",
            (device, last),
        )
        connection.execute(
            f"UPDATE {table.capture} AS c SET life = (SELECT substr(r.lives, 1, 32)"
            f" FROM {table.rows} AS r WHERE {table.same_key('r', 'c')})"
            f" WHERE kind = 'update' AND life IS NULL AND {unsent}",
            (last,),
        )
        connection.execute(
            f"UPDATE {table.capture} SET batch = ? WHERE {unsent}",
            (batch.number, last),
        )
    connection.execute(
        "INSERT INTO _sync_inflight (batch, digest, sections, changes) VALUES (?, ?, ?, ?)",
        (batch.number, batch.digest, batch.sections, batch.changes),
    )
    write_meta(connection, "next_batch", batch.number + 1)
