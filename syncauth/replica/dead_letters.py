"""
The dead letters: changes that were refused, with the values they had, kept for the app.

Keys and values are stored as they travel on the wire, bit for bit. This module must never delete a letter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from syncauth.models import DeadLetter
from syncauth.rows.values import decode_rows, encode_rows


def add(
    connection: sqlite3.Connection,
    *,
    table: str,
    kind: str,
    key: Sequence[Any],
    values: Mapping[str, Any],
    code: str,
    reason: str,
) -> None:
    """Keep a refused change, its key and values as SQLite has them."""
    (wire,) = encode_rows([(*key, *values.values())])
    body = msgspec.json.encode(
        {
            "key": wire[: len(key)],
            "columns": list(values),
            "values": wire[len(key) :],
        }
    )
    connection.execute(
        "INSERT INTO _sync_dead_letters (table_name, kind, body, code, reason)"
        " VALUES (?, ?, ?, ?, ?)",
        (table, kind, body, code, reason),
    )


def read(connection: sqlite3.Connection, after: int = 0) -> tuple[DeadLetter, ...]:
    """Return the dead letters with ids above `after`, the oldest first."""
    rows = connection.execute(
        "SELECT id, table_name, kind, body, code, reason FROM _sync_dead_letters"
        " WHERE id > ? ORDER BY id",
        (after,),
    ).fetchall()
    return tuple(_letter(*row) for row in rows)


def newest(connection: sqlite3.Connection) -> int:
    """Return the highest id, 0 for none."""
    (number,) = connection.execute("SELECT ifnull(max(id), 0) FROM _sync_dead_letters").fetchone()
    return int(number)


def _letter(number: int, table: str, kind: str, body: bytes, code: str, reason: str) -> DeadLetter:
    stored = msgspec.json.decode(body)
    (row,) = decode_rows(
        [[*stored["key"], *stored["values"]]], len(stored["key"]) + len(stored["values"])
    )
    width = len(stored["key"])
    return DeadLetter(
        id=number,
        table=table,
        key=tuple(row[:width]),
        kind=kind,
        values=dict(zip(stored["columns"], row[width:], strict=True)),
        code=code,
        reason=reason,
    )
