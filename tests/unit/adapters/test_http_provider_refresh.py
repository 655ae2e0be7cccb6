"""What the provider makes of answers to a refresh, the odd ones above all."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from syncauth.adapters.http_calls import LONGEST_ANSWER_BYTES
from syncauth.adapters.http_provider import HttpProvider
from syncauth.interfaces import IdentityProvider
from syncauth.models import (
    Deferred,
    Misconfigured,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
    TokenPair,
)
from tests.support.account_replies import (
    ACCESS,
    GRANTED,
    NEWER,
    OLD,
    REFRESH,
)
from tests.support.odd_server import (
    LOCATION,
    SESSION,
    OddServer,
    Reply,
    Request,
    answer,
    denial,
    hang_up,
    json_answer,
    portal,
    reset,
    silence,
    then_close,
)
from tests.unit.adapters.conftest import Configure, make_provider


async def test_a_refresh_sends_the_token_in_the_header_alone_and_takes_the_new_pair(
    odd: OddServer, provider: IdentityProvider
) -> None:
    """What the issuer gets: the refresh token as bearer, the refresh id as body (I10)."""
    odd.reply(SESSION, GRANTED)
    renewed = await provider.refresh(OLD, "id-1")
    assert renewed == Renewed(TokenPair(Secret(ACCESS), Secret(NEWER), 1.5, 1800.0), "u1")
    (request,) = odd.seen(SESSION)
    assert request.method == "POST"
    assert request.headers["authorization"] == f"Bearer {REFRESH}"
    assert json.loads(request.body) == {"refresh_id": "id-1"}
    assert "authorization" not in odd.seen(LOCATION)[0].headers


@pytest.mark.parametrize(
    ("told", "life"),
    [
        ({"life_ms": 2500, "expires_in": 9}, 2.5),
        ({"expires_in": 9}, 9.0),
        ({}, 1800.0),
        ({"life_ms": -1}, 0.0),
    ],
)
async def test_the_life_is_the_one_told_and_else_that_of_the_claims(
    odd: OddServer, provider: HttpProvider, told: dict[str, Any], life: float
) -> None:
    """App Services tells no life; without rotation the presented refresh token stays."""
    odd.reply(SESSION, json_answer(200, {"access_token": ACCESS} | told))
    renewed = await provider.refresh(OLD, "id")
    assert renewed == Renewed(TokenPair(Secret(ACCESS), OLD, life, 1800.0), "u1")


@pytest.mark.parametrize("told", [{"life_ms": 10**400}, {"expires_in": 1e300}, {"life_ms": 10**15}])
async def test_a_life_that_no_clock_counts_is_no_answer(
    odd: OddServer, provider: HttpProvider, told: dict[str, Any]
) -> None:
    """It is tried again; nothing is raised and no session ends."""
    odd.reply(SESSION, json_answer(200, {"access_token": ACCESS, **told}))
    assert isinstance(await provider.refresh(OLD, "id"), Deferred)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (denial(401, "InvalidSession", reason="expired"), ReloginReason.EXPIRED),
        (denial(401, "InvalidSession", reason="revoked"), ReloginReason.REVOKED),
        (denial(401, "InvalidSession", reason="user_disabled"), ReloginReason.USER_DISABLED),
        (denial(401, "InvalidSession", reason="user_removed"), ReloginReason.USER_REMOVED),
        (denial(401, "InvalidSession", reason="reuse_detected"), ReloginReason.REUSE_DETECTED),
        (denial(401, "InvalidSession", reason="a word of later"), ReloginReason.REVOKED),
        (denial(401, "InvalidSession"), ReloginReason.REVOKED),
        (denial(401, "UserDisabled"), ReloginReason.USER_DISABLED),
    ],
)
async def test_a_proven_end_is_a_refusal_with_its_reason(
    odd: OddServer, provider: HttpProvider, body: bytes, reason: ReloginReason
) -> None:
    """Only a 401 in the error JSON that names a session's end ends a session."""
    odd.reply(SESSION, body)
    refused = await provider.refresh(OLD, "id")
    assert isinstance(refused, Refused)
    assert refused.reason is reason


