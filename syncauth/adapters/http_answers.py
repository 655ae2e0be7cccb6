"""
An answer of the App Services HTTP API, or none, and how its JSON is read.

This module must never know httpx or judge what an answer means (`http_judgement` does), and never
put a body, a token or a password into a text: not even as the cause of an exception.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeVar

import msgspec

JSON: Final = "application/json"
_Shape = TypeVar("_Shape")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole; `media_type` is lower case and without parameters.

    `retry_after` in seconds, already bounded. The body may hold tokens and is not shown; of an
    answer that is `too_long` nothing is kept.
    """

    status: int
    media_type: str
    body: bytes = field(repr=False)
    retry_after: float | None = None
    too_long: bool = False

    @property
    def granted(self) -> bool:
        """Whether the status is a 2xx, each of which existing servers use."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class Silence:
    """No whole answer; `online` False when nobody answered at all.

    `sent` False when surely nothing of the request went out.
    """

    why: str
    online: bool = False
    sent: bool = True


@dataclass(frozen=True, slots=True)
class NoLocation:
    """The lookup of the server's location was not granted, so that the call was not made.

    Nothing was presented to the server with it: it is no judgement on a session or a login.
    """

    answer: Answer


Outcome = Answer | Silence | NoLocation


@dataclass(frozen=True, slots=True)
class Denial:
    """The error JSON of App Services: `code` is "" where only a text was given."""

    code: str
    text: str
    reason: str


class _Denial(msgspec.Struct, frozen=True):
    error: str
    error_code: str = ""
    reason: str | None = None


class Malformed(Exception):
    """A granting answer has not the shape of the API; `why` names fields, never a value."""

    def __init__(self, why: str) -> None:
        """Keep what is wrong."""
        self.why = why
        super().__init__(why)


# --- reading -------------------------------------------------------------------------------------


def read_denial(answer: Answer) -> Denial | None:
    """Return the error JSON of an answer, or None if it is not one."""
    if answer.media_type != JSON:
        return None
    try:
        body = msgspec.json.decode(answer.body, type=_Denial)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return Denial(body.error_code, body.error, body.reason or "")


def decode_json(answer: Answer, shape: type[_Shape]) -> _Shape:
    """Read the JSON body of an answer into `shape`.

    Raises:
        Malformed: it is not JSON, or not of this shape.
    """
    why = "the answer is not JSON"
    if answer.too_long:
        why = "the answer is too long to be one of the server"
    elif answer.media_type == JSON:
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except msgspec.ValidationError as error:
            # The error names fields and types, never a value.
            why = f"the answer has not the expected shape: {error}"
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # Some of these hold the body: none may become the cause of what is raised.
            pass
    raise Malformed(why)
