"""The provider against servers, proxies and portals that answer oddly, on real connections."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from syncauth.adapters.http_provider import LONGEST_ANSWER_BYTES, HttpProvider
from syncauth.config import AppConfig
from syncauth.errors import (
    AccountNameInUse,
    Closed,
    CredentialsRefused,
    InsecureServer,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.interfaces import IdentityProvider
from syncauth.models import (
    Credentials,
    Deferred,
    Misconfigured,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
    TokenPair,
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
    jwt,
    portal,
    reset,
    silence,
    then_close,
)
from tests.unit.adapters.conftest import Configure

ACCESS, REFRESH, NEWER = jwt("access"), jwt("refresh"), jwt("newer")
OLD = Secret(REFRESH)
PASSWORD = "correct horse"
ANN = Credentials.email_password("ann@example.com", PASSWORD)
PROVIDERS = "/api/client/v2.0/app/field-notes/auth/providers"
LOGIN = f"{PROVIDERS}/local-userpass/login"
ANONYMOUS_LOGIN = f"{PROVIDERS}/anon-user/login"
REGISTER = f"{PROVIDERS}/local-userpass/register"
PROFILE = "/api/client/v2.0/auth/profile"
WALL = 1_700_000_000.0
GRANTED = json_answer(
    201, {"access_token": ACCESS, "refresh_token": NEWER, "life_ms": 1500, "expires_in": 1}
)
LOGGED_IN = json_answer(
    200,
    {
        "access_token": ACCESS,
        "refresh_token": REFRESH,
        "user_id": "u1",
        "device_id": "d" * 24,
        "life_ms": 1_800_000,
    },
)
PROFILE_OF_ANN = json_answer(
    200,
    {
        "user_id": "u1",
        "domain_id": "x",
        "identities": [{"id": "i1", "provider_type": "local-userpass", "provider_id": "y"}],
        "data": {"email": "ann@example.com"},
        "type": "normal",
    },
)


class StandingClock:
    """A clock that stands."""

    def now(self) -> float:
        return 0.0

    def wall(self) -> float:
        return WALL


def make(config: AppConfig, **more: Any) -> HttpProvider:
    """Make a provider; the test closes it."""
    return HttpProvider(config, clock=StandingClock(), **more)


@pytest.fixture
async def provider(configure: Configure) -> AsyncIterator[HttpProvider]:
    """A provider of the odd server, whose deadline a passing test never meets."""
    made = make(configure(token_deadline=5.0))
    yield made
    await made.aclose()


@pytest.fixture
async def hasty(configure: Configure) -> AsyncIterator[HttpProvider]:
    """A provider that gives up soon."""
    made = make(configure(token_deadline=0.2))
    yield made
    await made.aclose()


# --- refreshing ----------------------------------------------------------------------------------


async def test_a_refresh_sends_the_token_in_the_header_alone_and_takes_the_new_pair(
    odd: OddServer, provider: IdentityProvider
) -> None:
    """What the issuer gets: the refresh token as bearer, the refresh id as body (I10)."""
    odd.reply(SESSION, GRANTED)
    renewed = await provider.refresh(OLD, "id-1")
    assert renewed == Renewed(TokenPair(Secret(ACCESS), Secret(NEWER), 1.5))
    (request,) = odd.seen(SESSION)
    assert request.method == "POST"
    assert request.headers["authorization"] == f"Bearer {REFRESH}"
    assert json.loads(request.body) == {"refresh_id": "id-1"}
    assert "authorization" not in odd.seen(LOCATION)[0].headers
    assert provider.repeat_safe


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
    assert renewed == Renewed(TokenPair(Secret(ACCESS), OLD, life))


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
        provider = make(configure(base_url=url))
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


# --- what is never done --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(
    odd: OddServer, other: OddServer, provider: HttpProvider, status: int
) -> None:
    """A redirect is no reason to show a token to anybody else (I10)."""
    odd.reply(SESSION, answer(status, Location=f"{other.url}{SESSION}"))
    odd.reply(LOGIN, answer(status, Location=f"{other.url}{LOGIN}"))
    assert isinstance(await provider.refresh(OLD, "id"), Deferred)
    assert not await provider.revoke(OLD)
    with pytest.raises(ServerUnreachable):
        await provider.log_in(ANN)
    assert not other.opened


async def test_proxies_and_passwords_of_the_environment_are_not_used(
    odd: OddServer,
    other: OddServer,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """A proxy variable would carry tokens of a loopback server away in clear text (I10)."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login spy password spy\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, other.url)
    provider = make(configure())
    odd.reply(SESSION, GRANTED)
    assert isinstance(await provider.refresh(OLD, "id"), Renewed)
    await provider.aclose()
    assert not other.opened
    assert odd.seen(SESSION)[0].headers["authorization"] == f"Bearer {REFRESH}"


