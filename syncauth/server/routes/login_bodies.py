"""
What the bodies of logins hold, and which part of those of Google, Apple and Facebook proves who somebody is.

The names are those that existing clients send. No body has a `repr` that shows what it holds. This module must never
verify anything, and never name in a refusal what was sent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied, bad_request

NO_EXCHANGE: Final = (
    "only an id_token is taken here: this server does not exchange an authCode at Google"
)


class Options(msgspec.Struct, frozen=True):
    """What every login may say about the device."""

    device: dict[str, Any] | None = None
    rotate: bool = False


class Anonymous(msgspec.Struct, frozen=True):
    """Nothing but the options."""

    options: Options = Options()


class EmailPassword(msgspec.Struct, frozen=True):
    """An account of this server."""

    username: str
    password: str
    options: Options = Options()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "EmailPassword(…)"


class Key(msgspec.Struct, frozen=True):
    """An API key."""

    key: str
    options: Options = Options()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Key(…)"


class Token(msgspec.Struct, frozen=True):
    """A token of any issuer."""

    token: str
    options: Options = Options()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Token(…)"


class Google(msgspec.Struct, frozen=True):
    """What clients have of Google: an ID token, or a code that only Google can read."""

    id_token: str | None = None
    auth_code: str | None = msgspec.field(default=None, name="authCode")
    options: Options = Options()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Google(…)"


class Apple(msgspec.Struct, frozen=True):
    """An ID token of Apple."""

    id_token: str
    options: Options = Options()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Apple(…)"


class Facebook(msgspec.Struct, frozen=True):
    """An access token of Facebook; that of Limited Login is a JWT."""

    access_token: str = msgspec.field(name="accessToken")
    options: Options = Options()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "Facebook(…)"


ForeignBody = Token | Google | Apple | Facebook
Body = Anonymous | EmailPassword | Key | ForeignBody


def token_of(body: ForeignBody) -> Secret | Denied:
    """Return the token that a body brings, or what its client must send instead."""
    if isinstance(body, Token):
        return Secret(body.token)
    if isinstance(body, Facebook):
        return Secret(body.access_token)
    if body.id_token is not None:
        return Secret(body.id_token)
    asked_for_exchange = isinstance(body, Google) and body.auth_code is not None
    return bad_request(NO_EXCHANGE if asked_for_exchange else "id_token is missing")
