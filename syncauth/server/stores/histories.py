"""
Histories of the server's file: how a device is told that has what a restore has undone.

Versions and batch numbers of a restored file are given a second time, with other content. So a restore begins a new
history, under a random id, and keeps how far the one before had come in the restored file (the fork). A device names
the history that it follows. Up to the fork both histories are one: a device that is not beyond it, in any partition
or batch, has nothing that was undone, and goes on. Everything else must not go on here. This module must never forget
a fork.
"""

from __future__ import annotations

import sqlite3

from syncauth.sansio.messages import Hello
from syncauth.server.stores.rows_interface import Problem


def begin(connection: sqlite3.Connection, history: str, now: float) -> None:
    """Begin the first history of a file that has none, under a random id; `now` is wall-clock seconds."""
    connection.execute(
        "INSERT INTO _sync_histories (number, id, began_at) VALUES (1, ?, ?)"
        " ON CONFLICT (number) DO NOTHING",
        (history, now),
    )


def current(connection: sqlite3.Connection) -> str:
    """Return the id of the present history, or "" for a file that has none."""
    row = connection.execute(
        "SELECT id FROM _sync_histories ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return "" if row is None else str(row[0])


def fork(connection: sqlite3.Connection, history: str, now: float) -> None:
    """Begin a new history where the present one stands, within the transaction of the caller."""
    begin(connection, "", now)  # of a file that is older than histories
    for what, select in (
        ("partition", "SELECT name, head FROM _sync_partitions"),
        ("device", "SELECT name, last FROM _sync_devices"),
    ):
        connection.execute(
            "INSERT INTO _sync_forks (history, what, name, reached)"
            f" SELECT (SELECT max(number) FROM _sync_histories), ?, * FROM ({select})",
            (what,),
        )
    connection.execute(
        "INSERT INTO _sync_histories (id, began_at) VALUES (?, ?)",
        (history, now),
    )


def judge(connection: sqlite3.Connection, hello: Hello) -> Problem | None:
    """Tell why a device must not go on, if it has what this file has not; None if it may.

    A device that names no history is taken to follow the first.
    """
    known = connection.execute("SELECT id, number FROM _sync_histories ORDER BY number").fetchall()
    if not known or hello.history == known[-1][0] or _is_blank(hello):
        return None
    followed = dict(known).get(hello.history) if hello.history else known[0][1]
    if followed == known[-1][1]:
        return None
    if followed is None:
        message = "the file follows a history that this server does not have"
        return Problem("server_restored", message)
    beyond = _beyond(connection, hello, followed)
    if beyond is None:
        return None
    message = f"the server was restored to a time before {beyond}, which the file has"
    return Problem("server_restored", message)


def _is_blank(hello: Hello) -> bool:
    """Tell whether a device has committed nothing that came from a server."""
    return hello.acked is None and not any(_reached(hello).values())


def _reached(hello: Hello) -> dict[str, int]:
    """Return the highest version of each partition that the device ever had."""
    reached = dict(hello.checkpoints)
    for name, version in hello.compare.items():
        reached[name] = max(version, reached.get(name, 0))
    return reached


def _beyond(connection: sqlite3.Connection, hello: Hello, followed: int) -> str | None:
    """Name something that the device has and that lies beyond the end of the history it follows."""

    def end(what: str, name: str) -> int:
        row = connection.execute(
            "SELECT reached FROM _sync_forks WHERE history = ? AND what = ? AND name = ?",
            (followed, what, name),
        ).fetchone()
        return 0 if row is None else int(row[0])

    for name, version in _reached(hello).items():
        if version > end("partition", name):
            return f"version {version} of a partition"
    if hello.acked is not None and hello.acked.batch > end("device", hello.device):
        return f"batch {hello.acked.batch} of this device"
    return None