async def test_cookies_are_not_kept(odd: OddServer, provider: HttpProvider) -> None:
    """What a portal sets is not sent along with a token."""
    odd.reply(SESSION, answer(200, Set_Cookie="who=ann; Path=/"), GRANTED)
    await provider.refresh(OLD, "id")
    await provider.refresh(OLD, "id")
    assert all("cookie" not in request.headers for request in odd.requests)


async def test_no_log_and_no_error_holds_a_token_or_password(
    odd: OddServer,
    configure: Configure,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever the libraries write at DEBUG, and whatever is raised (I10)."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    provider = make(configure(token_deadline=0.5))
    odd.reply(LOGIN, LOGGED_IN, denial(401, "InvalidPassword", f"{PASSWORD} is wrong"), reset)
    odd.reply(PROFILE, PROFILE_OF_ANN)
    odd.reply(SESSION, GRANTED, answer(204), silence, then_close(b"junk"), portal())
    shown = [repr(await provider.log_in(ANN))]
    shown.append(repr(await provider.refresh(OLD, "id")))
    shown.append(repr(await provider.revoke(OLD)))
    shown.extend([repr(await provider.refresh(OLD, "id")) for _ in range(3)])
    shown.append(repr(await provider.refresh(Secret("bad\r\nheader"), "id")))
    shown.append(repr(await provider.refresh(Secret("bäd-header"), "id")))
    for _ in range(2):
        with pytest.raises(SyncAuthError) as raised:
            await provider.log_in(ANN)
        shown.append("".join(traceback.format_exception(raised.value)))
        assert raised.value.__cause__ is raised.value.__context__ is None
    await provider.aclose()
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    text = "\n".join([*shown, caplog.text])
    payloads = [token.split(".")[1] for token in (ACCESS, REFRESH, NEWER)]
    for secret in (*payloads, PASSWORD, "bad\\r", "bäd-", "bad\r"):
        assert secret not in text


# --- the location --------------------------------------------------------------------------------


async def test_the_location_is_looked_up_once(odd: OddServer, provider: HttpProvider) -> None:
    """Where the server lives is kept as long as the calls get through."""
    odd.reply(SESSION, GRANTED, denial(401, "InvalidSession"), denial(500, "X"), GRANTED)
    for _ in range(4):
        await provider.refresh(OLD, "id")
    assert len(odd.seen(LOCATION)) == 1


@pytest.mark.parametrize("trouble", [reset, portal(), answer(301), then_close(b"junk")])
async def test_the_location_is_looked_up_again_after_trouble(
    odd: OddServer, provider: HttpProvider, trouble: Reply
) -> None:
    """A server that moved is found again."""
    odd.reply(SESSION, trouble, GRANTED)
    assert isinstance(await provider.refresh(OLD, "id"), Deferred)
    assert isinstance(await provider.refresh(OLD, "id"), Renewed)
    assert len(odd.seen(LOCATION)) == 2


async def test_calls_go_where_the_location_says(
    odd: OddServer, other: OddServer, provider: HttpProvider
) -> None:
    """Another place on the same machine may serve the calls, and a third one the sockets."""
    odd.locate(f"{other.url}/", "ws://127.0.0.1:81")
    other.reply(SESSION, GRANTED)
    assert isinstance(await provider.refresh(OLD, "id"), Renewed)
    assert not odd.seen(SESSION)
    url = await provider.sync_url(again=False)
    assert url == "ws://127.0.0.1:81/api/client/v2.0/app/field-notes/sync"


async def test_a_location_away_from_this_machine_is_refused(
    odd: OddServer, provider: HttpProvider
) -> None:
    """A loopback server cannot send tokens elsewhere; nothing is sent, and no session ends."""
    for http, socket in (
        ("https://evil.example.com", "wss://evil.example.com"),
        (odd.url, "wss://evil.example.com"),
    ):
        odd.locate(http, socket)
        assert isinstance(await provider.refresh(OLD, "id"), Misconfigured)
        assert not await provider.revoke(OLD)
        with pytest.raises(InsecureServer, match=r"evil\.example\.com"):
            await provider.log_in(ANN)
        with pytest.raises(InsecureServer):
            await provider.register("ann@example.com", PASSWORD)
        with pytest.raises(InsecureServer):
            await provider.sync_url(again=False)
    assert {request.path for request in odd.requests} == {LOCATION}


async def test_what_is_said_about_the_location_judges_no_session(
    odd: OddServer, provider: HttpProvider
) -> None:
    """Nothing was presented yet: neither a refusal nor a confirmation can be meant."""
    odd.reply(LOCATION, denial(401, "InvalidSession", reason="revoked"))
    assert isinstance(await provider.refresh(OLD, "id"), Deferred)
    assert not await provider.revoke(OLD)
    with pytest.raises(UnexpectedAnswer):
        await provider.log_in(ANN)
    for empty in (answer(204), portal(), json_answer(200, {}), json_answer(200, {"hostname": "x"})):
        odd.reply(LOCATION, empty)
        assert isinstance(await provider.refresh(OLD, "id"), Deferred)
        assert not await provider.revoke(OLD)
        with pytest.raises(ServerUnreachable):
            await provider.register("ann@example.com", PASSWORD)
    assert {request.path for request in odd.requests} == {LOCATION}


async def test_an_unknown_app_is_misconfigured(odd: OddServer, provider: HttpProvider) -> None:
    """A wrong app id is told as such."""
    odd.reply(LOCATION, denial(404, "AppNotFound"))
    assert isinstance(await provider.refresh(OLD, "id"), Misconfigured)
    with pytest.raises(UnexpectedAnswer, match="app id"):
        await provider.log_in(ANN)


async def test_the_sync_address_is_the_configured_one_until_the_server_can_be_asked(
    odd: OddServer, hasty: HttpProvider, configure: Configure
) -> None:
    """Offline, a socket is tried where it was last, or where the app said."""
    odd.reply(LOCATION, silence)
    assert await hasty.sync_url(again=False) == configure().sync_url
    odd.locate(odd.url, "ws://127.0.0.1:81")
    elsewhere = await hasty.sync_url(again=False)
    assert elsewhere.startswith("ws://127.0.0.1:81/")
    odd.reply(LOCATION, reset)
    assert await hasty.sync_url(again=True) == elsewhere
    odd.locate(odd.url)
    assert await hasty.sync_url(again=False) == configure().sync_url


# --- logging in ----------------------------------------------------------------------------------


async def test_a_login_asks_for_rotation_and_reads_the_profile(
    odd: OddServer, provider: HttpProvider
) -> None:
    """What is sent, and what becomes of it."""
    odd.reply(LOGIN, LOGGED_IN)
    odd.reply(PROFILE, PROFILE_OF_ANN)
    login = await provider.log_in(ANN)
    assert (login.user_id, login.device_id) == ("u1", "d" * 24)
    assert login.tokens == TokenPair(Secret(ACCESS), Secret(REFRESH), 1800.0)
    assert login.profile.data == {"email": "ann@example.com"}
    assert [one.provider_type for one in login.profile.identities] == ["local-userpass"]
    (request,) = odd.seen(LOGIN)
    body = json.loads(request.body)
    assert (body["username"], body["password"]) == ("ann@example.com", PASSWORD)
    assert body["options"]["rotate"] is True
    assert body["options"]["device"]["sdk"] == "syncauth"
    assert "authorization" not in request.headers
    assert odd.seen(PROFILE)[0].headers["authorization"] == f"Bearer {ACCESS}"


async def test_an_anonymous_login_has_its_own_door(odd: OddServer, provider: HttpProvider) -> None:
    """The provider's name stands in the path, nothing but options in the body."""
    odd.reply(ANONYMOUS_LOGIN, LOGGED_IN)
    odd.reply(PROFILE, PROFILE_OF_ANN)
    assert (await provider.log_in(Credentials.anonymous())).user_id == "u1"
    assert set(json.loads(odd.seen(ANONYMOUS_LOGIN)[0].body)) == {"options"}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(401, "InvalidPassword"), CredentialsRefused),
        (denial(401, "UserDisabled"), CredentialsRefused),
        (json_answer(401, {"error": "unauthorized"}), CredentialsRefused),
        (denial(404, "AuthProviderNotFound"), CredentialsRefused),
        (denial(404, "AppNotFound"), UnexpectedAnswer),
        (denial(429, "TooManyRequests"), ServerBusy),
        (answer(503), ServerBusy),
        (denial(500, "InternalServerError"), ServerBusy),
        (portal(502), ServerBusy),
        (portal(), ServerUnreachable),
        (answer(200), ServerUnreachable),
        (answer(401), ServerUnreachable),
        (portal(403), ServerUnreachable),
        (reset, ServerUnreachable),
        (json_answer(200, {"access_token": ACCESS}), UnexpectedAnswer),
        (json_answer(200, {"access_token": ACCESS, "user_id": "u1"}), UnexpectedAnswer),
        (
            json_answer(200, {"access_token": "x", "refresh_token": "y", "user_id": "u1"}),
            UnexpectedAnswer,
        ),
    ],
)
async def test_a_login_that_fails_says_who_must_act(
    odd: OddServer, provider: HttpProvider, reply: Reply, kind: type[SyncAuthError]
) -> None:
    """A person, the programmer, or time."""
    odd.reply(LOGIN, reply)
    with pytest.raises(SyncAuthError) as raised:
        await provider.log_in(ANN)
    assert type(raised.value) is kind


