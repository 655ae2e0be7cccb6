"""What a replica file knows of its own history, read in one go. This module must never write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from syncauth.replica import downloads
from syncauth.replica.table import Table
from syncauth.sansio.messages import BatchMark
from syncauth.sansio.records import ReplicaState


def read_state(connection: sqlite3.Connection, tables: Iterable[Table]) -> ReplicaState:
    """Read the state, within a transaction of the caller or in one of SQLite's own per statement."""
    tables = list(tables)
    meta = dict(connection.execute("SELECT key, value FROM _sync_meta").fetchall())
    partitions = connection.execute(
        "SELECT name, version, known FROM _sync_partitions ORDER BY name"
    ).fetchall()
    in_flight = connection.execute(
        "SELECT batch, digest, changes FROM _sync_inflight ORDER BY batch"
    ).fetchall()
    (letters,) = connection.execute("SELECT count(*) FROM _sync_dead_letters").fetchone()
    digest = meta.get("acked_digest")
    return ReplicaState(
        device=meta["device"],
        incarnation=meta["incarnation"],
        fencing=meta.get("fencing", 0),
        acked=None if digest is None else BatchMark(meta.get("acked_batch") or 0, digest),
        in_flight=tuple(BatchMark(number, mark) for number, mark, _ in in_flight),
        in_flight_changes=sum(changes for _, _, changes in in_flight),
        pending=sum(_unsent(connection, table) for table in tables),
        dead_letters=letters,
        checkpoints={name: version for name, version, _ in partitions},
        tables=tuple(table.shape for table in tables),
        compare={name: known for name, _, known in partitions if known is not None},
        again=bool(meta.get(downloads.WISH)),
        history=meta.get("history", ""),
    )


def _unsent(connection: sqlite3.Connection, table: Table) -> int:
    """Count the unsent entries; both counts are answered by an index alone."""
    (count,) = connection.execute(
        f"SELECT (SELECT count(*) FROM {table.capture})"
        f" - (SELECT count(*) FROM {table.capture} WHERE batch IS NOT NULL)"
    ).fetchone()
    return int(count)
