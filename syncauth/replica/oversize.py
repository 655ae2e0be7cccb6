"""
A change that no frame can carry: it goes to the dead letters, so that it never blocks those behind it.

The row of an unsent insert goes with it, and so do those that refer to it. Only the server knows what stood in a row
before an edit: everything is downloaded again, which puts it back. Everything works inside the transaction of the
caller. This module must never touch another row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from syncauth.replica import downloads
from syncauth.replica.entries import Entry, delete_entries, read_entries
from syncauth.replica.orphans import Orphans
from syncauth.replica.page import fill_keys
from syncauth.replica.rowwrites import local_rows, refuse as bury
from syncauth.replica.schema import applying
from syncauth.replica.table import Table
from syncauth.sansio.messages import FRAME_OVERHEAD

ROOM: Final = FRAME_OVERHEAD - 1000
"""How much larger than a full batch the sections of a single change may be; the rest is for the message around."""

CODE: Final = "value_not_supported"


def refuse(
    connection: sqlite3.Connection, tables: Mapping[str, Table], entry: int, size: int, limit: int
) -> None:
    """Refuse an unsent insert or update by its entry, whose section has `size` bytes; a batch has at most `limit`."""
    reason = f"the change has {size} bytes, and one message carries {limit + ROOM}"
    for table in tables.values():
        found = read_entries(connection, table, f"{table.capture} AS c WHERE c.entry = ?", (entry,))
        for key, (change,) in found.items():
            with applying(connection):
                _refuse(connection, tables, table, key, change, reason)


def _refuse(
    connection: sqlite3.Connection,
    tables: Mapping[str, Table],
    table: Table,
    key: tuple[object, ...],
    change: Entry,
    reason: str,
) -> None:
    if change.kind == "insert":
        orphans = Orphans(connection, tables)
        orphans.refuse(table, [key], CODE, reason)
        orphans.refuse_all()
        return
    fill_keys(connection, table, [(*key, None)])
    here = local_rows(connection, table).get(key)
    bury(connection, table, key, change, here, CODE, reason)
    delete_entries(connection, table, [change.entry])
    downloads.wish(connection)
