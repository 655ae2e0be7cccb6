"""
Accounts and sessions in the server's SQLite file, beside the rows and on the same connection.

The tables and what they hold stand in `account_schema`. This module must never see a token or a
password, only hashes, and never read a clock.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from syncauth.server.stores.account_schema import SCHEMA
from syncauth.server.stores.interface import (
    IdentityRecord,
    LoginRecord,
    NewUser,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
    UserRecord,
)


class SqliteAccounts:
    """The `AccountStore` on an open connection, used in the store thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection opened with `isolation_level=None`; make the tables if missing."""
        self._connection = connection
        with self._transaction():
            for statement in SCHEMA:
                connection.execute(statement)

    def ping(self) -> None:
        """Raise an exception if the store cannot be read."""
        self._one("SELECT 1 FROM _sync_users LIMIT 1")

    def add_user(self, user: NewUser, now: float) -> bool:
        """Make the user, or return False and change nothing if the identity's name is taken."""
        with self._transaction():
            taken = self._one(
                "SELECT 1 FROM _sync_identities WHERE provider_type = ? AND provider_id = ?",
                user.provider_type,
                user.provider_id,
            )
            if taken:
                return False
            self._connection.execute(
                "INSERT INTO _sync_users (id, state, created_at, data) VALUES (?, 'enabled', ?, ?)",
                (user.user_id, now, json.dumps(user.data)),
            )
            self._connection.execute(
                "INSERT INTO _sync_identities"
                " (provider_type, provider_id, id, user_id, password_hash) VALUES (?, ?, ?, ?, ?)",
                (
                    user.provider_type,
                    user.provider_id,
                    user.identity_id,
                    user.user_id,
                    user.password_hash,
                ),
            )
        return True

    def find_login(self, provider_type: str, provider_id: str) -> LoginRecord | None:
        """Return the identity of that name, of a disabled user too."""
        row = self._one(
            "SELECT user_id, i.id, password_hash, custom_data"
            " FROM _sync_identities AS i JOIN _sync_users AS u ON u.id = i.user_id"
            " WHERE provider_type = ? AND provider_id = ?",
            provider_type,
            provider_id,
        )
        return None if row is None else LoginRecord(row[0], row[1], row[2], _object(row[3]))

    def user(self, user_id: str) -> UserRecord | None:
        """Return the user, or None if it was removed or never was."""
        row = self._one("SELECT data FROM _sync_users WHERE id = ? AND state <> 'removed'", user_id)
        if row is None:
            return None
        identities = self._connection.execute(
            "SELECT id, provider_type, provider_id FROM _sync_identities WHERE user_id = ?"
            " ORDER BY provider_type, provider_id",
            (user_id,),
        )
        found = tuple(IdentityRecord(*identity) for identity in identities)
        return UserRecord(user_id, _object(row[0]) or {}, found)

    def set_custom_data(self, user_id: str, custom_data: dict[str, Any] | None) -> bool:
        """Set what access tokens carry as `user_data`; False if there is no such user."""
        text = None if custom_data is None else json.dumps(custom_data)
        with self._transaction():
            return self._changed(
                "UPDATE _sync_users SET custom_data = ? WHERE id = ? AND state <> 'removed'",
                text,
                user_id,
            )

    def open_session(self, session: SessionRecord, *, token_hash: bytes, now: float) -> bool:
        """Open the session; False if the user is disabled, removed or unknown."""
        with self._transaction():
            if self._user_state(session.user_id) != "enabled":
                return False
            self._connection.execute(
                "INSERT INTO _sync_sessions (id, user_id, device_id, identity_id, provider_type,"
                " rotates, created_at, expires_at, token) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    session.session_id,
                    session.user_id,
                    session.device_id,
                    session.identity_id,
                    session.provider_type,
                    session.rotates,
                    now,
                    session.expires_at,
                    token_hash,
                ),
            )
        return True

    def session(self, session_id: str) -> SessionRecord | None:
        """Return the session, ended or not."""
        row = self._one(
            "SELECT s.user_id, s.device_id, s.identity_id, s.provider_type, s.rotates,"
            " s.expires_at, s.end_reason, u.custom_data"
            " FROM _sync_sessions AS s JOIN _sync_users AS u ON u.id = s.user_id WHERE s.id = ?",
            session_id,
        )
        if row is None:
            return None
        return SessionRecord(
            session_id=session_id,
            user_id=row[0],
            device_id=row[1],
            identity_id=row[2],
            provider_type=row[3],
            rotates=bool(row[4]),
            expires_at=row[5],
            end_reason=row[6],
            custom_data=_object(row[7]),
        )

    def rotate(
        self,
        session_id: str,
        *,
        presented: bytes,
        refresh_id: bytes | None,
        successor: bytes,
        now: float,
    ) -> RotationOutcome:
        """Judge a presented refresh token; see `AccountStore.rotate`."""
        with self._transaction():
            if self.session_status(session_id, now) is not SessionStatus.ACTIVE:
                return RotationOutcome.ENDED
            if self._one(
                "SELECT 1 FROM _sync_sessions WHERE id = ? AND token = ? AND NOT rotates",
                session_id,
                presented,
            ):
                return RotationOutcome.STANDS
            if self._changed(
                "UPDATE _sync_sessions SET token = ?1, spent = ?2, refresh_id = ?3"
                " WHERE id = ?4 AND token = ?2",
                successor,
                presented,
                refresh_id,
                session_id,
            ):
                return RotationOutcome.ROTATED
            # A repeat: the successor is unused while the token before it is the last one spent.
            # Without a refresh id `refresh_id = NULL` holds for nobody, so that there is no repeat.
            if self._changed(
                "UPDATE _sync_sessions SET token = ? WHERE id = ? AND spent = ? AND refresh_id = ?",
                successor,
                session_id,
                presented,
                refresh_id,
            ):
                return RotationOutcome.ROTATED
            self._end(now, "reuse_detected", session=session_id)
            return RotationOutcome.REUSED

    def session_status(self, session_id: str, now: float) -> SessionStatus:
        """Read what the session is good for; never begins a transaction."""
        row = self._one(
            "SELECT u.state, s.ended_at IS NOT NULL, s.expires_at"
            " FROM _sync_sessions AS s JOIN _sync_users AS u ON u.id = s.user_id WHERE s.id = ?",
            session_id,
        )
        # Four cases, the one that a person can do least about first.
        if row is None or row[0] == "removed":
            return SessionStatus.REVOKED if row is None else SessionStatus.USER_REMOVED
        if row[0] == "disabled":
            return SessionStatus.USER_DISABLED
        if row[1]:
            return SessionStatus.REVOKED
        return SessionStatus.ACTIVE if now < row[2] else SessionStatus.EXPIRED

    def revoke_session(self, session_id: str, now: float) -> bool:
        """End the session; False if it is not known or had ended already."""
        with self._transaction():
            return bool(self._end(now, "revoked", session=session_id))

    def revoke_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """End all sessions of the user and return the ids of those that had been active."""
        with self._transaction():
            return self._end(now, "revoked", user=user_id)

    def disable_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Forbid logins and end all sessions; returns as `revoke_user`."""
        with self._transaction():
            self._changed(
                "UPDATE _sync_users SET state = 'disabled' WHERE id = ? AND state = 'enabled'",
                user_id,
            )
            return self._end(now, "revoked", user=user_id)

    def enable_user(self, user_id: str) -> bool:
        """Allow logins again; False if there is no such user. Ended sessions stay ended."""
        with self._transaction():
            return self._changed(
                "UPDATE _sync_users SET state = 'enabled' WHERE id = ? AND state <> 'removed'",
                user_id,
            )

    def remove_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Erase the user's identities and data and end all sessions; returns as `revoke_user`."""
        with self._transaction():
            ended = self._end(now, "revoked", user=user_id)
            self._changed("DELETE FROM _sync_identities WHERE user_id = ?", user_id)
            self._changed(
                "UPDATE _sync_users SET state = 'removed', data = '{}', custom_data = NULL"
                " WHERE id = ?",
                user_id,
            )
            return ended

    def forget_sessions(self, ended_before: float, limit: int) -> int:
        """Delete at most `limit` sessions that expired before that time; returns how many."""
        with self._transaction():
            return self._connection.execute(
                "DELETE FROM _sync_sessions WHERE id IN (SELECT id FROM _sync_sessions"
                " WHERE expires_at < ? ORDER BY expires_at LIMIT ?)",
                (ended_before, limit),
            ).rowcount

    def _end(
        self, now: float, reason: str, *, session: str | None = None, user: str | None = None
    ) -> tuple[str, ...]:
        """End the active sessions of that id or of that user, and erase their hashes."""
        ended = self._connection.execute(
            "UPDATE _sync_sessions"
            " SET ended_at = ?1, end_reason = ?2, token = x'', spent = NULL, refresh_id = NULL"
            " WHERE (id = ?3 OR user_id = ?4) AND ended_at IS NULL AND expires_at > ?1"
            " RETURNING id",
            (now, reason, session, user),
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
            self._connection.execute("COMMIT")
        except BaseException:
            # Some errors, such as a full disk, have ended it already.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _object(text: str | None) -> dict[str, Any] | None:
    """Read a JSON object that this module wrote."""
    if text is None:
        return None
    value: dict[str, Any] = json.loads(text)
    return value
