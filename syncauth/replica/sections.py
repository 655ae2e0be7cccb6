"""
Reading the sections of a batch: what the rows behind unsent entries hold now, set-wise.

One query for the inserts of a table, one each for its updates and its deletions; only updates of several column sets
are sorted in Python. Rows are read in portions and counted as they will be sent, so that no more of them is ever in
memory than about one batch, whatever they hold. This module must never write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from syncauth.replica.table import Table
from syncauth.rows.values import encode_rows, read_portions
from syncauth.sansio.messages import Section, SectionKind

_PORTION: Final = 500
"""Rows that are read at once."""


class Span(NamedTuple):
    """The unsent entries from `first` to `last`, and how many `changes` they are."""

    first: int
    last: int
    changes: int


class Kinds(NamedTuple):
    """How many unsent entries a table has in a span, by their kind."""

    deletes: int
    inserts: int
    updates: int

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return any(self)


class _Header(NamedTuple):
    """What the rows of one section share; `width` is that of the key."""

    table: str
    width: int
    kind: SectionKind
    columns: tuple[str, ...] = ()
    deltas: tuple[str, ...] = ()
    partition: str = ""


class Reader:
    """Reads one span; `span` is shorter afterwards if not all of it fits into a batch."""

    def __init__(self, connection: sqlite3.Connection, span: Span, size: int) -> None:
        """Begin; `size` is the limit in bytes."""
        self.span = span
        self._connection = connection
        self._size = size
        self._partitions: dict[int | None, str] = dict(
            connection.execute("SELECT id, name FROM _sync_partitions").fetchall()
        )
        self._found: dict[_Header, list[Any]] = {}
        self._entries: list[int] = []
        self._bytes = 0

    def kinds(self, table: Table) -> Kinds:
        """Count the entries of a table."""
        counts = ", ".join(
            f"count(*) FILTER (WHERE kind = '{kind}')" for kind in ("delete", "insert", "update")
        )
        row = self._connection.execute(
            f"SELECT {counts} FROM {table.capture} WHERE batch IS NULL AND entry BETWEEN ? AND ?",
            self.span[:2],
        ).fetchone()
        return Kinds(*row)

    @property
    def fitting(self) -> int:
        """How many of the rows that were read will fit into a batch; one at least."""
        return max(1, len(self._entries) * self._size * 9 // (self._bytes * 10 or 1))

    def read(self, tables: Sequence[tuple[Table, Kinds]]) -> list[Section]:
        """Deletions first, since they free keys and unique values; then inserts, then updates.

        Stops where more was read than fits; what then is left is a beginning of the span, if all of it is of one
        table and kind, and is too large otherwise.
        """
        parts = [
            *((self._deletes, table) for table, kinds in tables if kinds.deletes),
            *((self._inserts, table) for table, kinds in tables if kinds.inserts),
            *((self._updates, table) for table, kinds in tables if kinds.updates),
        ]
        for read, table in parts:
            read(table)
            if self._bytes > self._size:
                break
        if self._bytes > self._size and len(parts) == 1:
            self._shorten()
        return [
            Section(
                table=header.table,
                kind=header.kind,
                rows=rows,
                columns=list(header.columns),
                deltas=list(header.deltas),
                partition=header.partition,
            )
            for header, rows in self._found.items()
        ]

    def _shorten(self) -> None:
        """End the span with the last row that fits."""
        count = min(self.fitting, len(self._entries))
        last = self._entries[count - 1]
        self.span = Span(self.span.first, last, count)
        kept = {
            header: [row for row in rows if row[header.width] <= last]
            for header, rows in self._found.items()
        }
        self._found = {header: rows for header, rows in kept.items() if rows}

    def _add(self, header: _Header, rows: Sequence[Any]) -> None:
        encoded = encode_rows(rows)
        self._found.setdefault(header, []).extend(encoded)
        self._bytes += len(msgspec.json.encode(encoded))

    def _portions(self, table: Table, kind: SectionKind, sql: str) -> Iterable[list[Any]]:
        """Read the entries `c` of a kind in their order, until more was read than fits."""
        of_span = "c.batch IS NULL AND c.entry BETWEEN ? AND ?"
        for rows in read_portions(
            self._connection,
            f"{sql} WHERE {of_span} AND c.kind = '{kind}' ORDER BY c.entry",
            self.span[:2],
            portion=_PORTION,
        ):
            self._entries += map(itemgetter(table.width), rows)
            yield rows
            if self._bytes > self._size:
                return

    def _deletes(self, table: Table) -> None:
        sql = (
            f"SELECT {table.keys_of('c')}, c.entry, c.hlc, c.life, r.partition"
            f" FROM {table.capture} AS c LEFT JOIN {table.rows} AS r ON {table.same_key('c', 'r')}"
        )
        for portion in self._portions(table, "delete", sql):
            for (partition,), rows in _split(portion, 1):
                known = self._partitions.get(partition, "")
                self._add(_Header(table.name, table.width, "delete", partition=known), rows)

    def _inserts(self, table: Table) -> None:
        columns = table.columns
        selected = [table.keys_of("c"), "c.entry", "c.hlc", "c.life", *table.values_of(columns)]
        sql = (
            f"SELECT {', '.join(selected)}"
            f" FROM {table.capture} AS c CROSS JOIN {table.app} AS a ON {table.app_key_is('c')}"
        )
        for portion in self._portions(table, "insert", sql):
            self._add(_Header(table.name, table.width, "insert", columns), portion)

    def _updates(self, table: Table) -> None:
        """One section for each set of columns, counters and partition."""
        columns = self._updated(table)
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
        sql = (
            f"SELECT {', '.join(selected)} FROM {table.capture} AS c"
            f" CROSS JOIN {table.app} AS a ON {table.app_key_is('c')}"
            f" LEFT JOIN {table.rows} AS r ON {table.same_key('c', 'r')}"
        )
        words = len(table.tracked.mask_names)
        head = table.width + 3
        for portion in self._portions(table, "update", sql):
            for trait, rows in _split(portion, len(traits)):
                sent = table.columns_in(trait[:words])
                flags = zip(counters, trait[words:-1], strict=True)
                counted = [name for name, there in flags if there]
                places = [head + columns.index(name) for name in sent]
                places += [head + len(columns) + counters.index(name) for name in counted]
                partition = self._partitions.get(trait[-1], "")
                header = _Header(
                    table.name, table.width, "update", tuple(sent), tuple(counted), partition
                )
                self._add(header, _pick(rows, head, places))

    def _updated(self, table: Table) -> list[str]:
        """Name the columns that the updates send."""
        groups = self._connection.execute(
            f"SELECT DISTINCT {', '.join(table.tracked.mask_names)} FROM {table.capture}"
            " WHERE batch IS NULL AND kind = 'update' AND entry BETWEEN ? AND ?",
            self.span[:2],
        ).fetchall()
        columns = {name for words in groups for name in table.columns_in(words)}
        return [name for name in table.columns if name in columns]


def _pick(rows: list[Any], head: int, places: list[int]) -> list[Any]:
    """Keep the first `head` columns and those at the places."""
    wanted = [*range(head), *places]
    if wanted == list(range(len(rows[0]))):
        return rows
    return list(map(itemgetter(*wanted), rows))


def _split(rows: list[Any], traits: int) -> Iterable[tuple[Any, list[Any]]]:
    """Group rows by their last `traits` columns, in the order of the first of each group."""
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(row[-traits:], []).append(row[:-traits])
    return groups.items()
