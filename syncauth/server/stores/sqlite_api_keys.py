"""
API keys in the server's SQLite file.

A key is random, so that its SHA-256 needs no salt and can be looked up. This module must never see a key, only its
hash, and never read a clock.
"""

from __future__ import annotations

from syncauth.server.stores.account_tables import AccountTables, json_object
from syncauth.server.stores.interface import AddKeyOutcome, ApiKeyRecord, LoginRecord


class SqliteApiKeys(AccountTables):
    """The part of the `AccountStore` about API keys."""

    def add_api_key(
        self, key: ApiKeyRecord, *, key_hash: bytes, limit: int, now: float
    ) -> AddKeyOutcome:
        """Add the key unless the user has `limit` of them or one of that name."""
        with self._transaction():
            if self._user_state(key.user_id) != "enabled":
                return AddKeyOutcome.NO_USER
            named = (
                "SELECT 1 FROM _sync_identities WHERE user_id = ? AND provider_type <> 'anon-user'"
            )
            if self._one(named, key.user_id) is None:
                return AddKeyOutcome.ANONYMOUS
            taken = self.api_keys(key.user_id)
            if any(other.name == key.name for other in taken):
                return AddKeyOutcome.NAME_TAKEN
            if len(taken) >= limit:
                return AddKeyOutcome.TOO_MANY
            self._connection.execute(
                "INSERT INTO _sync_api_keys (id, user_id, name, key, disabled, created_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (key.key_id, key.user_id, key.name, key_hash, key.disabled, now),
            )
        return AddKeyOutcome.ADDED

    def api_keys(self, user_id: str) -> tuple[ApiKeyRecord, ...]:
        """Return the user's keys in the order in which they were made."""
        rows = self._connection.execute(
            "SELECT id, name, disabled FROM _sync_api_keys WHERE user_id = ?"
            " ORDER BY created_at, name",
            (user_id,),
        ).fetchall()
        return tuple(ApiKeyRecord(row[0], user_id, row[1], bool(row[2])) for row in rows)

    def set_api_key_disabled(
        self, user_id: str, key_id: str, *, disabled: bool, now: float
    ) -> tuple[str, ...] | None:
        """Disable or enable the key; see `AccountStore.set_api_key_disabled`."""
        with self._transaction():
            if not self._changed(
                "UPDATE _sync_api_keys SET disabled = ? WHERE id = ? AND user_id = ?",
                disabled,
                key_id,
                user_id,
            ):
                return None
            return self._end(now, "revoked", key=key_id) if disabled else ()

    def remove_api_key(self, user_id: str, key_id: str, now: float) -> tuple[str, ...] | None:
        """Delete the key and end the sessions that were opened with it."""
        with self._transaction():
            if not self._changed(
                "DELETE FROM _sync_api_keys WHERE id = ? AND user_id = ?", key_id, user_id
            ):
                return None
            return self._end(now, "revoked", key=key_id)

    def find_api_key(self, key_hash: bytes) -> LoginRecord | None:
        """Return the user and the id of a key that is not disabled."""
        row = self._one(
            "SELECT k.user_id, k.id, u.custom_data"
            " FROM _sync_api_keys AS k JOIN _sync_users AS u ON u.id = k.user_id"
            " WHERE k.key = ? AND NOT k.disabled",
            key_hash,
        )
        return None if row is None else LoginRecord(row[0], row[1], None, json_object(row[2]))
