"""The client's provider against the real account API, over real sockets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

from syncauth.adapters.http_answers import Answer
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_judgement import judge_refresh, judge_revoke
from syncauth.adapters.http_provider import HttpProvider
from syncauth.config import AppConfig
from syncauth.errors import (
    CredentialsRefused,
    ServerBusy,
    UnexpectedAnswer,
)
from syncauth.models import (
    Credentials,
    Deferred,
    Misconfigured,
    Refused,
    ReloginReason,
    Renewed,
    Secret,
)
from syncauth.sansio.tokens import claims_of
from syncauth.server.settings.config import Lifetimes, ServerLimits

if TYPE_CHECKING:
    from tests.integration.auth_api.conftest import AuthServer, StartServer

EMAIL, PASSWORD = "ann@example.com", "correct horse"
ANN = Credentials.email_password(EMAIL, PASSWORD)
Connect = Callable[..., HttpProvider]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Make providers of a server; all are closed at the end of the test."""
    made: list[HttpProvider] = []

    def make(server: AuthServer, **changes: Any) -> HttpProvider:
        config = AppConfig(server.url, "field-notes", PurePath("unused"))
        calls = HttpCalls(replace(config, **changes), clock=server.clock)
        made.append(HttpProvider(calls))
        return made[-1]

    yield make
    for provider in made:
        await provider.aclose()


async def refused(provider: HttpProvider, token: Secret) -> ReloginReason:
    """Return the reason of a refusal."""
    answer = await provider.refresh(token, "a new id")
    assert isinstance(answer, Refused)
    return answer.reason


async def test_from_the_login_to_the_end_of_the_session(
    server: AuthServer, connect: Connect
) -> None:
    """Log in, renew, revoke: the whole life of a session."""
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    login = await provider.log_in(ANN)
    assert claims_of(login.tokens.access)["sub"] == login.user_id
    assert login.tokens.life == pytest.approx(1800, abs=1)
    assert login.profile.data == {"email": EMAIL}
    assert [one.provider_type for one in login.profile.identities] == ["local-userpass"]
    assert login.profile.user_type == "normal"
    renewed = await provider.refresh(login.tokens.refresh, "id-1")
    assert isinstance(renewed, Renewed)
    assert renewed.tokens.refresh != login.tokens.refresh
    assert renewed.tokens.life == pytest.approx(1800, abs=1)
    assert server.profile(renewed.tokens.access.reveal()).status_code == 200
    assert await provider.revoke(renewed.tokens.refresh)
    assert server.profile(renewed.tokens.access.reveal()).status_code == 401
    assert await provider.revoke(renewed.tokens.refresh)
    assert await refused(provider, renewed.tokens.refresh) is ReloginReason.REVOKED


async def test_an_anonymous_user_has_no_data(server: AuthServer, connect: Connect) -> None:
    """The second way in."""
    login = await connect(server).log_in(Credentials.anonymous())
    assert [one.provider_type for one in login.profile.identities] == ["anon-user"]
    assert login.profile.data == {}


async def test_a_lost_answer_is_got_again_with_the_same_id(
    server: AuthServer, connect: Connect
) -> None:
    """Repeating is safe; another id with a used token is a reuse."""
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    first = (await provider.log_in(ANN)).tokens.refresh
    lost = await provider.refresh(first, "id-1")
    assert isinstance(lost, Renewed)
    server.clock.pass_time(30 * 24 * 3600)
    again = await provider.refresh(first, "id-1")
    assert isinstance(again, Renewed)
    newest = await provider.refresh(again.tokens.refresh, "id-2")
    assert isinstance(newest, Renewed)
    assert await refused(provider, first) is ReloginReason.REUSE_DETECTED
    assert await refused(provider, newest.tokens.refresh) is ReloginReason.REUSE_DETECTED


async def test_an_expired_session_is_refused_as_such(
    start_server: StartServer, connect: Connect
) -> None:
    """By the server's clock, after its life."""
    server = start_server(lifetimes=Lifetimes(access_seconds=5, refresh_seconds=60))
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    login = await provider.log_in(ANN)
    assert login.tokens.life == pytest.approx(5, abs=1)
    server.clock.pass_time(61)
    assert await refused(provider, login.tokens.refresh) is ReloginReason.EXPIRED


