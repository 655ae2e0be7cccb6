"""
The answers of an OAuth 2.0 server, read into tokens, denials, and the claims of JSON objects.

This module must never know httpx or judge what an answer means (`oauth_judgement` does), and never
put a body, a token or a password into a text: not even as the cause of an exception.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec

from syncauth.errors import InvalidToken
from syncauth.models import Secret, TokenPair
from syncauth.sansio.tokens import claims_of

LONGEST_LIFE_SECONDS: Final = 1e10
"""Three centuries."""

ASSUMED_LIFE_SECONDS: Final = 300.0
"""The life of an access token of which nothing is told: RFC 6749 section 5.1 only recommends it."""

LONGEST_TEXT: Final = 200
_BEARER: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 section 2.1
_REFRESH: Final = re.compile(r"[\x20-\x7e]+")  # RFC 6749 appendix A.17
_Shape = TypeVar("_Shape")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole; `media_type` is lower case and without parameters.

    `retry_after` in seconds, already bounded. `sent_at` is the wall clock of whoever answered, in
    seconds, or None where it did not tell it. The body may hold tokens and is not shown.
    """

    status: int
    media_type: str
    body: bytes = field(repr=False)
    retry_after: float | None = None
    sent_at: float | None = None

    @property
    def granted(self) -> bool:
        """Whether the status is a 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def is_json(self) -> bool:
        """Whether the answer says that it is JSON (RFC 8259, RFC 6839 section 3.1)."""
        return self.media_type == "application/json" or self.media_type.endswith("+json")


@dataclass(frozen=True, slots=True)
class Silence:
    """No whole answer; `online` False when nobody answered at all.

    `sent` False when the request surely did not leave.
    """

    why: str
    online: bool = False
    sent: bool = True


Outcome = Answer | Silence


@dataclass(frozen=True, slots=True)
class Denial:
    """The error JSON of RFC 6749 section 5.2: a fixed code, and a text for developers."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token endpoint gave; `refresh` and `id_token` are None where there were none."""

    access: Secret
    refresh: Secret | None
    life: float
    refresh_life: float | None
    id_token: Secret | None

    def pair(self, presented: Secret | None = None) -> TokenPair:
        """Return the pair; `presented` stays the refresh token where none was given.

        Raises:
            Malformed: there is no refresh token at all.
        """
        refresh = self.refresh or presented
        if refresh is None:
            raise Malformed("the answer has no refresh token")
        return TokenPair(self.access, refresh, self.life, self.refresh_life)


class _Tokens(msgspec.Struct, frozen=True):
    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - the name of a kind
    refresh_token: str | None = None
    id_token: str | None = None
    expires_in: float | None = None
    refresh_expires_in: float | None = None
    refresh_token_expires_in: float | None = None

    def __repr__(self) -> str:
        return "_Tokens(…)"


class _Denial(msgspec.Struct, frozen=True):
    error: str
    error_description: str | None = None


class Malformed(Exception):
    """A granting answer has not the expected shape; `why` names fields, never a value."""

    def __init__(self, why: str) -> None:
        """Keep what is wrong."""
        self.why = why
        super().__init__(why)


# --- reading -------------------------------------------------------------------------------------


def read_denial(answer: Answer) -> Denial | None:
    """Return the error JSON of an answer, or None if it is not one."""
    if not answer.is_json:
        return None
    try:
        body = msgspec.json.decode(answer.body, type=_Denial)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return Denial(body.error, body.error_description or "")


def read_tokens(answer: Answer) -> Granted:
    """Return what a token endpoint gave (RFC 6749 section 5.1).

    The life is `expires_in`, else what a JWT says of itself, else `ASSUMED_LIFE_SECONDS`. That of
    the refresh token is `refresh_expires_in` or `refresh_token_expires_in`, of which no RFC knows;
    nought there means that it has no end.

    Raises:
        Malformed: the answer has not this shape, or a token has signs that no token has.
    """
    told = decode_json(answer, _Tokens)
    if told.token_type.lower() != "bearer":
        raise Malformed("the access token is of a type that this library cannot present")
    access = _checked(told.access_token, _BEARER)
    refresh = None if told.refresh_token is None else _checked(told.refresh_token, _REFRESH)
    id_token = None if told.id_token is None else Secret(told.id_token)
    end = told.refresh_expires_in or told.refresh_token_expires_in or None
    refresh_life = None if end is None else _countable(end)
    return Granted(access, refresh, _life(told.expires_in, access), refresh_life, id_token)


def decode_json(answer: Answer, shape: type[_Shape]) -> _Shape:
    """Read the JSON body of an answer into `shape`; a number may be written as a text.

    Raises:
        Malformed: it is not JSON, or not of this shape.
    """
    why = "the answer is not JSON"
    if answer.is_json:
        try:
            return msgspec.json.decode(answer.body, type=shape, strict=False)
        except msgspec.ValidationError as error:
            # The error names fields and types, never a value.
            why = f"the answer has not the expected shape: {error}"
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # Some of these hold the body: none may become the cause of what is raised.
            pass
    raise Malformed(why)


def read_object(answer: Answer) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        Malformed: it is none.
    """
    return decode_json(answer, dict[str, Any])


def quote(text: str, secrets: tuple[Secret, ...]) -> str:
    """Return what the server said, bounded, or nothing if it repeats one of `secrets`."""
    if any(secret.reveal() in text for secret in secrets if secret.reveal()):
        return ""
    return "".join(sign for sign in text if sign.isprintable())[:LONGEST_TEXT]


def _life(told: float | None, access: Secret) -> float:
    if told is not None:
        return _countable(told)
    try:
        claims = claims_of(access)
    except InvalidToken:
        return ASSUMED_LIFE_SECONDS
    try:
        left = claims["exp"] - claims["iat"]
    except OverflowError:  # one is a float, the other too large for one
        left = math.inf
    return _countable(left)


def _countable(seconds: float) -> float:
    """Return a life in seconds; below nought is nought, also where no float holds the number."""
    if not seconds <= LONGEST_LIFE_SECONDS:
        raise Malformed("the life of a token is no number of seconds that can be counted")
    return float(max(0, seconds))


def _checked(text: str, pattern: re.Pattern[str]) -> Secret:
    if not pattern.fullmatch(text):
        raise Malformed("a token holds characters that no token has")
    return Secret(text)