async def test_the_code_and_the_text_of_a_refusal_are_kept(
    odd: OddServer, provider: HttpProvider
) -> None:
    """They are the server's own; a text that repeats the password is not."""
    odd.reply(LOGIN, denial(401, "InvalidPassword", "wrong\x00 name"))
    with pytest.raises(CredentialsRefused, match="wrong name") as raised:
        await provider.log_in(ANN)
    assert raised.value.code == "InvalidPassword"
    odd.reply(LOGIN, denial(401, PASSWORD, f"{PASSWORD} is wrong"))
    with pytest.raises(CredentialsRefused) as raised:
        await provider.log_in(ANN)
    assert PASSWORD not in str(raised.value) + raised.value.code


async def test_the_patience_of_a_busy_login_is_told(odd: OddServer, provider: HttpProvider) -> None:
    """The app may show when to try again."""
    odd.reply(LOGIN, answer(429, Retry_After="12"))
    with pytest.raises(ServerBusy) as raised:
        await provider.log_in(ANN)
    assert raised.value.retry_after == 12


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(401, "InvalidSession"), CredentialsRefused),
        (denial(500, "InternalServerError"), ServerBusy),
        (portal(), ServerUnreachable),
        (json_answer(200, {"user_id": "someone else"}), UnexpectedAnswer),
    ],
)
async def test_a_login_without_its_profile_leaves_no_session_behind(
    odd: OddServer, provider: HttpProvider, reply: Reply, kind: type[SyncAuthError]
) -> None:
    """The session that was just opened is ended again."""
    odd.reply(LOGIN, LOGGED_IN)
    odd.reply(PROFILE, reply)
    odd.reply(SESSION, answer(204))
    with pytest.raises(kind):
        await provider.log_in(ANN)
    (request,) = odd.seen(SESSION)
    assert (request.method, request.headers["authorization"]) == ("DELETE", f"Bearer {REFRESH}")


