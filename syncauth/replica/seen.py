"""
What can be read in a user's file that may be open elsewhere: whose it is, and what waits in it.

For programs that only look, such as `syncauth doctor`. This module must never write, and never read a row of the app.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Final

from syncauth.errors import FileCorrupt, FileNotOurs
from syncauth.replica import files, schema
from syncauth.replica.files import Owner
from syncauth.rows.capture_tables import capture_table

_HLC_SHIFT: Final = 16
"""An HLC has milliseconds since the epoch above these bits, see `rows.capture_sql`."""


@dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """One user's file as it stands.

    `owner` is None in a file whose first opening was interrupted; its user is None for the guest. Nothing waits in the
    file of a guest whose rows a user has adopted. `outbox` counts changes not yet sent, `in_flight`
    those sent and not acknowledged; `oldest_at` is the wall clock of the oldest of both, by the server's clock as
    far as it is known. `refused` counts dead letters by their code; `waiting` rows of the server that wait for others.
    """

    path: str
    owner: Owner | None
    outbox: int = 0
    in_flight: int = 0
    oldest_at: float | None = None
    refused: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    checkpoints: dict[str, int] = field(default_factory=dict)
    tables: tuple[str, ...] = ()

    @property
    def pending(self) -> int:
        """Changes that the server is not known to have."""
        return self.outbox + self.in_flight

    @property
    def dead_letters(self) -> int:
        """All refused changes."""
        return sum(self.refused.values())


def read_replica(connection: sqlite3.Connection, path: str) -> ReplicaSeen:
    """Read a user's file in one snapshot.

    Raises:
        FileTooNew, FileNotOurs, FileCorrupt: it cannot be read.
    """
    connection.execute("BEGIN")
    there = {
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    if not there:
        return ReplicaSeen(path, None)  # it is being made
    if "_sync_meta" not in there:
        what, remedy = "the file is no file of ours", "Move it away; it was not touched"
        raise FileNotOurs(what, path=path, why="it has none of our tables", remedy=remedy)
    schema.check_format(connection, path)
    try:
        return _read(connection, path, there)
    except (sqlite3.OperationalError, ValueError, TypeError) as error:
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) != sqlite3.SQLITE_ERROR:
            raise
        raise FileCorrupt(
            "the file is damaged",
            path=path,
            why="tables of ours are missing or altered",
            remedy="Keep a copy and restore a backup; the file was left as it is",
        ) from error


def _read(connection: sqlite3.Connection, path: str, there: set[str]) -> ReplicaSeen:
    meta = dict(connection.execute("SELECT key, value FROM _sync_meta").fetchall())
    adopted = "adopted" in meta
    tables = connection.execute("SELECT id, name FROM _sync_tables ORDER BY name").fetchall()
    outbox = in_flight = 0
    oldest: list[int] = []
    for number, _ in tables:
        if adopted or capture_table(number) not in there:
            continue
        entries, sent, first = connection.execute(
            f"SELECT count(*), count(batch), min(hlc) FROM {capture_table(number)}"
        ).fetchone()
        outbox, in_flight = outbox + entries - sent, in_flight + sent
        if first is not None:
            oldest.append(first)
    (waiting,) = connection.execute("SELECT count(*) FROM _sync_waiting").fetchone()
    codes = "SELECT code, count(*) FROM _sync_dead_letters GROUP BY code ORDER BY code"
    versions = "SELECT name, version FROM _sync_partitions ORDER BY name"
    return ReplicaSeen(
        path=path,
        owner=files.owner_in(meta),
        outbox=outbox,
        in_flight=in_flight,
        oldest_at=(min(oldest) >> _HLC_SHIFT) / 1000 if oldest else None,
        refused=dict(connection.execute(codes).fetchall()),
        waiting=waiting,
        checkpoints=dict(connection.execute(versions).fetchall()),
        tables=tuple(name for _, name in tables),
    )
