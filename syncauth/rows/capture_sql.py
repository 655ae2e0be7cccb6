"""
The pieces of SQL from which the capture triggers of one table are composed.

Everything here is text; nothing is executed. Names of columns are always qualified by NEW, OLD or a
table, so that SQLite can never take a misspelt one for a text. This module must never decide what a
change means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncauth.rows.capture_tables import Tracked, capture_table, replaced_table, rows_table
from syncauth.rows.sqltext import quote

NOT_APPLYING: Final = "(SELECT applying FROM _sync_clock WHERE id = 1) = 0"

ENTRY: Final = "(SELECT entry FROM _sync_clock WHERE id = 1)"

NEXT_ENTRY: Final = (
    "UPDATE _sync_clock SET entry = entry + 1, hlc = max(hlc + 1, (ifnull(fixed_ms,"
    " CAST((julianday('now') - 2440587.5) * 86400000.0 + 0.5 AS INTEGER)) + offset_ms) << 16)"
    " WHERE id = 1"
)
"""Draws an entry number and an HLC.

Milliseconds since the epoch in the upper bits, a counter in the lower 16.
SQLite 3.40 has no subsecond unixepoch, so the time comes from julianday."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The names and conditions that all triggers of one table share."""

    tracked: Tracked

    @property
    def table(self) -> str:
        """The app's table."""
        return quote(self.tracked.info.name)

    @property
    def capture(self) -> str:
        """The table of entries."""
        return capture_table(self.tracked.number)

    @property
    def rows(self) -> str:
        """The table of rows that the server knows."""
        return rows_table(self.tracked.number)

    @property
    def notes(self) -> str:
        """The table of notes about replaced rows."""
        return replaced_table(self.tracked.number)

    @property
    def keys(self) -> str:
        """Our names of the key columns."""
        return ", ".join(self.tracked.key_names)

    @property
    def makers(self) -> str:
        """The names of the columns that say who made a note."""
        return ", ".join(name.replace("k", "maker", 1) for name in self.tracked.key_names)

    def key_of(self, row: str) -> str:
        """The key columns of NEW, of OLD or of the app's table."""
        return ", ".join(f"{row}.{quote(name)}" for name in self.tracked.info.key_names)

    def at_key_of(self, row: str, *, ours: str = "") -> str:
        """The condition that one of our tables has the key of NEW, OLD or the app's table."""
        return self._equal([f"{ours}{name}" for name in self.tracked.key_names], row)

    def made_by(self, row: str | None) -> str:
        """The condition that a note was made by the update of OLD, or (None) by an insert."""
        if row is None:
            return "maker0 IS NULL"
        return self._equal(self.makers.split(", "), row)

    def same_row(self, row: str) -> str:
        """The condition that a row of the app's table is OLD or NEW."""
        return self._equal(
            [f"{self.table}.{quote(name)}" for name in self.tracked.info.key_names], row
        )

    def _equal(self, left: list[str], row: str) -> str:
        pairs = zip(left, self.tracked.info.key_names, strict=True)
        return " AND ".join(f"{name} = {row}.{quote(column)}" for name, column in pairs)

    def unsent(self, row: str, kind: str) -> str:
        """The condition that an entry is an unsent one of this kind of the row NEW or OLD."""
        return f"{self.at_key_of(row)} AND batch IS NULL AND kind = '{kind}'"


def changed(name: str) -> str:
    """SQL that is 1 when a column's value is another one, be it only by type or by case.

    `typeof` tells 1 from 1.0; without COLLATE BINARY a NOCASE column would take BOB for bob. Nothing
    in SQLite tells 0.0 from -0.0: a write that changes the sign of a zero alone is no change.
    """
    new, old = f"NEW.{quote(name)}", f"OLD.{quote(name)}"
    return f"(typeof({new}) <> typeof({old}) OR {new} COLLATE BINARY IS NOT {old})"


def any_of(conditions: list[str], *, operator: str = " OR ") -> str:
    """Join conditions in groups, so that no expression grows too deep for SQLite (1,000)."""
    groups = [operator.join(conditions[at : at + 50]) for at in range(0, len(conditions), 50)]
    return operator.join(f"({group})" for group in groups) or "0"