async def test_a_login_is_bounded_as_a_whole(odd: OddServer, hasty: HttpProvider) -> None:
    """Location, login and profile share one deadline."""
    odd.reply(LOGIN, LOGGED_IN)
    odd.reply(PROFILE, silence)
    with pytest.raises(ServerUnreachable, match="in time"):
        await hasty.log_in(ANN)


# --- registering and revoking --------------------------------------------------------------------


@pytest.mark.parametrize("granted", [answer(201), answer(200), json_answer(200, {})])
async def test_an_account_is_made(odd: OddServer, provider: HttpProvider, granted: bytes) -> None:
    """Servers answer with any 2xx, with or without JSON."""
    odd.reply(REGISTER, granted)
    await provider.register("ann@example.com", PASSWORD)
    sent = json.loads(odd.seen(REGISTER)[0].body)
    assert sent == {"email": "ann@example.com", "password": PASSWORD}


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(409, "AccountNameInUse"), AccountNameInUse),
        (denial(400, "BadRequest"), CredentialsRefused),
        (denial(429, "TooManyRequests"), ServerBusy),
        (portal(), ServerUnreachable),
        (hang_up, ServerUnreachable),
    ],
)
async def test_an_account_that_is_not_made_says_why(
    odd: OddServer, provider: HttpProvider, reply: Reply, kind: type[SyncAuthError]
) -> None:
    """A sign-in page is not taken for success."""
    odd.reply(REGISTER, reply)
    with pytest.raises(SyncAuthError) as raised:
        await provider.register("ann@example.com", PASSWORD)
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("reply", "done"),
    [
        (answer(204), True),
        (json_answer(200, {}), True),
        (denial(401, "InvalidSession", "failed to find refresh token"), True),
        (denial(401, "InvalidSession", "invalid session: no bearer token"), False),
        (answer(200), False),
        (portal(), False),
        (answer(401), False),
        (answer(302), False),
        (denial(403, "InvalidSession"), False),
        (denial(500, "InternalServerError"), False),
        (reset, False),
    ],
)
async def test_a_revocation_is_done_only_when_the_server_said_so(
    odd: OddServer, provider: HttpProvider, reply: Reply, done: bool
) -> None:
    """A portal's page does not count as a logout."""
    odd.reply(SESSION, reply)
    assert await provider.revoke(OLD) is done
    (request,) = odd.seen(SESSION)
    assert (request.method, request.headers["authorization"]) == ("DELETE", f"Bearer {REFRESH}")


