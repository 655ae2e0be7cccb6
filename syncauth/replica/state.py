"""What a replica file knows of its own history, read in one go. This module must never write."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from syncauth.replica import downloads
from syncauth.replica.schema import read_meta, read_number
from syncauth.replica.table import Table
from syncauth.sansio.inputs import ReplicaState
from syncauth.sansio.messages import BatchMark


def read_state(connection: sqlite3.Connection, tables: Iterable[Table]) -> ReplicaState:
    """Read the state, within a transaction of the caller or in one of SQLite's own per statement."""
    tables = list(tables)
    in_flight = connection.execute(
        "SELECT batch, digest, changes FROM _sync_inflight ORDER BY batch"
    ).fetchall()
    sent = sum(changes for _, _, changes in in_flight)
    digest = read_meta(connection, "acked_digest")
    acked = None
    if digest is not None:
        acked = BatchMark(read_number(connection, "acked_batch", 0), str(digest))
    (letters,) = connection.execute("SELECT count(*) FROM _sync_dead_letters").fetchone()
    return ReplicaState(
        device=str(read_meta(connection, "device")),
        incarnation=str(read_meta(connection, "incarnation")),
        fencing=read_number(connection, "fencing", 0),
        acked=acked,
        in_flight=tuple(BatchMark(number, mark) for number, mark, _ in in_flight),
        in_flight_changes=sent,
        pending=sum(_unsent(connection, table) for table in tables),
        dead_letters=letters,
        checkpoints=dict(
            connection.execute(
                "SELECT name, version FROM _sync_partitions ORDER BY name"
            ).fetchall()
        ),
        tables=tuple(table.shape for table in tables),
        compare=downloads.known(connection),
        again=downloads.is_wished(connection),
    )


def _unsent(connection: sqlite3.Connection, table: Table) -> int:
    """Count the unsent entries; both counts are answered by an index alone."""
    (count,) = connection.execute(
        f"SELECT (SELECT count(*) FROM {table.capture})"
        f" - (SELECT count(*) FROM {table.capture} WHERE batch IS NOT NULL)"
    ).fetchone()
    return int(count)
