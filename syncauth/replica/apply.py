"""
Applying remote rows: the server's state, with the pending entries of this device laid over it.

Theory of operation. Rows without pending entries (nearly all) are overwritten set-wise: what the server sends is
its whole state, in the order of versions. Rows with pending entries are worked out one by one by `merge`, and the
outcome joins the others, so that every row is written by one and the same statement. Removals come first, since
they free unique values. A row that cannot be placed because of a unique value is left to `conflicts`; rows whose
parent has gone to `orphans`.

Everything happens in the caller's transaction, with the capture triggers silent. This module must never use
REPLACE, and never overwrite a column whose pending local write is newer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from syncauth.replica import comparing, conflicts, waiting
from syncauth.replica.conflicts import Candidate
from syncauth.replica.entries import Entry, delete_entries, has_pending, read_entries
from syncauth.replica.merge import Outcome, Overlay, Remote
from syncauth.replica.orphans import Orphans
from syncauth.replica.page import Group, fill_keys, newest_stamp, read_page
from syncauth.replica.rowwrites import (
    clear_columns,
    delete_known,
    delete_rows,
    local_rows,
    refuse,
    turn_into_update,
    upsert_known,
    upsert_rows,
)
from syncauth.replica.schema import read_meta
from syncauth.replica.table import Table
from syncauth.rows.stamps import RowStamps
from syncauth.rows.values import equal_to, read_all
from syncauth.sansio.messages import Section

AHEAD_MS = 60_000
"""How far a stamp may lie ahead of the server's time before it is cut."""

LEFT = ("permission_denied", "the row has left what this user may see")


class _Merged(NamedTuple):
    """A group with its rows as they are to be written, and (key…, lives) of those that stay as they are."""

    group: Group
    written: Sequence[Any]
    known: Sequence[Any]

    @property
    def plain(self) -> bool:
        """Whether the rows to be written hold no `RawText`, as far as is known without a look at them."""
        return self.group.plain and self.written is self.group.rows


