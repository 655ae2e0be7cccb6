"""
What granting answers of the App Services HTTP API say: tokens, logins, profiles, keys, results.

This module must never know httpx or judge what an answer means (`http_judgement` does), and never
put a body, a token or a password into a text: not even as the cause of an exception.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from syncauth import ejson
from syncauth.adapters.http_answers import Answer, Malformed, decode_json
from syncauth.errors import InvalidDocument, InvalidToken
from syncauth.models import (
    ANONYMOUS_DEVICE,
    ApiKey,
    Identity,
    Login,
    Profile,
    Secret,
    TokenPair,
)
from syncauth.sansio.tokens import claims_of

LONGEST_LIFE_SECONDS: Final = 1e10
"""Three centuries."""

_BEARER: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


class _Tokens(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str | None = None
    life_ms: int | None = None
    expires_in: float | None = None
    refresh_expires_in: float | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


class _Login(_Tokens, frozen=True, kw_only=True):
    user_id: str
    device_id: str = ANONYMOUS_DEVICE


class _Identity(msgspec.Struct, frozen=True):
    id: str
    provider_type: str


class _Profile(msgspec.Struct, frozen=True):
    user_id: str
    identities: list[_Identity] = []
    data: dict[str, Any] = {}
    type: str = "normal"


class _Linked(msgspec.Struct, frozen=True):
    user_id: str


class _Key(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="_id")
    name: str
    disabled: bool = False
    key: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"


def read_login(answer: Answer) -> Login:
    """Return whose the login is and its tokens; the profile is still empty.

    Raises:
        Malformed: the answer has not the shape of the API.
    """
    login = decode_json(answer, _Login)
    if login.refresh_token is None:
        raise Malformed("the answer to the login has no refresh token")
    tokens = _pair(login, _checked(login.refresh_token))
    return Login(login.user_id, login.device_id, tokens, Profile())


def read_profile(answer: Answer, user_id: str) -> Profile:
    """Return the profile, which must be that of this user.

    Raises:
        Malformed: the answer has not the shape of the API, or is about another user.
    """
    whole = decode_json(answer, _Profile)
    if whole.user_id != user_id:
        raise Malformed("the profile is another user's")
    identities = tuple(Identity(one.id, one.provider_type) for one in whole.identities)
    return Profile(whole.type, identities, whole.data)


def read_tokens(answer: Answer, presented: Secret) -> TokenPair:
    """Return the renewed pair; `presented` stays the refresh token where none is given.

    Raises:
        Malformed: the answer has not the shape of the API.
    """
    told = decode_json(answer, _Tokens)
    renewed = told.refresh_token
    return _pair(told, presented if renewed is None else _checked(renewed))


def read_linked(answer: Answer, user_id: str) -> None:
    """Check that an identity was linked to this user and no other.

    Raises:
        Malformed: the answer has not the shape of the API, or is about another user.
    """
    if decode_json(answer, _Linked).user_id != user_id:
        raise Malformed("the identity was linked to another user")


def read_keys(answer: Answer) -> tuple[ApiKey, ...]:
    """Return the API keys of an answer that lists them; what they are made of is not among it.

    Raises:
        Malformed: the answer has not the shape of the API.
    """
    return tuple(
        ApiKey(each.id, each.name, each.disabled) for each in decode_json(answer, list[_Key])
    )


def read_key(answer: Answer, *, made: bool = False) -> ApiKey:
    """Return one API key, with its text if it was `made` just now.

    Raises:
        Malformed: the answer has not the shape of the API, or does not tell the text of a new key.
    """
    told = decode_json(answer, _Key)
    if not made:
        return ApiKey(told.id, told.name, told.disabled)
    if not told.key:
        raise Malformed("the answer does not hold the key that was made")
    return ApiKey(told.id, told.name, told.disabled, Secret(told.key))


def read_result(answer: Answer) -> Any:
    """Return the result of a function, which travels as Extended JSON.

    Raises:
        Malformed: the answer is no Extended JSON.
    """
    try:
        return ejson.decode(decode_json(answer, object))
    except InvalidDocument as error:
        why = f"the result is no Extended JSON: {error.why}"
    raise Malformed(why)


def _pair(told: _Tokens, refresh: Secret) -> TokenPair:
    access = _checked(told.access_token)
    try:
        claims = claims_of(access)
    except InvalidToken as error:
        raise Malformed(f"{error.what}: {error.why}") from error
    return TokenPair(access, refresh, _life(told, claims), _refresh_life(told, refresh, claims))


def _life(told: _Tokens, claims: dict[str, Any]) -> float:
    """Return the life in seconds; what no clock can count is no life."""
    try:
        if told.life_ms is not None:
            life = told.life_ms / 1000
        elif told.expires_in is not None:
            life = float(told.expires_in)
        else:
            life = float(claims["exp"] - claims["iat"])
    except OverflowError:
        life = math.inf
    if not life <= LONGEST_LIFE_SECONDS:
        raise Malformed("the life of the access token is no number of seconds that can be counted")
    return max(0.0, life)


def _refresh_life(told: _Tokens, refresh: Secret, access: dict[str, Any]) -> float | None:
    """Return what is left of the refresh token's life in seconds, or None if nothing tells it.

    A refresh token may be older than this answer, which the access token was made for: the time
    from `iat` of the one to `exp` of the other is what is left, both by the issuer's clock.
    """
    try:
        left = float(claims_of(refresh)["exp"] - access["iat"])
    except InvalidToken:
        if told.refresh_expires_in is None:
            return None
        left = told.refresh_expires_in
    except OverflowError:
        return None
    return max(0.0, left) if left <= LONGEST_LIFE_SECONDS else None


def _checked(text: str) -> Secret:
    """Take a token only if it can travel in a header (RFC 6750 section 2.1)."""
    if not _BEARER.fullmatch(text):
        raise Malformed("a token holds characters that no token has")
    return Secret(text)
