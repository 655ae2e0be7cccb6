"""Where the provider sends its calls, and what it refuses."""

from __future__ import annotations

import pytest

from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.errors import (
    InsecureServer,
    ServerUnreachable,
    UnexpectedAnswer,
)
from syncauth.models import (
    Deferred,
    Misconfigured,
    Renewed,
)
from tests.support.account_replies import (
    ANN,
    GRANTED,
    OLD,
    PASSWORD,
)
from tests.support.odd_server import (
    LOCATION,
    SESSION,
    OddServer,
    Reply,
    answer,
    denial,
    json_answer,
    portal,
    reset,
    silence,
    then_close,
)
from tests.unit.adapters.conftest import Configure


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
    odd: OddServer, other: OddServer, provider: HttpProvider, calls: HttpCalls
) -> None:
    """Another place on the same machine may serve the calls, and a third one the sockets."""
    odd.locate(f"{other.url}/", "ws://127.0.0.1:81")
    other.reply(SESSION, GRANTED)
    assert isinstance(await provider.refresh(OLD, "id"), Renewed)
    assert not odd.seen(SESSION)
    url = await calls.sync_url(again=False)
    assert url == "ws://127.0.0.1:81/api/client/v2.0/app/field-notes/sync"


async def test_a_location_away_from_this_machine_is_refused(
    odd: OddServer, provider: HttpProvider, accounts: HttpAccounts, calls: HttpCalls
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
            await accounts.register("ann@example.com", PASSWORD)
        with pytest.raises(InsecureServer):
            await calls.sync_url(again=False)
    assert {request.path for request in odd.requests} == {LOCATION}


async def test_what_is_said_about_the_location_judges_no_session(
    odd: OddServer, provider: HttpProvider, accounts: HttpAccounts
) -> None:
    """Nothing was presented yet: neither a refusal nor a confirmation can be meant."""
    odd.reply(LOCATION, denial(401, "InvalidSession", reason="revoked"))
    assert isinstance(await provider.refresh(OLD, "id"), Deferred)
    assert not await provider.revoke(OLD)
    with pytest.raises(UnexpectedAnswer):
        await provider.log_in(ANN)
    for empty, told in (
        (answer(204), ServerUnreachable),
        (portal(), ServerUnreachable),
        (json_answer(200, {}), UnexpectedAnswer),
        (json_answer(200, {"hostname": "x"}), UnexpectedAnswer),
        (json_answer(404, {"detail": "Not Found"}), UnexpectedAnswer),
    ):
        odd.reply(LOCATION, empty)
        assert isinstance(await provider.refresh(OLD, "id"), Deferred)
        assert not await provider.revoke(OLD)
        with pytest.raises(told, match=r"heck the URL"):
            await accounts.register("ann@example.com", PASSWORD)
    assert {request.path for request in odd.requests} == {LOCATION}


async def test_an_unknown_app_is_misconfigured(odd: OddServer, provider: HttpProvider) -> None:
    """A wrong app id is told as such."""
    odd.reply(LOCATION, denial(404, "AppNotFound"))
    assert isinstance(await provider.refresh(OLD, "id"), Misconfigured)
    with pytest.raises(UnexpectedAnswer, match="app id"):
        await provider.log_in(ANN)


async def test_the_sync_address_is_the_configured_one_until_the_server_can_be_asked(
    odd: OddServer, hasty_calls: HttpCalls, configure: Configure
) -> None:
    """Offline, a socket is tried where it was last, or where the app said."""
    odd.reply(LOCATION, silence)
    assert await hasty_calls.sync_url(again=False) == configure().sync_url
    odd.locate(odd.url, "ws://127.0.0.1:81")
    elsewhere = await hasty_calls.sync_url(again=False)
    assert elsewhere.startswith("ws://127.0.0.1:81/")
    odd.reply(LOCATION, reset)
    assert await hasty_calls.sync_url(again=True) == elsewhere
    odd.locate(odd.url)
    assert await hasty_calls.sync_url(again=False) == configure().sync_url
