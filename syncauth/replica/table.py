"""
The SQL of one tracked table that cutting, applying and acknowledging share.

`c` is always the table of entries, `a` the app's table, `r` the table of known rows, `p` a list of keys of the page
at hand. Everything here is text and plain data; nothing is executed. This module must never hold a value of a row.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

from syncauth.rows.capture_tables import Tracked, capture_table, mask_bit, rows_table
from syncauth.rows.sqltext import quote
from syncauth.sansio.messages import TableShape


@dataclass(frozen=True)
class Table:
    """A tracked table; `uncertain` says that its capture was interrupted and its rows must be compared."""

    tracked: Tracked
    uncertain: bool = False

    @property
    def name(self) -> str:
        """The name of the app's table."""
        return self.tracked.info.name

    @functools.cached_property
    def app(self) -> str:
        """The app's table as an SQL identifier."""
        return quote(self.tracked.info.name)

    @functools.cached_property
    def capture(self) -> str:
        """The table of entries."""
        return capture_table(self.tracked.number)

    @functools.cached_property
    def rows(self) -> str:
        """The table of known rows."""
        return rows_table(self.tracked.number)

    @functools.cached_property
    def page(self) -> str:
        """The temporary table of keys of the page at hand."""
        return f"temp._sync_page_{self.tracked.number}"

    @functools.cached_property
    def width(self) -> int:
        """How many columns the key has."""
        return len(self.tracked.info.key)

    @functools.cached_property
    def columns(self) -> tuple[str, ...]:
        """All columns whose values travel, without the key."""
        return self.tracked.info.value_names

    @functools.cached_property
    def keys(self) -> str:
        """The key columns in our own tables."""
        return ", ".join(self.tracked.key_names)

    @functools.cached_property
    def app_keys(self) -> str:
        """The key columns in the app's table."""
        return ", ".join(quote(name) for name in self.tracked.info.key_names)

    def keys_of(self, alias: str) -> str:
        """The key columns of one of our tables by its alias."""
        return ", ".join(f"{alias}.{name}" for name in self.tracked.key_names)

    def app_keys_of(self, alias: str) -> str:
        """The key columns of the app's table by its alias."""
        return ", ".join(f"{alias}.{quote(name)}" for name in self.tracked.info.key_names)

    def same_key(self, one: str, other: str) -> str:
        """The condition that two of our tables, by their aliases, have the same key."""
        return " AND ".join(f"{one}.{name} = {other}.{name}" for name in self.tracked.key_names)

    def app_key_is(self, alias: str, app: str = "a") -> str:
        """The condition that the app's table has the key of one of ours, both by their aliases."""
        pairs = zip(self.tracked.info.key_names, self.tracked.key_names, strict=True)
        return " AND ".join(f"{app}.{quote(name)} = {alias}.{ours}" for name, ours in pairs)

    def values_of(self, names: Collection[str], alias: str = "a") -> list[str]:
        """Columns of the app's table by its alias."""
        return [f"{alias}.{quote(name)}" for name in names]

    def delta(self, name: str) -> str:
        """The column of the table of entries that holds the deltas of a counter."""
        return f"d{self.tracked.column_ids[name]}"

    def bit(self, name: str) -> tuple[int, int]:
        """The mask word of a column and the value of its bit."""
        return mask_bit(self.tracked.column_ids[name])

    def columns_in(self, words: Collection[int]) -> list[str]:
        """Name the columns whose bits are set in the mask words; columns that are gone are left out."""
        masks = list(words)
        return [
            name for name in self.columns for word, bit in [self.bit(name)] if masks[word] & bit
        ]

    @functools.cached_property
    def shape(self) -> TableShape:
        """The table as the server is told of it."""
        info = self.tracked.info
        return TableShape(
            table=info.name,
            key=list(info.key_names),
            columns=list(info.value_names),
            counters=list(self.tracked.counters),
        )
