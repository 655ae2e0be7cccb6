"""What the provider never does, and its end, on real connections."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any

import pytest

from syncauth.adapters.http_provider import HttpProvider
from syncauth.errors import (
    Closed,
    ServerUnreachable,
    SyncAuthError,
)
from syncauth.models import (
    Deferred,
    Renewed,
    Secret,
)
from tests.support.account_replies import (
    ACCESS,
    ANN,
    GRANTED,
    LOGGED_IN,
    LOGIN,
    NEWER,
    OLD,
    PASSWORD,
    PROFILE,
    PROFILE_OF_ANN,
    REFRESH,
)
from tests.support.odd_server import (
    SESSION,
    OddServer,
    answer,
    denial,
    portal,
    reset,
    silence,
    then_close,
)
from tests.unit.adapters.conftest import Configure, make_provider


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
    provider = make_provider(configure())
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
    provider, hasty = make_provider(configure()), make_provider(configure(token_deadline=0.2))
    odd.reply(LOGIN, LOGGED_IN, denial(401, "InvalidPassword", f"{PASSWORD} is wrong"), reset)
    odd.reply(PROFILE, PROFILE_OF_ANN)
    odd.reply(SESSION, GRANTED, answer(204), silence, then_close(b"junk"), portal())
    shown = [repr(await provider.log_in(ANN))]
    shown.append(repr(await provider.refresh(OLD, "id")))
    shown.append(repr(await provider.revoke(OLD)))
    shown.append(repr(await hasty.refresh(OLD, "id")))
    shown.extend([repr(await provider.refresh(OLD, "id")) for _ in range(2)])
    shown.append(repr(await provider.refresh(Secret("bad\r\nheader"), "id")))
    shown.append(repr(await provider.refresh(Secret("bäd-header"), "id")))
    for _ in range(2):
        with pytest.raises(SyncAuthError) as raised:
            await provider.log_in(ANN)
        shown.append("".join(traceback.format_exception(raised.value)))
        assert raised.value.__cause__ is raised.value.__context__ is None
    await provider.aclose()
    await hasty.aclose()
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    text = "\n".join([*shown, caplog.text])
    payloads = [token.split(".")[1] for token in (ACCESS, REFRESH, NEWER)]
    for secret in (*payloads, PASSWORD, "bad\\r", "bäd-", "bad\r"):
        assert secret not in text


async def test_a_certificate_that_is_not_trusted_gets_no_token(
    configure: Configure, contexts: Any
) -> None:
    """Over TLS a server is believed only with a certificate that this machine trusts."""
    server, trusting = contexts
    odd = OddServer()
    await odd.start(ssl=server)
    odd.reply(SESSION, GRANTED)
    stranger = make_provider(configure(base_url=odd.url))
    deferred = await stranger.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert not odd.requests
    friend = make_provider(configure(base_url=odd.url), tls=trusting)
    assert isinstance(await friend.refresh(OLD, "id"), Renewed)
    await stranger.aclose()
    await friend.aclose()
    await odd.stop()


async def test_closing_is_idempotent_and_final(odd: OddServer, configure: Configure) -> None:
    """A closed provider connects no more; one that never connected closes too."""
    unused = make_provider(configure())
    await unused.aclose()
    provider = make_provider(configure())
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
