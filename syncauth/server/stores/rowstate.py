"""
Reading and writing one row of a served table together with what is known about it.

The statements here are the slow path's: each touches one row, named by partition and key. Texts that are no valid
UTF-8 are bound by a cast, so that they stay TEXT. This module must never decide anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from syncauth.rows.stamps import RowStamps
from syncauth.rows.values import RawText, read_all
from syncauth.server.stores.affinities import is_held
from syncauth.server.stores.constraints import References, Refusal
from syncauth.server.stores.judge_sets import Writer, added
from syncauth.server.stores.rows_schema import LEFT, LIVING
from syncauth.server.stores.served import Served

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class RowState:
    """What is known about a row: its lives, whether it is there, and the stamps of its columns."""

    lives: str
    deleted: int
    stamps: RowStamps


class RowWriter:
    """Reads and writes single rows in the name of one device, within the transaction of the caller."""

    def __init__(
        self, connection: sqlite3.Connection, writer: Writer, references: References
    ) -> None:
        """Take the connection, who writes, and the foreign keys."""
        self._connection = connection
        self._writer = writer
        self._references = references
        self._out: dict[tuple[str, str, Key], tuple[Served, dict[str, Any]]] = {}

    def state(self, table: Served, partition: str, key: Key) -> RowState | None:
        """Return what is known about a row in a partition, or None if it has never been there."""
        row = self._connection.execute(
            "SELECT lives, deleted, stamp, stamps FROM _sync_partitions AS p"
            f" JOIN {table.rows} AS r ON r.part = p.id WHERE p.name = ?1"
            f" AND {_match(table.our_keys, key, 1)}",
            (partition, *key),
        ).fetchone()
        if row is None:
            return None
        return RowState(row[0], row[1], RowStamps.read(row[2], row[3]))

    def referenced(self, table: Served, partition: str, key: Key) -> dict[str, Any] | None:
        """Return the values by which other rows may refer to a row, or None if there are none."""
        columns = self._references.referenced(table)
        if not columns:
            return None
        out = self._out.get((table.name, partition, key))
        if out is not None:
            return {name: out[1][name] for name in columns}
        rows = read_all(
            self._connection,
            f"SELECT {', '.join(table.names(columns))} FROM {table.app}"
            f" WHERE {self._at(table, key)}",
            (partition, *key),
        )
        return dict(zip(columns, rows[0], strict=True)) if rows else None

    def unaltered(self, table: Served, key: Key, values: Mapping[str, Any]) -> Refusal | None:
        """Return a refusal if a column would not hold its value as it is."""
        given = {**dict(zip(table.key, key, strict=True)), **values}
        for name, value in given.items():
            kind = table.affinities[name]
            if not is_held(kind, value) and self._alters(kind, value):
                reason = f"the column {name!r} of affinity {kind} would alter the value"
                return Refusal("value_not_supported", reason)
        return None

    def _alters(self, affinity: str, value: Any) -> bool:
        """Store a value in a column of this affinity and look at it."""
        names = ", ".join(
            f"{name} {name}" for name in ("integer", "numeric", "real", "text", "blob")
        )
        self._connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS _sync_probe ({names})")
        self._connection.execute("DELETE FROM temp._sync_probe")
        (mark,) = _marks([value])
        self._connection.execute(
            f"INSERT INTO temp._sync_probe ({affinity}) VALUES ({mark})", (value,)
        )
        ((stored,),) = read_all(self._connection, f"SELECT {affinity} FROM temp._sync_probe")
        return type(stored) is not type(value) or bool(stored != value)

    # --- the served table --------------------------------------------------------------------------

    def insert_app(
        self, table: Served, partition: str, key: Key, values: Mapping[str, Any]
    ) -> None:
        """Insert a row; raises `sqlite3.IntegrityError` if the table refuses it."""
        names = ", ".join(table.names([table.partition_column, *table.key, *values]))
        given = [partition, *key, *values.values()]
        self._connection.execute(
            f"{table.insert} ({names}) VALUES ({', '.join(_marks(given))})",
            given,
        )

    def update_app(
        self,
        table: Served,
        partition: str,
        key: Key,
        values: Mapping[str, Any],
        deltas: Mapping[str, int],
    ) -> None:
        """Set columns and add deltas; raises `sqlite3.IntegrityError` if the table refuses it."""
        out = self._out.get((table.name, partition, key))
        if out is not None:
            self._insert_whole(table, {**out[1], **values})
            values = {}
        if not values and not deltas:
            return
        marks = _marks([*values.values()])
        terms = [f"{n} = {mark}" for n, mark in zip(table.names(values), marks, strict=True)]
        given = [*values.values()]
        for name, delta in zip(table.names(deltas), deltas.values(), strict=True):
            given.append(delta)
            terms.append(added(name, f"?{len(given)}"))
        self._connection.execute(
            f"{table.update} SET {', '.join(terms)} WHERE {self._at(table, key, len(given))}",
            (*given, partition, *key),
        )

    # --- rows that exchange unique values ----------------------------------------------------------

    def take_out(self, table: Served, partition: str, key: Key) -> None:
        """Delete a row and remember it; `update_app` inserts it anew."""
        names = (*table.info.key_names, *table.info.value_names)
        found = read_all(
            self._connection,
            f"SELECT {', '.join(table.names(names))} FROM {table.app} WHERE {self._at(table, key)}",
            (partition, *key),
        )
        for row in found:
            self._out[table.name, partition, key] = table, dict(zip(names, row, strict=True))
            self.delete_app(table, partition, key)

    def stays(self, table: Served, partition: str, key: Key) -> None:
        """A change of the row got through: it is in its place again, or deleted."""
        self._out.pop((table.name, partition, key), None)

    def put_back(self) -> bool:
        """Insert the rows that are still out as they were; False if one of them has no place any more."""
        try:
            for table, row in self._out.values():
                self._insert_whole(table, row)
        except sqlite3.IntegrityError:
            return False
        finally:
            self._out.clear()
        return True

    def _insert_whole(self, table: Served, row: Mapping[str, Any]) -> None:
        key_names = table.info.key_names
        partition, *key = (row[name] for name in key_names)
        values = {name: value for name, value in row.items() if name not in key_names}
        self.insert_app(table, partition, tuple(key), values)

    # --- what goes ---------------------------------------------------------------------------------

    def delete_app(self, table: Served, partition: str, key: Key) -> None:
        """Delete a row."""
        self._connection.execute(
            f"DELETE FROM {table.app} WHERE {self._at(table, key)}",
            (partition, *key),
        )

    def move(self, table: Served, source: str, target: str, key: Key) -> None:
        """Give a row to another partition; what stays behind is the mark that it has left."""
        column = table.names([table.partition_column])[0]
        self._connection.execute(
            f"{table.update} SET {column} = ?1 WHERE {self._at(table, key, 1)}",
            (target, source, *key),
        )
        state = self.state(table, source, key)
        if state is not None:
            self.put(table, source, key, state.lives, state.stamps, deleted=LEFT, told=False)

    # --- what is known about it --------------------------------------------------------------------

    def put(
        self,
        table: Served,
        partition: str,
        key: Key,
        lives: str,
        stamps: RowStamps,
        *,
        deleted: int = LIVING,
        told: bool = True,
    ) -> None:
        """Record a row under a new version; with `told` the device has it already and is not sent it."""
        versions = self._writer.versions
        part = versions.number(partition)
        newest = None if stamps.newest == stamps.base else stamps.newest
        keys = ", ".join(table.our_keys)
        marks = ", ".join(_marks(key, 1))
        at = len(key) + 2
        self._connection.execute(
            f"INSERT INTO {table.rows} (part, {keys}, lives, deleted, stamp, stamps, newest, version,"
            f" commit_id, origin) VALUES (?1, {marks}, ?{at}, ?{at + 1}, ?{at + 2}, ?{at + 3},"
            f" ?{at + 4}, ?{at + 5}, ?{at + 6}, ?{at + 7}) ON CONFLICT (part, {keys}) DO UPDATE SET"
            " lives = excluded.lives, deleted = excluded.deleted, stamp = excluded.stamp,"
            " stamps = excluded.stamps, newest = excluded.newest, version = excluded.version,"
            f" commit_id = excluded.commit_id, origin = {versions.origin(part) if told else 'NULL'}",
            (
                part,
                *key,
                lives,
                deleted,
                stamps.base,
                stamps.overrides_text(),
                newest,
                versions.take(part, 1, told=told),
                versions.commit,
                self._writer.number if told else None,
            ),
        )

    def _at(self, table: Served, key: Key, before: int = 0) -> str:
        """Return the condition for a row; partition and key follow `before` other parameters."""
        return _match(table.names(table.info.key_names), ("", *key), before)


def _marks(values: Sequence[Any], before: int = 0) -> list[str]:
    return [
        f"CAST(?{place} AS TEXT)" if type(value) is RawText else f"?{place}"
        for place, value in enumerate(values, before + 1)
    ]


def _match(columns: Sequence[str], values: Sequence[Any], before: int = 0) -> str:
    pairs = zip(columns, _marks(values, before), strict=True)
    return " AND ".join(f"{name} = {mark}" for name, mark in pairs)
