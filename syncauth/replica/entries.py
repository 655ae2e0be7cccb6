"""
Reading entries of the capture tables into plain objects, for the few rows that are looked at one by one.

An entry is *pending* for a page or a result if it is unsent, or in flight with a batch above the last one that the
page contains. This module must never change an entry.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncauth.replica.table import Table
from syncauth.rows.values import read_all


@dataclass(frozen=True, slots=True)
class Entry:
    """One captured change; `life` is, for an insert, the life it ends; `batch` None means unsent."""

    entry: int
    kind: str
    hlc: int
    life: str | None
    batch: int | None
    columns: tuple[str, ...]
    deltas: Mapping[str, int]


def read_entries(
    connection: sqlite3.Connection, table: Table, source: str, parameters: Sequence[Any]
) -> dict[tuple[Any, ...], list[Entry]]:
    """Return entries by key, each row's in their order; `source` is what follows FROM, with the alias `c`."""
    masks, counters = table.tracked.mask_names, table.tracked.counters
    selected = [
        table.keys_of("c"),
        "c.entry, c.kind, c.hlc, c.life, c.batch",
        *(f"c.{name}" for name in masks),
        *(f"c.{table.delta(name)}" for name in counters),
    ]
    rows = read_all(
        connection,
        f"SELECT {', '.join(selected)} FROM {source} ORDER BY c.entry",
        parameters,
    )
    found: dict[tuple[Any, ...], list[Entry]] = defaultdict(list)
    width, words = table.width, len(masks)
    for row in rows:
        entry, kind, hlc, life, batch = row[width : width + 5]
        marks = row[width + 5 : width + 5 + words]
        deltas = zip(counters, row[width + 5 + words :], strict=True)
        found[row[:width]].append(
            Entry(
                entry=entry,
                kind=kind,
                hlc=hlc,
                life=life,
                batch=batch,
                columns=tuple(table.columns_in(marks)) if kind == "update" else (),
                deltas={name: delta for name, delta in deltas if delta is not None},
            )
        )
    return found


def has_pending(connection: sqlite3.Connection, table: Table, through: int) -> bool:
    """Whether the table has any pending entry at all."""
    found = connection.execute(
        f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {table.capture} WHERE batch > ?)"
        f" OR EXISTS (SELECT 1 FROM {table.capture} WHERE batch IS NULL)",
        (through,),
    ).fetchone()
    return found is not None


def delete_entries(connection: sqlite3.Connection, table: Table, entries: Sequence[int]) -> None:
    """Remove entries by their numbers."""
    connection.executemany(
        f"DELETE FROM {table.capture} WHERE entry = ?",
        [(entry,) for entry in entries],
    )
