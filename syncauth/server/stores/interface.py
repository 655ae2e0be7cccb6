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
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from syncauth.server.stores.subjects import SubjectStore


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
    confirmed: bool = True


@dataclass(frozen=True, slots=True)
class LoginRecord:
    """An identity that somebody wants to log in with."""

    user_id: str
    identity_id: str
    password_hash: str | None = field(repr=False)
    custom_data: dict[str, Any] | None
    confirmed: bool = True


class LinkOutcome(enum.Enum):
    """What became of an identity that a user wanted for its own."""

    LINKED = "linked"
    OWN = "own"  # it was the user's already
    TAKEN = "taken"  # it is another user's, who has logged in with it
    SECOND = "second"  # the user has one of that provider, and there may be one only
    NO_USER = "no_user"  # the user was removed or disabled in the meantime
    DENIED = "denied"  # it is a subject of another issuer that is kept out


class EmailPurpose(enum.Enum):
    """What a token sent by mail is good for."""

    CONFIRM = "confirm"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class EmailToken:
    """A token that was sent to an address, as its hash."""

    purpose: EmailPurpose
    email: str
    token_id: str
    token_hash: bytes = field(repr=False)
    expires_at: float


class AddKeyOutcome(enum.Enum):
    """What became of an API key that a user wanted."""

    ADDED = "added"
    NAME_TAKEN = "name_taken"
    TOO_MANY = "too_many"
    ANONYMOUS = "anonymous"  # a user who cannot log in again gets none
    NO_USER = "no_user"


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key of a user; the key itself is told once, and kept as a hash."""

    key_id: str
    user_id: str
    name: str
    disabled: bool


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
class Rotation:
    """A refresh token that was presented at `now`, and what is to take its place; all three are hashes."""

    session_id: str
    presented: bytes = field(repr=False)
    refresh_id: bytes | None = field(repr=False)
    successor: bytes = field(repr=False)
    now: float


@dataclass(frozen=True, slots=True)
class Rotated:
    """What became of it, and the session, None if it is not known.

    `reason` tells for `ENDED` and `REUSED` why, in a word of `syncauth.models.ReloginReason`.
    """

    outcome: RotationOutcome
    session: SessionRecord | None
    reason: str | None = None


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


class AccountStore(SubjectStore, Protocol):
    """Accounts and sessions; see the module for what every method promises."""

    def ping(self) -> None:
        """Raise an exception if the store cannot be read."""
        ...

    def add_user(self, user: NewUser, now: float) -> bool:
        """Make the user, or return False and change nothing if the identity's name is taken."""
        ...

    def admit(self, user: NewUser, now: float) -> LoginRecord:
        """Return the identity of that name with its data renewed, or make the user first.

        For providers that vouch for whom they name: two calls at once give one user.
        """
        ...

    def admit_subject(
        self, user: NewUser, now: float, *, returning: bool
    ) -> LoginRecord | SessionStatus:
        """Do the same for a subject of another issuer, named by `subject_name`.

        Changes nothing and returns a status if the subject is denied, its user disabled or removed;
        with `returning` one whose user was removed comes back as a new user. The user counts as
        one who has logged in.
        """
        ...

    def link(self, user_id: str, identity: NewUser, *, single: bool) -> LinkOutcome:
        """Give the user the identity; `identity.user_id` is not looked at.

        An identity whose own user has never logged in is taken over, and that user is removed.
        With `single` a user has at most one of its provider.
        """
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

    def rotate_all(self, rotations: Sequence[Rotation]) -> list[Rotated]:
        """Judge several as `rotate` would one after the other, and keep them all in one transaction.

        If it fails, nothing of any of them is kept.
        """
        ...

    def session_status(self, session_id: str, now: float) -> SessionStatus:
        """Read what the session is good for; never begins a transaction.

        What `subject_session` made is judged by the user and by what was denied; it never expires.
        """
        ...

    def inactive_sessions(
        self, session_ids: Collection[str], now: float
    ) -> dict[str, SessionStatus]:
        """Return what those sessions are that are not active; cheap for thousands, and begins no transaction."""
        ...

    def revoke_session(self, session_id: str, now: float) -> bool:
        """End the session; False if it is not known or had ended already."""
        ...

    def revoke_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """End all sessions of the user and return the ids of those that had been active.

        With them comes what stands for sessions of its subjects of other issuers: what was opened
        under it is over, and they may come again.
        """
        ...

    def revoke_all(self, now: float) -> int:
        """End all active sessions and return how many there were."""
        ...

    def lives_from_before(self, moment: float, now: float) -> bool:
        """Tell whether a session that was opened before `moment` has neither ended nor expired."""
        ...

    def disable_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Forbid logins and end all sessions; returns as `revoke_user`."""
        ...

    def enable_user(self, user_id: str) -> bool:
        """Allow logins again; False if there is no such user. Ended sessions stay ended."""
        ...

    def remove_user(self, user_id: str, now: float) -> tuple[str, ...]:
        """Erase the user's identities and data and end all sessions; returns as `revoke_user`.

        Its subjects of other issuers do not come back by themselves: see `admit_subject`.
        """
        ...

    def holds(self, session_id: str, token_hash: bytes, now: float) -> bool:
        """Tell whether this is the present refresh token of an active session; changes nothing."""
        ...

    def put_email_token(self, token: EmailToken, now: float) -> None:
        """Keep the token in place of an earlier one; forget those that have ended."""
        ...

    def confirm_email(self, token_id: str, token_hash: bytes, now: float) -> bool:
        """Confirm the address of the token and spend it; False if it is not known or has ended."""
        ...

    def mark_confirmed(self, email: str) -> bool:
        """Confirm the address without a token; False if it is not known."""
        ...

    def reset_password(
        self, token_id: str, token_hash: bytes, password_hash: str, now: float
    ) -> tuple[str, ...] | None:
        """Set the password, spend the token and end all sessions of the user.

        The address counts as confirmed: whoever has the token reads its mail. Returns the ids of
        the ended sessions, or None and changes nothing if the token is not known or has ended.
        """
        ...

    def set_password(self, email: str, password_hash: str, now: float) -> tuple[str, ...] | None:
        """Set the password and end all sessions of the user; None if there is no such account."""
        ...

    def add_api_key(
        self, key: ApiKeyRecord, *, key_hash: bytes, limit: int, now: float
    ) -> AddKeyOutcome:
        """Add the key unless the user has `limit` of them or one of that name."""
        ...

    def api_keys(self, user_id: str) -> tuple[ApiKeyRecord, ...]:
        """Return the user's keys in the order in which they were made."""
        ...

    def set_api_key_disabled(
        self, user_id: str, key_id: str, *, disabled: bool, now: float
    ) -> tuple[str, ...] | None:
        """Disable or enable the key; disabling ends the sessions that were opened with it.

        Returns the ids of the ended sessions, or None if the user has no such key.
        """
        ...

    def remove_api_key(self, user_id: str, key_id: str, now: float) -> tuple[str, ...] | None:
        """Delete the key and end the sessions that were opened with it; returns as above."""
        ...

    def find_api_key(self, key_hash: bytes) -> LoginRecord | None:
        """Return the user and the id of a key that is not disabled."""
        ...

    def forget_sessions(self, ended_before: float, limit: int) -> int:
        """Delete at most `limit` sessions that expired before that time; returns how many."""
        ...