class Applier:
    """Applies sections of `row`, `gone` and `exit` within one transaction.

    `through` is the last batch of this device that they contain; `known` names the partitions of which only rows
    come that were here before (`comparing`); `decided` says that they answer a refusal: then a removal holds
    wherever, and in whatever life, the row was thought to be.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        tables: Mapping[str, Table],
        *,
        through: int,
        known: Collection[str] = (),
        decided: bool = False,
    ) -> None:
        """Read what all rows are judged by: the device id and the bound of stamps."""
        self._connection = connection
        self._tables = tables
        self._through = through
        self._known = known
        self._decided = decided
        self._device = str(read_meta(connection, "device"))
        self._bound = stamp_bound(connection)
        self._orphans = Orphans(connection, tables)

    def apply(self, sections: Sequence[Section]) -> None:
        """Write the sections, and those that waited.

        Raises:
            InvalidMessage: they break the protocol.
            SyncStopped: they do not fit into the app's tables.
        """
        sections = [*sections, *waiting.take(self._connection, self._tables, sections)]
        pages = read_page(self._connection, self._tables, sections)
        newest = newest_stamp(pages, self._bound)
        self._connection.execute(
            "UPDATE _sync_clock SET hlc = ? WHERE id = 1 AND hlc < ?1", (newest,)
        )
        for page in pages:
            if page.table.uncertain:
                for group in page.rows:
                    self._compare(page.table, group)
        for page in pages:
            for group in page.removals:
                self._remove(page.table, group)
        for page in pages:
            if page.rows:
                self._write(page.table, page.rows)
        self._orphans.refuse_all()

    def _compare(self, table: Table, group: Group) -> None:
        fill_keys(self._connection, table, [tuple(row[: table.width + 1]) for row in group.rows])
        comparing.compare(
            self._connection,
            table,
            group,
            self._pending(table),
            known=group.partition in self._known,
            device=None if self._decided else self._device,
        )

    def _pending(self, table: Table) -> dict[tuple[Any, ...], list[Entry]]:
        """Return the pending entries of the keys in the page's temporary table."""
        return read_entries(
            self._connection,
            table,
            f"{table.page} AS p CROSS JOIN {table.capture} AS c ON {table.same_key('p', 'c')}"
            " WHERE c.batch IS NULL OR c.batch > ?",
            (self._through,),
        )

    def _overlay(
        self, table: Table, remote: Remote, known: str | None, entries: Sequence[Entry]
    ) -> Outcome:
        overlay = Overlay(
            remote, device=self._device, bound=self._bound, columns=table.columns, known=known
        )
        return overlay.lay(entries)

    # --- removals ----------------------------------------------------------------------------------

    def _remove(self, table: Table, group: Group) -> None:
        """Remove rows that are deleted or have left; where they are of another partition or life, they stay."""
        width = table.width
        gone = group.kind == "gone"
        fill_keys(
            self._connection,
            table,
            [(*row[:width], row[width] if gone else None) for row in group.rows],
        )
        if not self._decided:
            self._connection.execute(
                f"DELETE FROM {table.page} AS p WHERE NOT EXISTS (SELECT 1 FROM {table.rows} AS r"
                f" WHERE {table.same_key('r', 'p')} AND (r.partition IS NULL OR r.partition = ?"
                " OR instr(p.lives, substr(r.lives, 1, 32))))",
                (group.partition_id,),
            )
        if has_pending(self._connection, table, self._through):
            self._remove_pending(table, refused=not gone)
        self._orphans.collect(table)
        delete_rows(self._connection, table)
        delete_known(self._connection, table)

    def _remove_pending(self, table: Table, *, refused: bool) -> None:
        """Take rows with pending entries out of the page, working out each."""
        entries = self._pending(table)
        if not entries:
            return
        known = self._known_lives(table)
        here = local_rows(self._connection, table)
        staying = []
        for key, own in entries.items():
            outcome = self._overlay(table, Remote(None), known.get(key), own)
            if refused:
                for entry in outcome.dropped:
                    refuse(self._connection, table, key, entry, here.get(key), *LEFT)
            delete_entries(self._connection, table, [entry.entry for entry in outcome.dropped])
            if outcome.present or outcome.known:
                staying.append((key, outcome.known))
        self._keep(table, staying)

    def _keep(self, table: Table, staying: Sequence[tuple[tuple[Any, ...], str | None]]) -> None:
        """Keep rows that a pending insert has begun anew; what the server knew of them is over."""
        for key, _ in staying:
            at_key = equal_to(table.tracked.key_names, key)
            self._connection.execute(f"DELETE FROM {table.page} WHERE {at_key}", key)
            self._connection.execute(f"DELETE FROM {table.rows} WHERE {at_key}", key)
        upsert_known(
            self._connection, table, [(*key, known, None) for key, known in staying if known]
        )

    def _known_lives(self, table: Table) -> dict[tuple[Any, ...], str]:
        rows = read_all(
            self._connection,
            f"SELECT {table.keys_of('r')}, r.lives FROM {table.page} AS p"
            f" CROSS JOIN {table.rows} AS r ON {table.same_key('p', 'r')}",
        )
        return {row[:-1]: row[-1] for row in rows}

    # --- rows --------------------------------------------------------------------------------------

    def _write(self, table: Table, groups: Sequence[Group]) -> None:
        """Write all rows of a table: they may swap unique values over the borders of groups."""
        connection = self._connection
        merged = [_Merged(group, *self._merge_pending(table, group)) for group in groups]
        if any(
            upsert_rows(connection, table, m.group.columns, m.written, plain=m.plain)
            for m in merged
        ):
            merged = self._place(table, merged)
        for each in merged:
            group, written, known = each
            width, partition = table.width, group.partition_id
            rows = [(*row[: width + 1], partition) for row in written]
            upsert_known(connection, table, rows, plain=each.plain)
            upsert_known(self._connection, table, [(*row, partition) for row in known])

    def _place(self, table: Table, merged: Sequence[_Merged]) -> list[_Merged]:
        """Place the rows one by one; returns what has found its place, and lets the others wait."""
        width = table.width
        candidates = []
        for group, written, _ in merged:
            sent = {tuple(row[:width]): row for row in group.rows}
            candidates += [Candidate(group, row, sent[tuple(row[:width])]) for row in written]
        outcome = conflicts.place(self._connection, table, candidates, orphans=self._orphans)
        for each in outcome.waiting:
            waiting.store(self._connection, table, each.group, [each.sent])
        return [
            _Merged(m.group, [c.row for c in outcome.placed if c.group is m.group], m.known)
            for m in merged
        ]

    def _merge_pending(self, table: Table, group: Group) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return the rows to be written, merged where entries are pending, and (key…, lives) of all others."""
        width = table.width
        if not has_pending(self._connection, table, self._through):
            return group.rows, []
        fill_keys(self._connection, table, [tuple(row[: width + 1]) for row in group.rows])
        entries = self._pending(table)
        if not entries:
            return group.rows, []
        lives = self._known_lives(table)
        here = local_rows(self._connection, table)
        written, known = [], []
        for row in group.rows:
            key = tuple(row[:width])
            own = entries.get(key)
            if own is None:
                written.append(row)
                continue
            remote = Remote(row[width], RowStamps.read(row[width + 1], row[width + 2]))
            outcome = self._overlay(table, remote, lives.get(key), own)
            self._settle(table, outcome)
            if outcome.present and not outcome.all_kept:
                merged = _merged(table, group.columns, row, outcome, here.get(key))
                merged[width] = outcome.known
                written.append(merged)
            else:
                known.append((*key, outcome.known))
        return written, known

    def _settle(self, table: Table, outcome: Outcome) -> None:
        """Bring the unsent entries of a row in line with what the server has."""
        delete_entries(self._connection, table, [entry.entry for entry in outcome.dropped])
        for entry, columns in outcome.cleared.items():
            clear_columns(self._connection, table, entry, columns)
        for entry, won in outcome.turned.items():
            turn_into_update(self._connection, table, entry, won)


def _merged(
    table: Table,
    columns: Sequence[str],
    row: Sequence[Any],
    outcome: Outcome,
    here: Mapping[str, Any] | None,
) -> list[Any]:
    """Lay kept columns and deltas over a remote row."""
    merged = list(row)
    for place, name in enumerate(columns, table.width + 3):
        if here is not None and name in outcome.kept:
            merged[place] = here[name]
        elif name in outcome.deltas and type(merged[place]) in (int, float):
            merged[place] = _sum(merged[place], outcome.deltas[name])
    return merged


def _sum(value: float, delta: int) -> float:
    """Add as SQLite does: what 64 bits do not hold becomes a real number."""
    total = value + delta
    return total if -(2**63) <= total < 2**63 else float(total)


def stamp_bound(connection: sqlite3.Connection) -> int:
    """Return the highest HLC that counts: the server's time, as far as known, and 60 s."""
    (now,) = connection.execute(
        "SELECT ifnull(fixed_ms, CAST((julianday('now') - 2440587.5) * 86400000.0 + 0.5 AS INTEGER))"
        " + offset_ms FROM _sync_clock WHERE id = 1"
    ).fetchone()
    return int(now + AHEAD_MS) << 16
