"""
What the account service answers: the granted things, and the one shape of a denial.

The names of the codes are those of App Services, because existing clients decide by them. This
module must never know about HTTP beyond the status that belongs to a denial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncauth.server.accounts.issuer import Issued


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal: HTTP status, App Services code, and text for people.

    `reason` tells on `InvalidSession` why the session ended (a word of
    `syncauth.models.ReloginReason`); `retry_after` is in seconds.
    """

    status: int
    code: str
    text: str
    reason: str | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A new session, or the present one after a link, which gives no refresh token.

    `life_ms` is what is left of the access token.
    """

    user_id: str
    device_id: str
    access: Issued
    refresh: Issued | None
    life_ms: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """A new access token, and the successor of the refresh token if the session rotates."""

    access: Issued
    refresh: Issued | None
    life_ms: int


# Wrong password and unknown account are this one answer, so that nobody learns who has an account.
WRONG_PASSWORD: Final = Denied(401, "InvalidPassword", "invalid username/password")
USER_DISABLED: Final = Denied(401, "UserDisabled", "user disabled")
NAME_IN_USE: Final = Denied(409, "AccountNameInUse", "name already in use")
UNCONFIRMED: Final = Denied(401, "AuthError", "confirmation required")
KEYS_UNAVAILABLE: Final = Denied(
    503,
    "ServiceUnavailable",
    "the keys of the token's issuer cannot be had now",
    retry_after=5,
)
IDENTITY_TAKEN: Final = Denied(
    409, "AccountNameInUse", "a user already exists with the specified provider"
)
SECOND_IDENTITY: Final = Denied(
    400, "BadRequest", "an identity of this provider is already linked to the user"
)
INVALID_API_KEY: Final = Denied(401, "AuthError", "invalid API key")
API_KEY_NOT_FOUND: Final = Denied(404, "APIKeyNotFound", "API key not found")
INVALID_TOKEN_DATA: Final = Denied(400, "UserpassTokenInvalid", "invalid token data")
NO_SUCH_SESSION: Final = Denied(
    401, "InvalidSession", "invalid session: failed to find refresh token", reason="revoked"
)
INVALID_ACCESS: Final = Denied(401, "InvalidSession", "invalid session: access token is not valid")
ACCESS_EXPIRED: Final = Denied(401, "InvalidSession", "invalid session: access token expired")
ROTATION_REQUIRED: Final = Denied(
    403, "RotationRequired", "this app opens rotating sessions only: log in with options.rotate"
)


def bad_request(text: str) -> Denied:
    """Deny what the client must send differently."""
    return Denied(400, "BadRequest", text)


def refused(text: str) -> Denied:
    """Deny a login that proves nothing; never as `InvalidSession`, which is about sessions."""
    return Denied(401, "AuthError", text)


def provider_off(provider: str) -> Denied:
    """Deny a login that the server's configuration switches off."""
    return Denied(404, "AuthProviderNotFound", f"authentication provider not found: {provider}")


def too_many(retry_after: float) -> Denied:
    """Ask for patience."""
    return Denied(429, "TooManyRequests", "too many requests", retry_after=retry_after)


def session_ended(reason: str) -> Denied:
    """Deny because the session has ended; `reason` is a word of `ReloginReason`."""
    text = f"invalid session: {reason.replace('_', ' ')}"
    return Denied(401, "InvalidSession", text, reason=reason)
