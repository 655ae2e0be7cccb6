"""
What the account service needs from a store: users, their identities and their sessions.

A store keeps and compares; it never sees a token or a password, only hashes. Every method is one
transaction of its own, except `session_status`, which only reads and may be called inside the
caller's transaction: that is how the commit of a pushed batch checks the session (I3). All times
are wall-clock seconds by the server's clock, given by the caller. This module must never hold
behaviour.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Protocol


class SessionStatus(enum.Enum):
    """What a session is good for at one instant. A session that is not known is revoked."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"
    USER_DISABLED = "user_disabled"
    USER_REMOVED = "user_removed"


class RotationOutcome(enum.Enum):
    """What became of a refresh token that was presented."""

    ROTATED = "rotated"  # a rotating session: the successor is the session's token from now on
    STANDS = "stands"  # a session that does not rotate: its one token stays
    REUSED = "reused"  # a token that had been replaced came again: the whole session is revoked now
    ENDED = "ended"  # the session is not active; `SessionRecord` and `session_status` tell why


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user to be made together with the identity by which it logs in.

    `provider_id` is unique within `provider_type`; `password_hash` is None where the provider has
    none.
    """

    user_id: str
    identity_id: str
    provider_type: str
    provider_id: str
    password_hash: str | None = field(repr=False)
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """An identity that somebody wants to log in with."""

    user_id: str
    identity_id: str
    password_hash: str | None = field(repr=False)
    custom_data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as it is kept.

    `device_id` is the installation that an App Services client names: a label without any power.
    `rotates` is fixed at login. `end_reason` is None, or why it was ended: "revoked" or
    "reuse_detected". `custom_data` is the user's, and goes into access tokens.
    """

    session_id: str
    user_id: str
    device_id: str
    identity_id: str
    provider_type: str
    rotates: bool
    expires_at: float
    end_reason: str | None
    custom_data: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """One login of a user at an identity provider."""

    identity_id: str
    provider_type: str
    provider_id: str


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with its identities and free data such as its email."""

    user_id: str
    data: dict[str, Any]
    identities: tuple[IdentityRecord, ...]


class AccountStore(Protocol):
    """Accounts and sessions; see the module for what every method promises."""

    def ping(self) -> None:
        """Raise an exception if the store cannot be read."""
        ...

    def add_user(self, user: NewUser, now: float) -> bool:
        """Make the user, or return False and change nothing if the identity's name is taken."""
        ...

    def find_login(self, provider_type: str, provider_id: str) -> LoginRecord | None:
        """Return the identity of that name, of a disabled user too."""
        ...

    def user(self, user_id: str) -> UserRecord | None:
        """Return the user, or None if it was removed or never was."""
        ...

    def set_custom_data(self, user_id: str, custom_data: dict[str, Any] | None) -> bool:
        """Set what access tokens carry as `user_data`; False if there is no such user."""
        ...

    def open_session(self, session: SessionRecord, *, token_hash: bytes, now: float) -> bool:
        """Open the session with the SHA-256 of the text of its first refresh token.

        Returns False, and opens nothing, if the user is disabled, removed or unknown.
        """
        ...

    def session(self, session_id: str) -> SessionRecord | None:
        """Return the session, ended or not."""
        ...

    def rotate(
        self,
        session_id: str,
        *,
        presented: bytes,
        refresh_id: bytes | None,
        successor: bytes,
        now: float,
    ) -> RotationOutcome:
        """Judge a presented refresh token and put the successor in its place; all are hashes.

        The token of the session is replaced and remembered with the refresh id. A token that was
        replaced comes again with the same refresh id while its successor is unused: the successor
        is replaced once more, at any time. Any other token revokes the session.
        """
        ...

    def session_status(self, session_id: str, now: float) -> SessionStatus:
        """Read what the session is good for; never begins a transaction."""
        ...

    def revoke_session(self, session_id: str, now: float) -> bool:
        """End the session; False if it is not known or had ended already."""
        ...

    def revoke_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """End all sessions of the user and return the ids of those that had been active."""
        ...

    def disable_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Forbid logins and end all sessions; returns as `revoke_user`."""
        ...

    def enable_user(self, user_id: str) -> bool:
        """Allow logins again; False if there is no such user. Ended sessions stay ended."""
        ...

    def remove_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Erase the user's identities and data and end all sessions; returns as `revoke_user`."""
        ...

    def forget_sessions(self, ended_before: float, limit: int) -> int:
        """Delete at most `limit` sessions that expired before that time; returns how many."""
        ...