# --- TLS and the end -----------------------------------------------------------------------------


async def test_a_certificate_that_is_not_trusted_gets_no_token(
    configure: Configure, contexts: Any
) -> None:
    """Over TLS a server is believed only with a certificate that this machine trusts."""
    server, trusting = contexts
    odd = OddServer()
    await odd.start(ssl=server)
    odd.reply(SESSION, GRANTED)
    stranger = make(configure(base_url=odd.url))
    deferred = await stranger.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert not odd.requests
    friend = make(configure(base_url=odd.url), tls=trusting)
    assert isinstance(await friend.refresh(OLD, "id"), Renewed)
    await stranger.aclose()
    await friend.aclose()
    await odd.stop()


async def test_closing_is_idempotent_and_final(odd: OddServer, configure: Configure) -> None:
    """A closed provider connects no more; one that never connected closes too."""
    unused = make(configure())
    await unused.aclose()
    provider = make(configure())
    odd.reply(SESSION, GRANTED)
    await provider.refresh(OLD, "id")
    await provider.aclose()
    await provider.aclose()
    await odd.wait(lambda: len(odd.closed) == odd.opened)
    for use in (provider.refresh(OLD, "id"), provider.revoke(OLD), provider.log_in(ANN)):
        with pytest.raises(Closed):
            await use


async def test_closing_ends_a_call_that_is_under_way(
    odd: OddServer, provider: HttpProvider
) -> None:
    """Nothing is left that waits for an answer."""
    odd.reply(SESSION, silence)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(provider.refresh(OLD, "id"))
        await odd.wait(lambda: bool(odd.seen(SESSION)))
        await provider.aclose()
        async with asyncio.timeout(2):
            assert isinstance(await call, Deferred)


async def test_a_cancelled_call_closes_its_connection(
    odd: OddServer, provider: HttpProvider
) -> None:
    """The driver cancels what is under way when the App closes."""
    odd.reply(SESSION, silence)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(provider.refresh(OLD, "id"))
        await odd.wait(lambda: bool(odd.seen(SESSION)))
        call.cancel()
    await odd.wait(lambda: odd.seen(SESSION)[0].connection in odd.closed)