DOUBTFUL: dict[str, Reply] = {
    "portal": portal(),
    "empty 200": answer(200),
    "empty 204": answer(204),
    "redirect": answer(302, Location="http://127.0.0.1:9/"),
    "permanent redirect": answer(308, b"{}", "application/json", Location="http://127.0.0.1:9/"),
    "bare 401": answer(401),
    "portal 401": portal(401),
    "401 with a text alone": json_answer(401, {"error": "unauthorized"}),
    "401 of something else": denial(401, "ProxyAuthRequired", reason="expired"),
    "401 whose JSON is HTML": answer(401, b'{"error_code": "InvalidSession"}', "text/html"),
    "401 without its end": answer(401, b'{"error_code": "Invalid', "application/json"),
    "401 after a proxy took the header": denial(
        401, "InvalidSession", "invalid session: no bearer token"
    ),
    "bare 403": answer(403),
    "portal 404": portal(404),
    "bare 407": answer(407),
    "511": portal(511),
}
PLAIN: dict[str, Reply] = {
    "403": denial(403, "InvalidSession", reason="revoked"),
    "404": denial(404, "InvalidSession", reason="revoked"),
    "500": denial(500, "InternalServerError"),
    "bad gateway": portal(502),
    "too many": answer(429),
    "JSON without its end": answer(201, b'{"access_token": "abc', "application/json"),
    "JSON of something else": json_answer(200, ["hello"]),
    "a token of another type": json_answer(201, {"access_token": 7}),
    "a token that is none": json_answer(201, {"access_token": "a.b.c"}),
    "a token with a line in it": json_answer(201, {"access_token": f"{ACCESS}\r\nX-Evil: 1"}),
    "a refresh token with a line in it": json_answer(
        201, {"access_token": ACCESS, "refresh_token": "a\nb"}
    ),
    "not UTF-8": answer(201, b'{"access_token": "\xff"}', "application/json"),
    "no HTTP": then_close(b"220 mail.example.com ESMTP\r\n"),
    "half an answer": then_close(b"HTTP/1.1 201 Created\r\nContent-Length: 90\r\n\r\n{"),
    "an end without an answer": hang_up,
    "too long": answer(201, b" " * (LONGEST_ANSWER_BYTES + 1), "application/json"),
    "a wrong compression": answer(201, b"zip?", "application/json", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("name", DOUBTFUL)
async def test_what_only_something_in_between_says_is_doubtful(
    odd: OddServer, provider: HttpProvider, name: str
) -> None:
    """No judgement on the session, counted as a doubt, and never a relogin."""
    odd.reply(SESSION, DOUBTFUL[name])
    deferred = await provider.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert (deferred.doubtful, deferred.online) == (True, True)


@pytest.mark.parametrize("name", PLAIN)
async def test_what_is_broken_or_busy_judges_nothing(
    odd: OddServer, provider: HttpProvider, name: str
) -> None:
    """Somebody answered, but nothing that is a judgement."""
    odd.reply(SESSION, PLAIN[name])
    deferred = await provider.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert (deferred.doubtful, deferred.online) == (False, True)


@pytest.mark.parametrize("code", ["AppNotFound", "BadRequest"])
async def test_a_wrong_request_is_misconfigured(
    odd: OddServer, provider: HttpProvider, code: str
) -> None:
    """No login cures what the server finds wrong with the request itself."""
    odd.reply(SESSION, denial(400, code))
    assert isinstance(await provider.refresh(OLD, "id"), Misconfigured)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("9" * 40, 3600.0),
        ("-3", None),
        ("soon", None),
        ("Tue, 14 Nov 99999 22:14:20 GMT", None),
    ],
)
async def test_patience_is_granted_as_asked_and_bounded(
    odd: OddServer, provider: HttpProvider, header: str, seconds: float | None
) -> None:
    """Retry-After is seconds or a date (RFC 9110 section 10.2.3), and at most an hour."""
    odd.reply(SESSION, answer(503, Retry_After=header))
    deferred = await provider.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert deferred.retry_after == seconds


async def test_a_reset_is_nobody_answering(odd: OddServer, provider: HttpProvider) -> None:
    """A connection that breaks is trouble of the network."""
    odd.reply(SESSION, reset)
    deferred = await provider.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert not deferred.online


async def test_nobody_listening_is_offline(odd: OddServer, configure: Configure) -> None:
    """A refused connection, and a name that cannot be one, are both nobody answering."""
    await odd.stop()
    for url in (odd.url, f"http://{'a' * 64}.localhost:9"):
        provider = make_provider(configure(base_url=url))
        deferred = await provider.refresh(OLD, "id")
        assert isinstance(deferred, Deferred)
        assert not deferred.online
        await provider.aclose()


async def test_a_silent_attempt_is_closed_before_it_can_be_repeated(
    odd: OddServer, hasty: HttpProvider
) -> None:
    """When the deadline passes, the first connection ends; the repetition takes another one."""
    odd.reply(SESSION, silence, GRANTED)
    deferred = await hasty.refresh(OLD, "same")
    assert isinstance(deferred, Deferred)
    assert not deferred.online
    (first,) = odd.seen(SESSION)
    await odd.wait(lambda: first.connection in odd.closed)
    assert isinstance(await hasty.refresh(OLD, "same"), Renewed)
    second = odd.seen(SESSION)[1]
    assert second.connection != first.connection
    assert second.body == first.body


async def test_a_call_is_bounded_as_a_whole(odd: OddServer, hasty: HttpProvider) -> None:
    """A server that drips bytes meets no time-out of a phase, but the deadline of the call."""

    async def drip(_request: Request, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        writer.write(b"HTTP/1.1 201 Created\r\n")
        while not writer.is_closing():
            writer.write(b"X-Drip: 1\r\n")
            try:
                async with asyncio.timeout(0.02):
                    await ended.wait()
            except TimeoutError:
                continue

    odd.reply(SESSION, drip)
    async with asyncio.timeout(5):
        assert isinstance(await hasty.refresh(OLD, "id"), Deferred)
