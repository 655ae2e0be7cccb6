"""
What administrators ask and change, in the server's SQLite file: lists of users, admin keys, lifetimes.

This module must never see a key, only its hash, and never read a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from syncauth.server.stores.account_tables import AccountTables, json_object
from syncauth.server.stores.admin_interface import (
    AccountRecord,
    AdminKeyRecord,
    Lifetime,
    OpenSession,
    UserFilter,
)
from syncauth.server.stores.interface import IdentityRecord

_ACCOUNT: Final = (
    "SELECT u.id, u.state = 'disabled', u.created_at,"
    " (SELECT max(s.created_at) FROM _sync_sessions AS s WHERE s.user_id = u.id), u.data"
    " FROM _sync_users AS u WHERE u.state <> 'removed'"
)
_KEY: Final = "SELECT id, name, key, disabled, created_at FROM _sync_admin_keys"


class SqliteAdmin(AccountTables):
    """The part of the `AdminStore` that an `AccountStore` does not have."""

    def accounts(
        self, only: UserFilter, *, after: str | None, limit: int, descending: bool = False
    ) -> tuple[AccountRecord, ...]:
        """Return a page of users; see `AdminStore.accounts`."""
        sql, values = _ACCOUNT, []
        if after is not None:
            sql += f" AND u.id {'<' if descending else '>'} ?"
            values.append(after)
        if only.disabled is not None:
            sql += " AND u.state = ?"
            values.append("disabled" if only.disabled else "enabled")
        if only.providers:
            marks = ", ".join("?" * len(only.providers))
            sql += (
                " AND EXISTS (SELECT 1 FROM _sync_identities AS i"
                f" WHERE i.user_id = u.id AND i.provider_type IN ({marks}))"
            )
            values += only.providers
        sql += f" ORDER BY u.id {'DESC' if descending else 'ASC'} LIMIT ?"
        rows = self._connection.execute(sql, (*values, limit)).fetchall()
        return tuple(self._account(row) for row in rows)

    def account(self, user_id: str) -> AccountRecord | None:
        """Return the user, or None if it was removed or never was."""
        row = self._one(f"{_ACCOUNT} AND u.id = ?", user_id)
        return None if row is None else self._account(row)

    def open_sessions(self, user_id: str, now: float) -> tuple[OpenSession, ...]:
        """Return the user's sessions that are active, in the order in which they were opened."""
        rows = self._connection.execute(
            "SELECT id, user_id, device_id, provider_type, rotates, created_at, expires_at"
            " FROM _sync_sessions WHERE user_id = ? AND ended_at IS NULL AND expires_at > ?"
            " ORDER BY created_at, id",
            (user_id, now),
        ).fetchall()
        return tuple(
            OpenSession(row[0], row[1], row[2], row[3], bool(row[4]), row[5], row[6])
            for row in rows
        )

    def add_admin_key(self, key: AdminKeyRecord) -> bool:
        """Keep the key, or return False and change nothing if the name is taken."""
        with self._transaction():
            if self._one("SELECT 1 FROM _sync_admin_keys WHERE name = ?", key.name):
                return False
            self._connection.execute(
                "INSERT INTO _sync_admin_keys (id, name, key, disabled, created_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (key.key_id, key.name, key.key_hash, key.disabled, key.created_at),
            )
        return True

    def admin_keys(self) -> tuple[AdminKeyRecord, ...]:
        """Return all admin keys in the order in which they were made."""
        rows = self._connection.execute(f"{_KEY} ORDER BY created_at, name").fetchall()
        return tuple(_key(row) for row in rows)

    def admin_key(self, key_id: str) -> AdminKeyRecord | None:
        """Return the key, a disabled one too."""
        row = self._one(f"{_KEY} WHERE id = ?", key_id)
        return None if row is None else _key(row)

    def set_admin_key_disabled(self, key_id: str, *, disabled: bool) -> bool:
        """Disable or enable the key; False if there is none."""
        with self._transaction():
            sql = "UPDATE _sync_admin_keys SET disabled = ? WHERE id = ?"
            return self._changed(sql, disabled, key_id)

    def remove_admin_key(self, key_id: str) -> bool:
        """Forget the key; False if there is none."""
        with self._transaction():
            return self._changed("DELETE FROM _sync_admin_keys WHERE id = ?", key_id)

    def changed_lifetimes(self) -> dict[Lifetime, int]:
        """Return the lives that were changed, in seconds; the others are those of the settings."""
        rows = self._connection.execute("SELECT name, seconds FROM _sync_lifetimes").fetchall()
        return {Lifetime(name): seconds for name, seconds in rows}

    def change_lifetime(self, which: Lifetime, seconds: int | None) -> None:
        """Change a life, or with None let the settings say it again."""
        with self._transaction():
            self._changed("DELETE FROM _sync_lifetimes WHERE name = ?", which.value)
            if seconds is not None:
                sql = "INSERT INTO _sync_lifetimes (name, seconds) VALUES (?, ?)"
                self._changed(sql, which.value, seconds)

    def _account(self, row: Sequence[Any]) -> AccountRecord:
        identities = self._connection.execute(
            "SELECT id, provider_type, provider_id FROM _sync_identities WHERE user_id = ?"
            " ORDER BY provider_type, provider_id",
            (row[0],),
        ).fetchall()
        return AccountRecord(
            user_id=row[0],
            disabled=bool(row[1]),
            created_at=row[2],
            last_login_at=row[3],
            data=json_object(row[4]) or {},
            identities=tuple(IdentityRecord(*identity) for identity in identities),
        )


def _key(row: Sequence[Any]) -> AdminKeyRecord:
    return AdminKeyRecord(row[0], row[1], row[2], bool(row[3]), row[4])
