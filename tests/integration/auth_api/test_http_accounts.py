"""The client's account service against the real account API, over real sockets."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.config import AppConfig
from syncauth.errors import AccountNameInUse, CredentialsRefused, UnexpectedAnswer
from syncauth.interfaces import AccessRejected
from syncauth.models import Credentials, Refused, ReloginReason, Renewed, Secret

if TYPE_CHECKING:
    from tests.integration.auth_api.conftest import AuthServer

EMAIL, PASSWORD = "ann@example.com", "correct horse"
ANN = Credentials.email_password(EMAIL, PASSWORD)


@dataclass
class Client:
    """Both adapters over the same calls, as an App wires them."""

    provider: HttpProvider
    accounts: HttpAccounts


Connect = Callable[..., Client]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Make clients of a server; all are closed at the end of the test."""
    made: list[HttpCalls] = []

    def make(server: AuthServer, **changes: Any) -> Client:
        config = AppConfig(server.url, "field-notes", PurePath("unused"))
        made.append(HttpCalls(replace(config, **changes), clock=server.clock))
        return Client(HttpProvider(made[-1]), HttpAccounts(made[-1]))

    yield make
    for calls in made:
        await calls.aclose()


async def test_an_account_is_made_and_its_profile_read(
    server: AuthServer, connect: Connect
) -> None:
    """What the login told is told again later."""
    client = connect(server)
    await client.accounts.register(EMAIL, PASSWORD)
    login = await client.provider.log_in(ANN)
    assert await client.accounts.profile(login.tokens.access) == login.profile


async def test_an_account_that_is_not_made_says_why(server: AuthServer, connect: Connect) -> None:
    """The name is taken, whatever the password; or the password is no good."""
    accounts = connect(server).accounts
    await accounts.register(EMAIL, PASSWORD)
    with pytest.raises(AccountNameInUse):
        await accounts.register(EMAIL, "another one")
    with pytest.raises(CredentialsRefused, match="between 6 and 128"):
        await accounts.register("bob@example.com", "short")


async def test_an_access_token_that_has_ended_is_renewed_by_the_caller(
    server: AuthServer, connect: Connect
) -> None:
    """The service says that it was not taken; with the renewed one the call works."""
    client = connect(server)
    login = await client.provider.log_in(Credentials.anonymous())
    server.clock.pass_time(1802)
    with pytest.raises(AccessRejected):
        await client.accounts.profile(login.tokens.access)
    renewed = await client.provider.refresh(login.tokens.refresh, "id-1")
    assert isinstance(renewed, Renewed)
    assert await client.accounts.profile(renewed.tokens.access) == login.profile


@pytest.mark.parametrize("act", ["revoke_user", "disable_user", "remove_user"])
async def test_a_session_that_has_ended_takes_no_token(
    server: AuthServer, connect: Connect, act: str
) -> None:
    """However it ended: whoever renews the token learns why."""
    client = connect(server)
    login = await client.provider.log_in(Credentials.anonymous())
    getattr(server.other_process(), act)(login.user_id, server.clock.wall())
    with pytest.raises(AccessRejected):
        await client.accounts.profile(login.tokens.access)
    with pytest.raises(AccessRejected):
        await client.accounts.delete_user(login.tokens.access)


async def test_a_deleted_user_is_gone(server: AuthServer, connect: Connect) -> None:
    """No token of it is taken, no login works, and the name is free again."""
    client = connect(server)
    await client.accounts.register(EMAIL, PASSWORD)
    login = await client.provider.log_in(ANN)
    await client.accounts.delete_user(login.tokens.access)
    with pytest.raises(AccessRejected):
        await client.accounts.delete_user(login.tokens.access)
    refused = await client.provider.refresh(login.tokens.refresh, "id-1")
    assert isinstance(refused, Refused)
    assert refused.reason is ReloginReason.USER_REMOVED
    with pytest.raises(CredentialsRefused):
        await client.provider.log_in(ANN)
    await client.accounts.register(EMAIL, PASSWORD)


async def test_an_unknown_app_is_told(server: AuthServer, connect: Connect) -> None:
    """A wrong app id is a matter of configuration."""
    accounts = connect(server, app_id="other-notes").accounts
    with pytest.raises(UnexpectedAnswer, match="does not know this app"):
        await accounts.register(EMAIL, PASSWORD)
    with pytest.raises(UnexpectedAnswer, match="does not know this app"):
        await accounts.call_function(server_token(server), "sum", (1, 2), None)


def server_token(server: AuthServer) -> Secret:
    """Return an access token of this server."""
    return Secret(server.log_in()["access_token"])


async def test_how_long_the_session_lives_is_told_and_does_not_grow(
    server: AuthServer, connect: Connect
) -> None:
    """A rotation does not extend it, and the client knows what is left by the server's clock."""
    provider = connect(server).provider
    server.register()
    login = await provider.log_in(ANN)
    days = 24 * 3600
    assert login.tokens.refresh_life == pytest.approx(60 * days, abs=1)
    server.clock.pass_time(20 * days)
    renewed = await provider.refresh(login.tokens.refresh, "id-1")
    assert isinstance(renewed, Renewed)
    assert renewed.tokens.refresh_life == pytest.approx(40 * days, abs=1)


async def test_no_log_holds_a_token_or_password(
    server: AuthServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Client and server run in this process: nothing that either writes holds a secret (I10)."""
    caplog.set_level(logging.DEBUG)
    client = connect(server)
    await client.accounts.register(EMAIL, PASSWORD)
    login = await client.provider.log_in(ANN)
    await client.accounts.profile(login.tokens.access)
    await client.accounts.delete_user(login.tokens.access)
    assert "auth/delete" in caplog.text
    for secret in (PASSWORD, login.tokens.access.reveal(), login.tokens.refresh.reveal()):
        assert secret not in caplog.text
