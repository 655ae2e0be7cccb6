"""
Downloading everything again: why it is wished for, when it begins, what was known before, when it is over.

It is wished for when a table or column is new here, and when the capture of a table was interrupted: then the rows of
that table are uncertain until the server's have been compared with them. The pages of a connection that is open go
on from the versions that it named, so the download begins with the next one, and until then nothing is applied or
sent. Every function works inside the transaction of its caller. This module must never touch a table of the app.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from syncauth.replica.schema import read_meta, write_meta

WISH: Final = "download_again"
"""The key of `_sync_meta` under which the wish stands."""


def wish(connection: sqlite3.Connection) -> None:
    """Wish to begin at version 0: what the server has of a table or column that came later was not sent before."""
    write_meta(connection, WISH, 1)


def is_wished(connection: sqlite3.Connection) -> bool:
    """Tell whether the next connection is to begin at version 0."""
    return bool(read_meta(connection, WISH))


def begin(connection: sqlite3.Connection) -> None:
    """Go back to version 0 if that was wished for, before a connection names the versions reached.

    The versions reached before stay known: the server sends this device's own rows again, too, and since up to them
    this replica had every row of an uncertain table, a difference can only have been made here.
    """
    if not is_wished(connection):
        return
    connection.execute(
        "UPDATE _sync_partitions SET known = max(ifnull(known, 0), version), version = 0"
    )
    connection.execute("DELETE FROM _sync_waiting")  # all of them come again
    write_meta(connection, WISH, 0)


def known(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the versions up to which every row was here, by partition; empty unless all is downloaded again."""
    return dict(
        connection.execute(
            "SELECT name, known FROM _sync_partitions WHERE known IS NOT NULL ORDER BY name"
        ).fetchall()
    )


def uncertain_tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Name the tables whose rows must be compared."""
    rows = connection.execute("SELECT name FROM _sync_tables WHERE uncertain ORDER BY name")
    return tuple(name for (name,) in rows.fetchall())


def finish(connection: sqlite3.Connection) -> None:
    """Everything was received, and compared where it was uncertain."""
    connection.execute("UPDATE _sync_tables SET uncertain = 0")
    connection.execute("UPDATE _sync_partitions SET known = NULL")
