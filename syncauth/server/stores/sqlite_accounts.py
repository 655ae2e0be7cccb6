"""
Accounts in the server's SQLite file, beside the rows and on the same connection.

The tables and what they hold stand in `account_schema`; sessions, tokens by mail, API keys and what administrators
need have modules of their own. This module must never see a token or a password, only hashes, and never read a clock.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from syncauth.server.stores.account_schema import SCHEMA
from syncauth.server.stores.account_tables import json_object
from syncauth.server.stores.interface import (
    IdentityRecord,
    LinkOutcome,
    LoginRecord,
    NewUser,
    SessionStatus,
    UserRecord,
)
from syncauth.server.stores.sqlite_admin import SqliteAdmin
from syncauth.server.stores.sqlite_api_keys import SqliteApiKeys
from syncauth.server.stores.sqlite_email_tokens import SqliteEmailTokens
from syncauth.server.stores.sqlite_rotations import SqliteRotations
from syncauth.server.stores.sqlite_sessions import SqliteSessions
from syncauth.server.stores.subjects import FOREIGN


class SqliteAccounts(
    SqliteSessions, SqliteRotations, SqliteEmailTokens, SqliteApiKeys, SqliteAdmin
):
    """The `AdminStore` on an open connection, used in the store thread only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take a connection opened with `isolation_level=None`; make the tables if missing."""
        super().__init__(connection)
        with self._transaction():
            for statement in SCHEMA:
                connection.execute(statement)

    def ping(self) -> None:
        """Raise an exception if the store cannot be read."""
        self._one("SELECT 1 FROM _sync_users LIMIT 1")

    def add_user(self, user: NewUser, now: float) -> bool:
        """Make the user, or return False and change nothing if the identity's name is taken."""
        with self._transaction():
            if self._owner(user.provider_type, user.provider_id) is not None:
                return False
            self._insert_user(user, now)
        return True

    def admit(self, user: NewUser, now: float) -> LoginRecord:
        """Return the identity of that name with its data renewed, or make the user first."""
        with self._transaction():
            owner = self._owner(user.provider_type, user.provider_id)
            if owner is None:
                self._insert_user(user, now)
            else:
                self._merge_data(owner, user.data, renew=True)
            found = self.find_login(user.provider_type, user.provider_id)
        if found is None:
            raise AssertionError  # it was written in this transaction
        return found

    def admit_subject(
        self, user: NewUser, now: float, *, returning: bool
    ) -> LoginRecord | SessionStatus:
        """Admit a subject of another issuer; see `AccountStore.admit_subject`."""
        with self._transaction():
            barred = self._barred(user.provider_id)
            if barred is SessionStatus.USER_REMOVED and returning:
                self._let_return(user.provider_id)
            elif barred is not SessionStatus.ACTIVE:
                return barred
            owner = self._owner(user.provider_type, user.provider_id)
            if owner is None:
                self._insert_user(user, now)
            elif self._user_state(owner) != "enabled":
                return SessionStatus.USER_DISABLED
            else:
                self._merge_data(owner, user.data, renew=True)
            self._changed(
                "UPDATE _sync_users SET used_at = ? WHERE id = ? AND used_at IS NULL",
                now,
                owner or user.user_id,
            )
            found = self.find_login(user.provider_type, user.provider_id)
        if found is None:
            raise AssertionError  # it was written in this transaction
        return found

    def link(self, user_id: str, identity: NewUser, *, single: bool) -> LinkOutcome:
        """Give the user the identity; see `AccountStore.link`."""
        with self._transaction():
            if self._user_state(user_id) != "enabled":
                return LinkOutcome.NO_USER
            owner = self._owner(identity.provider_type, identity.provider_id)
            if owner == user_id:
                return LinkOutcome.OWN
            other = "SELECT 1 FROM _sync_identities WHERE user_id = ? AND provider_type = ?"
            if single and self._one(other, user_id, identity.provider_type):
                return LinkOutcome.SECOND
            if identity.provider_type in FOREIGN:
                barred = self._barred(identity.provider_id)
                if barred is SessionStatus.USER_DISABLED:
                    return LinkOutcome.DENIED
                self._let_return(identity.provider_id)
            if owner is None:
                self._insert_identity(user_id, identity)
            elif self._one("SELECT 1 FROM _sync_users WHERE id = ? AND used_at IS NULL", owner):
                self._changed(
                    "UPDATE _sync_identities SET user_id = ? WHERE user_id = ?", user_id, owner
                )
                self._changed("DELETE FROM _sync_users WHERE id = ?", owner)
            else:
                return LinkOutcome.TAKEN
            self._merge_data(user_id, identity.data, renew=False)
        return LinkOutcome.LINKED

    def find_login(self, provider_type: str, provider_id: str) -> LoginRecord | None:
        """Return the identity of that name, of a disabled user too."""
        row = self._one(
            "SELECT user_id, i.id, password_hash, custom_data, confirmed"
            " FROM _sync_identities AS i JOIN _sync_users AS u ON u.id = i.user_id"
            " WHERE provider_type = ? AND provider_id = ?",
            provider_type,
            provider_id,
        )
        if row is None:
            return None
        return LoginRecord(row[0], row[1], row[2], json_object(row[3]), bool(row[4]))

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
        return UserRecord(user_id, json_object(row[0]) or {}, found)

    def set_custom_data(self, user_id: str, custom_data: dict[str, Any] | None) -> bool:
        """Set what access tokens carry as `user_data`; False if there is no such user."""
        text = None if custom_data is None else json.dumps(custom_data)
        with self._transaction():
            return self._changed(
                "UPDATE _sync_users SET custom_data = ? WHERE id = ? AND state <> 'removed'",
                text,
                user_id,
            )

    def disable_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Forbid logins and end all sessions; returns as `revoke_user`."""
        with self._transaction():
            self._changed(
                "UPDATE _sync_users SET state = 'disabled' WHERE id = ? AND state = 'enabled'",
                user_id,
            )
            ended = self._end(now, "revoked", user=user_id)
            return (*ended, *self._end_subject_sessions(user_id))

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
            ended = (*self._end(now, "revoked", user=user_id), *self._subject_sessions(user_id))
            self._bar_removed(user_id, now)
            self._changed(
                "DELETE FROM _sync_email_tokens WHERE email IN (SELECT provider_id"
                " FROM _sync_identities WHERE user_id = ? AND provider_type = 'local-userpass')",
                user_id,
            )
            self._changed("DELETE FROM _sync_api_keys WHERE user_id = ?", user_id)
            self._changed("DELETE FROM _sync_logouts WHERE user_id = ?", user_id)
            self._changed("DELETE FROM _sync_identities WHERE user_id = ?", user_id)
            self._changed(
                "UPDATE _sync_users SET state = 'removed', data = '{}', custom_data = NULL"
                " WHERE id = ?",
                user_id,
            )
            return ended

    def _owner(self, provider_type: str, provider_id: str) -> str | None:
        row = self._one(
            "SELECT user_id FROM _sync_identities WHERE provider_type = ? AND provider_id = ?",
            provider_type,
            provider_id,
        )
        return None if row is None else str(row[0])

    def _insert_user(self, user: NewUser, now: float) -> None:
        self._connection.execute(
            "INSERT INTO _sync_users (id, state, created_at, data) VALUES (?, 'enabled', ?, ?)",
            (user.user_id, now, json.dumps(user.data)),
        )
        self._insert_identity(user.user_id, user)

    def _insert_identity(self, user_id: str, identity: NewUser) -> None:
        self._connection.execute(
            "INSERT INTO _sync_identities"
            " (provider_type, provider_id, id, user_id, password_hash, confirmed)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                identity.provider_type,
                identity.provider_id,
                identity.identity_id,
                user_id,
                identity.password_hash,
                identity.confirmed,
            ),
        )

    def _merge_data(self, user_id: str, data: dict[str, Any], *, renew: bool) -> None:
        """Add the data to the user's; where both have a field, `renew` lets the new one win."""
        row = self._one("SELECT data FROM _sync_users WHERE id = ?", user_id)
        known = {} if row is None else json_object(row[0]) or {}
        merged = known | data if renew else data | known
        if merged != known:
            self._changed(
                "UPDATE _sync_users SET data = ? WHERE id = ?", json.dumps(merged), user_id
            )
