"""
The tables that the capture triggers read and write: their names, their layout, their SQL.

`n` is the table's id, `c` a column's id; both are given once by the replica and never reused. A
mask word holds 63 columns, so that no word is negative and no shift loses a bit. This module must
never hold a trigger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncauth.rows.tables import Column, TableInfo

BITS_PER_WORD: Final = 63

CLOCK_SQL: Final = (
    """CREATE TABLE IF NOT EXISTS _sync_clock (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    entry INTEGER NOT NULL,
    hlc INTEGER NOT NULL,
    offset_ms INTEGER NOT NULL,
    fixed_ms INTEGER,
    applying INTEGER NOT NULL
)""",
    "INSERT OR IGNORE INTO _sync_clock VALUES (1, 0, 0, 0, NULL, 0)",
)
"""The clock of a file and its one row.

The last entry number and HLC, the offset server time minus wall clock
in ms, the time used in place of the wall clock (NULL: the real one), and 1 while remote rows are
applied."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """A table that is captured: its id `number`, the ids of its value columns, and its counters.

    `column_ids` names every column of `info.value_names`; further names (columns that are gone) are
    ignored.
    """

    info: TableInfo
    number: int
    column_ids: Mapping[str, int]
    counters: tuple[str, ...] = ()

    @property
    def words(self) -> int:
        """How many mask words the table's column ids need; at least one."""
        return 1 + max((self.column_ids[name] for name in self.info.value_names), default=0) // (
            BITS_PER_WORD
        )

    @property
    def mask_names(self) -> tuple[str, ...]:
        """The names of the mask words in the capture table."""
        return tuple(f"m{word}" for word in range(self.words))

    @property
    def delta_names(self) -> tuple[str, ...]:
        """The names of the delta columns in the capture table, in the order of `counters`."""
        return tuple(f"d{self.column_ids[name]}" for name in self.counters)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the key columns in our own tables: k0, k1 and so on."""
        return tuple(f"k{place}" for place in range(len(self.info.key)))


def mask_bit(column_id: int) -> tuple[int, int]:
    """Return the mask word of a column id, and the value of its bit in that word."""
    return column_id // BITS_PER_WORD, 1 << column_id % BITS_PER_WORD


def capture_table(number: int) -> str:
    """Name the table of a tracked table's entries."""
    return f"_sync_capture_{number}"


def rows_table(number: int) -> str:
    """Name the table of the rows that the server knows."""
    return f"_sync_rows_{number}"


def replaced_table(number: int) -> str:
    """Name the table of the notes about rows that REPLACE may remove."""
    return f"_sync_replaced_{number}"


def rows_table_sql(tracked: Tracked) -> str:
    """The rows that the server is known to have, or whose insert is in flight, by their key.

    `lives` is the life and its aliases, separated by spaces; `partition` the id in
    `_sync_partitions`.
    """
    keys = _key_definitions(tracked.info.key, "k")
    names = ", ".join(tracked.key_names)
    return (
        f"CREATE TABLE {rows_table(tracked.number)} (\n    {keys},\n    lives TEXT NOT NULL,\n"
        f"    partition INTEGER,\n    PRIMARY KEY ({names})\n) WITHOUT ROWID"
    )


def capture_table_sql(tracked: Tracked) -> str:
    """The entries of one table: unsent ones (`batch` NULL: the outbox) and those in flight.

    `life` is, for an insert, the life that it ends (NULL: none); for a deletion the life it
    deletes; for an update NULL until the cut, meaning the row's life in the table of rows.
    """
    extra = "".join(f",\n    {name} INTEGER NOT NULL DEFAULT 0" for name in tracked.mask_names)
    extra += "".join(f",\n    {name} INTEGER" for name in tracked.delta_names)
    return (
        f"CREATE TABLE {capture_table(tracked.number)} (\n    entry INTEGER PRIMARY KEY,\n"
        "    kind TEXT NOT NULL,\n    hlc INTEGER NOT NULL,\n    life TEXT,\n    batch INTEGER,\n"
        f"    {_key_definitions(tracked.info.key, 'k')}{extra}\n)"
    )


def replaced_table_sql(tracked: Tracked) -> str:
    """The notes that a BEFORE trigger leaves for the AFTER trigger of the same row.

    `maker…` is the key of the row being updated, NULL for an insert; `k…` the key of a row that is
    in its way. `entry`, `hlc` and `life` are those of that row's unsent insert; `b…` its counters
    less unsent deltas.
    """
    bases = "".join(f",\n    b{name[1:]} INTEGER" for name in tracked.delta_names)
    return (
        f"CREATE TABLE {replaced_table(tracked.number)} (\n"
        f"    {_key_definitions(tracked.info.key, 'maker', null=True)},\n"
        f"    {_key_definitions(tracked.info.key, 'k')},\n"
        f"    entry INTEGER,\n    hlc INTEGER,\n    life TEXT{bases}\n)"
    )


def index_sql(tracked: Tracked) -> dict[str, str]:
    """The indexes by name: entries by key, entries in flight by batch, notes by maker."""
    table, notes = capture_table(tracked.number), replaced_table(tracked.number)
    names = ", ".join(tracked.key_names)
    makers = ", ".join(f"maker{place}" for place in range(len(tracked.info.key)))
    return {
        f"{table}_key": f"CREATE INDEX {table}_key ON {table} ({names})",
        f"{table}_batch": f"CREATE INDEX {table}_batch ON {table} (batch) WHERE batch IS NOT NULL",
        f"{notes}_maker": f"CREATE INDEX {notes}_maker ON {notes} ({makers})",
    }


def _key_definitions(key: tuple[Column, ...], prefix: str, *, null: bool = False) -> str:
    """Define columns of the key's affinities: they hold every key just as the table does."""
    rule = "" if null else " NOT NULL"
    return ",\n    ".join(
        f"{prefix}{place} {column.affinity}{rule}" for place, column in enumerate(key)
    )
