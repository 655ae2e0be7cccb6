"""
What administrators need from a store of accounts beyond what users need: lists, admin keys, changed lifetimes.

The promises of `interface` hold here too: each method is one transaction, all times are wall-clock seconds given by the
caller, and no method ever sees a key, only its hash. This module must never hold behaviour.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Protocol

from syncauth.server.stores.interface import AccountStore, IdentityRecord


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """A user as administrators see it.

    `last_login_at` is when the newest of its remembered sessions was opened, None if there is none.
    """

    user_id: str
    disabled: bool
    created_at: float
    last_login_at: float | None
    data: dict[str, Any]
    identities: tuple[IdentityRecord, ...]


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users are asked for; None and the empty tuple for all."""

    disabled: bool | None = None
    providers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has not ended."""

    session_id: str
    user_id: str
    device_id: str
    provider_type: str
    rotates: bool
    created_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class AdminKeyRecord:
    """An admin key; its secret is told once, and kept as a SHA-256."""

    key_id: str
    name: str
    key_hash: bytes = field(repr=False)
    disabled: bool
    created_at: float


class Lifetime(enum.Enum):
    """A life of tokens that can be changed while servers run; an anonymous user's cannot."""

    ACCESS = "access"
    REFRESH = "refresh"


class AdminStore(AccountStore, Protocol):
    """An account store that can be administered."""

    def accounts(
        self, only: UserFilter, *, after: str | None, limit: int, descending: bool = False
    ) -> tuple[AccountRecord, ...]:
        """Return at most `limit` users that were not removed, in the order of their ids as bytes.

        `after` is an id, of a user or not: those beyond it are returned, in either direction.
        """
        ...

    def account(self, user_id: str) -> AccountRecord | None:
        """Return the user, or None if it was removed or never was."""
        ...

    def open_sessions(self, user_id: str, now: float) -> tuple[OpenSession, ...]:
        """Return the user's sessions that are active, in the order in which they were opened."""
        ...

    def add_admin_key(self, key: AdminKeyRecord) -> bool:
        """Keep the key, or return False and change nothing if the name is taken."""
        ...

    def admin_keys(self) -> tuple[AdminKeyRecord, ...]:
        """Return all admin keys in the order in which they were made."""
        ...

    def admin_key(self, key_id: str) -> AdminKeyRecord | None:
        """Return the key, a disabled one too."""
        ...

    def set_admin_key_disabled(self, key_id: str, *, disabled: bool) -> bool:
        """Disable or enable the key; False if there is none."""
        ...

    def remove_admin_key(self, key_id: str) -> bool:
        """Forget the key; False if there is none."""
        ...

    def changed_lifetimes(self) -> dict[Lifetime, int]:
        """Return the lives that were changed, in seconds; the others are those of the settings."""
        ...

    def change_lifetime(self, which: Lifetime, seconds: int | None) -> None:
        """Change a life, or with None let the settings say it again."""
        ...
