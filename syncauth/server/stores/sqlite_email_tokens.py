"""
Tokens that were sent by mail, and what they are good for: an address confirmed, a password reset.

A token is spent by its use and ended by time. This module must never see a token or a password, only hashes, and
never read a clock.
"""

from __future__ import annotations

from syncauth.server.stores.account_tables import AccountTables
from syncauth.server.stores.interface import EmailPurpose, EmailToken

EMAIL_PASSWORD = "local-userpass"  # noqa: S105 - the provider's name in App Services


class SqliteEmailTokens(AccountTables):
    """The part of the `AccountStore` about confirming and resetting."""

    def put_email_token(self, token: EmailToken, now: float) -> None:
        """Keep the token in place of an earlier one; forget those that have ended."""
        with self._transaction():
            self._changed("DELETE FROM _sync_email_tokens WHERE expires_at <= ?", now)
            self._connection.execute(
                "INSERT OR REPLACE INTO _sync_email_tokens (purpose, email, id, token, expires_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (
                    token.purpose.value,
                    token.email,
                    token.token_id,
                    token.token_hash,
                    token.expires_at,
                ),
            )

    def confirm_email(self, token_id: str, token_hash: bytes, now: float) -> bool:
        """Confirm the address of the token and spend it; False if it is not known or has ended."""
        with self._transaction():
            email = self._spend(EmailPurpose.CONFIRM, token_id, token_hash, now)
            return email is not None and self._confirm(email)

    def mark_confirmed(self, email: str) -> bool:
        """Confirm the address without a token; False if it is not known."""
        with self._transaction():
            return self._confirm(email)

    def reset_password(
        self, token_id: str, token_hash: bytes, password_hash: str, now: float
    ) -> tuple[str, ...] | None:
        """Set the password of the token's address; see `AccountStore.reset_password`."""
        with self._transaction():
            email = self._spend(EmailPurpose.RESET, token_id, token_hash, now)
            if email is None:
                return None
            self._confirm(email)
            return self._set_password(email, password_hash, now)

    def set_password(self, email: str, password_hash: str, now: float) -> tuple[str, ...] | None:
        """Set the password and end all sessions of the user; None if there is no such account."""
        with self._transaction():
            return self._set_password(email, password_hash, now)

    def _set_password(self, email: str, password_hash: str, now: float) -> tuple[str, ...] | None:
        row = self._one(
            "UPDATE _sync_identities SET password_hash = ?"
            " WHERE provider_type = ? AND provider_id = ? RETURNING user_id",
            password_hash,
            EMAIL_PASSWORD,
            email,
        )
        return None if row is None else self._end(now, "revoked", user=row[0])

    def _confirm(self, email: str) -> bool:
        return self._changed(
            "UPDATE _sync_identities SET confirmed = 1 WHERE provider_type = ? AND provider_id = ?",
            EMAIL_PASSWORD,
            email,
        )

    def _spend(
        self, purpose: EmailPurpose, token_id: str, token_hash: bytes, now: float
    ) -> str | None:
        row = self._one(
            "DELETE FROM _sync_email_tokens"
            " WHERE purpose = ? AND id = ? AND token = ? AND expires_at > ? RETURNING email",
            purpose.value,
            token_id,
            token_hash,
            now,
        )
        return None if row is None else str(row[0])
