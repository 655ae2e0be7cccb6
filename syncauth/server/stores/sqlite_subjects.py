"""
The users of other issuers in the server's SQLite file: admitted at first sight, denied, removed.

They have no session here: their status is that of the user and of (issuer, subject), looked up where that of a
session is. This module must never see a token, and never read a clock.
"""

from __future__ import annotations

from typing import Final

from syncauth.server.stores.account_tables import AccountTables
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.subjects import (
    FOREIGN,
    DeniedSubject,
    subject_key,
    subject_name,
    subject_session,
)

_MARKS: Final = ", ".join("?" * len(FOREIGN))
_STATES = {
    None: SessionStatus.ACTIVE,
    "denied": SessionStatus.USER_DISABLED,
    "removed": SessionStatus.USER_REMOVED,
}


class SqliteSubjects(AccountTables):
    """The part of the `AccountStore` about subjects of other issuers."""

    def session_of_subject(self, user_id: str, name: str) -> str:
        """Return what stands for a session that the subject begins now."""
        row = self._one("SELECT count FROM _sync_logouts WHERE user_id = ?", user_id)
        return subject_session(user_id, name, row[0] if row else 0)

    def deny_subject(self, issuer: str, subject: str, now: float) -> tuple[str, ...]:
        """Keep the subject out; see `AccountStore.deny_subject`."""
        name = subject_name(issuer, subject)
        with self._transaction():
            self._connection.execute(
                "INSERT INTO _sync_subjects (key, state, issuer, subject, since)"
                " VALUES (?1, 'denied', ?2, ?3, ?4) ON CONFLICT (key) DO UPDATE SET"
                " state = 'denied', issuer = ?2, subject = ?3, since = ?4"
                " WHERE state <> 'denied'",
                (subject_key(name), issuer, subject, now),
            )
            # More than one if the provider of the issuer's section was changed.
            owners = self._connection.execute(
                "SELECT user_id, id FROM _sync_identities"
                f" WHERE provider_type IN ({_MARKS}) AND provider_id = ?",
                (*FOREIGN, name),
            ).fetchall()
            ended: list[str] = []
            for user_id, identity_id in owners:
                ended += self._end(now, "revoked", subject=identity_id)
                ended.append(self.session_of_subject(user_id, name))
            return tuple(ended)

    def allow_subject(self, issuer: str, subject: str) -> bool:
        """Let a subject in again; see `AccountStore.allow_subject`."""
        key = subject_key(subject_name(issuer, subject))
        with self._transaction():
            return self._changed("DELETE FROM _sync_subjects WHERE key = ?", key)

    def denied_subjects(self) -> tuple[DeniedSubject, ...]:
        """Return those that are denied, by issuer and subject."""
        rows = self._connection.execute(
            "SELECT issuer, subject, since FROM _sync_subjects WHERE state = 'denied'"
            " ORDER BY issuer, subject"
        ).fetchall()
        return tuple(DeniedSubject(*row) for row in rows)

    def _subject_status(self, user_id: str, name: str, logouts: int) -> SessionStatus:
        """Read what a subject's tokens are good for as this user; never begins a transaction."""
        barred = self._barred(name)
        if barred is not SessionStatus.ACTIVE:
            return barred
        row = self._one(
            "SELECT u.state, coalesce(o.count, 0) FROM _sync_identities AS i"
            " JOIN _sync_users AS u ON u.id = i.user_id"
            " LEFT JOIN _sync_logouts AS o ON o.user_id = i.user_id"
            f" WHERE i.provider_type IN ({_MARKS}) AND i.provider_id = ? AND i.user_id = ?",
            *FOREIGN,
            name,
            user_id,
        )
        if row is None:
            return SessionStatus.USER_REMOVED
        if row[0] != "enabled":
            return SessionStatus.USER_DISABLED
        return SessionStatus.ACTIVE if row[1] == logouts else SessionStatus.REVOKED

    def _barred(self, name: str) -> SessionStatus:
        row = self._one("SELECT state FROM _sync_subjects WHERE key = ?", subject_key(name))
        return _STATES[row[0] if row else None]

    def _let_return(self, name: str) -> None:
        """Forget that the subject's user was removed; a denial stays."""
        sql = "DELETE FROM _sync_subjects WHERE key = ? AND state = 'removed'"
        self._changed(sql, subject_key(name))

    def _subject_sessions(self, user_id: str) -> tuple[str, ...]:
        """Return what stands for sessions of a user who may come with tokens of other issuers."""
        return tuple(
            self.session_of_subject(user_id, name) for name in self._subject_names(user_id)
        )

    def _end_subject_sessions(self, user_id: str) -> tuple[str, ...]:
        """End what stands for sessions of that user, until the subjects come again; returns it."""
        ended = self._subject_sessions(user_id)
        if ended:
            self._connection.execute(
                "INSERT INTO _sync_logouts (user_id, count) VALUES (?, 1)"
                " ON CONFLICT (user_id) DO UPDATE SET count = count + 1",
                (user_id,),
            )
        return ended

    def _subject_names(self, user_id: str) -> list[str]:
        rows = self._connection.execute(
            "SELECT DISTINCT provider_id FROM _sync_identities"
            f" WHERE user_id = ? AND provider_type IN ({_MARKS})",
            (user_id, *FOREIGN),
        ).fetchall()
        return [row[0] for row in rows]

    def _bar_removed(self, user_id: str, now: float) -> None:
        """Note that the subjects of a user who is removed are not to come back by themselves.

        Their tokens stay good at their issuer. Only a hash of the name stays here.
        """
        for name in self._subject_names(user_id):
            self._connection.execute(
                "INSERT INTO _sync_subjects (key, state, since) VALUES (?, 'removed', ?)"
                " ON CONFLICT (key) DO NOTHING",
                (subject_key(name), now),
            )
