"""
What the parts of the SQLite account store share: the connection, transactions, the ending of sessions.

This module must never see a token or a password, only hashes, and never read a clock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class AccountTables:
    """An open connection to the tables of `account_schema`, used in the store thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection opened with `isolation_level=None`."""
        self._connection = connection

    def _end(
        self,
        now: float,
        reason: str,
        *,
        session: str | None = None,
        user: str | None = None,
        key: str | None = None,
        subject: str | None = None,
    ) -> tuple[str, ...]:
        """End the active sessions of that id, user, API key or foreign identity, and erase their hashes."""
        ended = self._connection.execute(
            "UPDATE _sync_sessions"
            " SET ended_at = ?1, end_reason = ?2, token = x'', spent = NULL, refresh_id = NULL"
            " WHERE (id = ?3 OR user_id = ?4 OR (provider_type = 'api-key' AND identity_id = ?5)"
            " OR (provider_type <> 'api-key' AND identity_id = ?6))"
            " AND ended_at IS NULL AND expires_at > ?1"
            " RETURNING id",
            (now, reason, session, user, key, subject),
        ).fetchall()
        return tuple(row[0] for row in ended)

    def _user_state(self, user_id: str) -> str | None:
        row = self._one("SELECT state FROM _sync_users WHERE id = ?", user_id)
        return None if row is None else str(row[0])

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        # fetchall ends the read at once; a cursor left open would hold back the checkpoint
        rows = self._connection.execute(sql, values).fetchall()
        return rows[0] if rows else None

    def _changed(self, sql: str, *values: object) -> bool:
        return self._connection.execute(sql, values).rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Write in one transaction that takes the lock at once, and end it whatever happens."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.commit()
        except BaseException:
            # Some errors, such as a full disk, have ended it already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def json_object(text: str | None) -> dict[str, Any] | None:
    """Read a JSON object that this module wrote."""
    if text is None:
        return None
    value: dict[str, Any] = json.loads(text)
    return value