async def test_a_disabled_and_a_removed_user_are_refused_as_such(
    server: AuthServer, connect: Connect
) -> None:
    """Each with its own word for the app's handler."""
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    disabled = await provider.log_in(ANN)
    removed = await provider.log_in(Credentials.anonymous())
    store = server.other_process()
    store.disable_user(disabled.user_id, server.clock.wall())
    store.remove_user(removed.user_id, server.clock.wall())
    assert await refused(provider, disabled.tokens.refresh) is ReloginReason.USER_DISABLED
    assert await refused(provider, removed.tokens.refresh) is ReloginReason.USER_REMOVED
    with pytest.raises(CredentialsRefused) as raised:
        await provider.log_in(ANN)
    assert raised.value.code == "UserDisabled"


async def test_a_token_of_another_server_is_refused_as_revoked(
    server: AuthServer, connect: Connect
) -> None:
    """It proves that this server has no such session."""
    assert await refused(connect(server), Secret("a.b.c")) is ReloginReason.REVOKED


def test_a_header_lost_on_the_way_ends_no_session(server: AuthServer) -> None:
    """What the server says to a request without a token is no proof about the token."""
    for method in ("POST", "DELETE"):
        got = server.client.request(method, "/api/client/v2.0/auth/session")
        answer = Answer(got.status_code, got.headers["Content-Type"], got.content)
        judged = judge_refresh(answer, Secret("a.b.c"))
        assert isinstance(judged, Deferred)
        assert judged.doubtful
        assert not judge_revoke(answer)


async def test_wrong_credentials(server: AuthServer, connect: Connect) -> None:
    """A person has to type again; what the server says is told."""
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    for email, password in ((EMAIL, "wrong one"), ("bob@example.com", PASSWORD)):
        with pytest.raises(CredentialsRefused, match="invalid username/password") as raised:
            await provider.log_in(Credentials.email_password(email, password))
        assert raised.value.code == "InvalidPassword"


async def test_too_many_logins_ask_for_patience(
    start_server: StartServer, connect: Connect
) -> None:
    """With the seconds that the server names."""
    server = start_server(limits=ServerLimits(login_burst=1, logins_per_minute=1))
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    wrong = Credentials.email_password(EMAIL, "wrong one")
    with pytest.raises(CredentialsRefused):
        await provider.log_in(wrong)
    with pytest.raises(ServerBusy) as raised:
        await provider.log_in(wrong)
    assert raised.value.retry_after == 60


async def test_an_unknown_app_is_told(server: AuthServer, connect: Connect) -> None:
    """A wrong app id is a matter of configuration, never of the session."""
    provider = connect(server, app_id="other-notes")
    with pytest.raises(UnexpectedAnswer, match="does not know this app"):
        await provider.log_in(ANN)
    assert isinstance(await provider.refresh(Secret("a.b.c"), "id"), Misconfigured)


async def test_calls_at_once_do_not_mix_their_answers(server: AuthServer, connect: Connect) -> None:
    """More calls than connections: each gets its own user's answer."""
    provider = connect(server)
    logins = await asyncio.gather(*(provider.log_in(Credentials.anonymous()) for _ in range(12)))
    assert len({login.user_id for login in logins}) == 12
    answers = await asyncio.gather(
        *(provider.refresh(login.tokens.refresh, "id") for login in logins)
    )
    for login, answer in zip(logins, answers, strict=True):
        assert isinstance(answer, Renewed)
        assert claims_of(answer.tokens.access)["sub"] == login.user_id


async def test_the_sync_address_is_the_server_s(server: AuthServer) -> None:
    """As its location names it."""
    config = AppConfig(server.url, "field-notes", PurePath("unused"))
    calls = HttpCalls(config, clock=server.clock)
    url = await calls.sync_url(again=False)
    await calls.aclose()
    assert url == f"ws{server.url[4:]}/api/client/v2.0/app/field-notes/sync"


async def test_no_log_holds_a_token_or_password(
    server: AuthServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Client and server run in this process: nothing that either writes holds a secret (I10)."""
    caplog.set_level(logging.DEBUG)
    provider = connect(server)
    server.register(EMAIL, PASSWORD)
    login = await provider.log_in(ANN)
    renewed = await provider.refresh(login.tokens.refresh, "id")
    assert isinstance(renewed, Renewed)
    await provider.revoke(renewed.tokens.refresh)
    assert "auth/session" in caplog.text
    pairs = (login.tokens, renewed.tokens)
    for secret in (PASSWORD, *(t.reveal() for p in pairs for t in (p.access, p.refresh))):
        assert secret not in caplog.text
