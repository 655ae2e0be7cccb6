"""
The clock of a server, as the `Date` header of an answer tells it (RFC 9110 section 6.6.1).

Nothing secret is sent: one request without a token, for the server's root, whose answer does not matter otherwise. No
redirect is followed and no proxy of the environment is used. This module must never judge whose clock is wrong.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from syncauth.config import check_server
from syncauth.errors import ServerUnreachable, UnexpectedAnswer
from syncauth.interfaces import Clock

_HALF: Final = 1.0
"""Half of what a `Date` leaves open, in seconds: it has whole ones, and servers keep it for one more."""


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the server's clock is ahead of this one's, in seconds, and how far that may be off."""

    seconds: float
    uncertainty: float


async def measure_skew(url: str, clock: Clock, *, deadline: float) -> Skew:
    """Ask the server for its clock, within so many seconds.

    Raises:
        InvalidConfig, InsecureServer: the URL cannot be used; nothing was sent.
        ServerUnreachable: nobody answered in time.
        UnexpectedAnswer: the answer has no date.
    """
    check_server(url)
    try:
        async with (
            asyncio.timeout(deadline),
            httpx.AsyncClient(
                verify=ssl.create_default_context(),
                trust_env=False,
                follow_redirects=False,
                headers={"User-Agent": "syncauth"},
                timeout=httpx.Timeout(None),  # the deadline bounds it as a whole
            ) as client,
        ):
            before = clock.wall()
            async with client.stream("GET", url) as response:
                after = clock.wall()
                return _skew(response, before, after)
    except TimeoutError:
        raise _unreachable("it did not answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
        raise _unreachable("no connection could be made, or it broke") from None


def _skew(response: httpx.Response, before: float, after: float) -> Skew:
    try:
        told = parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        what = "the server's answer has no date"
        raise UnexpectedAnswer(what, status=response.status_code) from None
    middle = (before + after) / 2
    return Skew(
        seconds=told + _HALF - middle,
        uncertainty=_HALF + abs(after - before) / 2,
    )


def _unreachable(why: str) -> ServerUnreachable:
    return ServerUnreachable(
        "the server cannot be reached", why=why, remedy="Try again when there is a network"
    )
