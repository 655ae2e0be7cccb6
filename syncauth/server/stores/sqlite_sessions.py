"""
Sessions in the server's SQLite file: opened, judged and ended; their rotation is `sqlite_rotations`.

This module must never see a token, only hashes, and never read a clock.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from syncauth.server.stores.account_tables import json_object
from syncauth.server.stores.interface import SessionRecord, SessionStatus
from syncauth.server.stores.sqlite_subjects import SqliteSubjects
from syncauth.server.stores.subjects import read_subject_session

# What the session is good for at ?2; of several cases the one that a person can do least about.
_STATUS: Final = (
    "CASE WHEN u.state = 'removed' THEN 'user_removed' WHEN u.state = 'disabled' THEN 'user_disabled'"
    " WHEN s.ended_at IS NOT NULL THEN 'revoked' WHEN ?2 < s.expires_at THEN 'active'"
    " ELSE 'expired' END"
)

# One value, for each row would give the processor away and have to win it back.
_INACTIVE: Final = (
    "SELECT json_group_array(json_array(id, status)) FROM (SELECT wanted.value AS id,"
    f" iif(s.id IS NULL OR u.id IS NULL, 'revoked', {_STATUS}) AS status FROM json_each(?1) AS wanted"
    " LEFT JOIN _sync_sessions AS s ON s.id = wanted.value"
    " LEFT JOIN _sync_users AS u ON u.id = s.user_id) WHERE status <> 'active'"
)


class SqliteSessions(SqliteSubjects):
    """The sessions' part of the `AccountStore`."""

    def open_session(self, session: SessionRecord, *, token_hash: bytes, now: float) -> bool:
        """Open the session; False if the user is disabled, removed or unknown."""
        with self._transaction():
            if self._user_state(session.user_id) != "enabled":
                return False
            self._changed(
                "UPDATE _sync_users SET used_at = ? WHERE id = ? AND used_at IS NULL",
                now,
                session.user_id,
            )
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
            custom_data=json_object(row[7]),
        )

    def session_status(self, session_id: str, now: float) -> SessionStatus:
        """Read what the session is good for; never begins a transaction."""
        foreign = read_subject_session(session_id)
        if foreign is not None:
            return self._subject_status(*foreign)
        row = self._one(
            f"SELECT {_STATUS} FROM _sync_sessions AS s JOIN _sync_users AS u ON u.id = s.user_id"
            " WHERE s.id = ?1",
            session_id,
            now,
        )
        return SessionStatus.REVOKED if row is None else SessionStatus(row[0])

    def inactive_sessions(
        self, session_ids: Collection[str], now: float
    ) -> dict[str, SessionStatus]:
        """Return what those sessions are that are not active; our own all in one step."""
        own, inactive = [], {}
        for session_id in session_ids:
            foreign = read_subject_session(session_id)
            if foreign is None:
                own.append(session_id)
            elif (status := self._subject_status(*foreign)) is not SessionStatus.ACTIVE:
                inactive[session_id] = status
        row = self._one(_INACTIVE, json.dumps(own), now)
        found: list[tuple[str, str]] = [] if row is None else json.loads(row[0])
        return inactive | {session_id: SessionStatus(status) for session_id, status in found}

    def revoke_session(self, session_id: str, now: float) -> bool:
        """End the session; False if it is not known or had ended already."""
        with self._transaction():
            return bool(self._end(now, "revoked", session=session_id))

    def revoke_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """End all sessions of the user; see `AccountStore.revoke_user`."""
        with self._transaction():
            ended = self._end(now, "revoked", user=user_id)
            return (*ended, *self._end_subject_sessions(user_id))

    def revoke_all(self, now: float) -> int:
        """End all active sessions and return how many there were."""
        with self._transaction():
            return self._connection.execute(
                "UPDATE _sync_sessions SET ended_at = ?1, end_reason = 'revoked',"
                " token = x'', spent = NULL, refresh_id = NULL"
                " WHERE ended_at IS NULL AND expires_at > ?1",
                (now,),
            ).rowcount

    def lives_from_before(self, moment: float, now: float) -> bool:
        """Tell whether a session that was opened before `moment` has neither ended nor expired."""
        sql = (
            "SELECT 1 FROM _sync_sessions"
            " WHERE created_at < ? AND ended_at IS NULL AND expires_at > ? LIMIT 1"
        )
        return self._one(sql, moment, now) is not None

    def holds(self, session_id: str, token_hash: bytes, now: float) -> bool:
        """Tell whether this is the present refresh token of an active session; changes nothing."""
        active = self.session_status(session_id, now) is SessionStatus.ACTIVE
        sql = "SELECT 1 FROM _sync_sessions WHERE id = ? AND token = ?"
        return active and self._one(sql, session_id, token_hash) is not None

    def forget_sessions(self, ended_before: float, limit: int) -> int:
        """Delete at most `limit` sessions that expired before that time; returns how many."""
        with self._transaction():
            return self._connection.execute(
                "DELETE FROM _sync_sessions WHERE id IN (SELECT id FROM _sync_sessions"
                " WHERE expires_at < ? ORDER BY expires_at LIMIT ?)",
                (ended_before, limit),
            ).rowcount
