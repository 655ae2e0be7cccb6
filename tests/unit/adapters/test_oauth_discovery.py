"""Where endpoints come from, and which are refused, on real connections."""

from __future__ import annotations

from typing import Any

import pytest

from syncauth.adapters.oauth_discovery import OAuthEndpoints
from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import InsecureServer, InvalidConfig, ServerUnreachable, SyncAuthError
from syncauth.models import Deferred, Misconfigured, Renewed
from tests.support.odd_issuer import (
    DISCOVERY,
    FALLBACK,
    OLD,
    TOKEN,
    describe,
    provider_of,
    tokens,
)
from tests.support.odd_server import OddServer, answer, json_answer, portal, reset, silence


async def refresh(odd: OddServer, **settings: Any) -> Any:
    provider = provider_of(odd, **settings)
    try:
        return await provider.refresh(OLD, "id")
    finally:
        await provider.aclose()


async def test_metadata_are_asked_for_once_and_again_after_trouble(odd: OddServer) -> None:
    """They are kept while answers come that only the issuer gives."""
    describe(odd)
    provider = provider_of(odd)
    odd.reply(TOKEN, tokens(), tokens(), portal(), tokens())
    for _ in range(3):
        await provider.refresh(OLD, "id")
    assert len(odd.seen(DISCOVERY)) == 1
    assert isinstance(await provider.refresh(OLD, "id"), Renewed)
    assert len(odd.seen(DISCOVERY)) == 2
    await provider.aclose()


async def test_metadata_may_be_where_rfc_8414_puts_them(odd: OddServer) -> None:
    """A server without OpenID Connect has them at another address."""
    odd.reply(TOKEN, tokens())
    odd.reply(FALLBACK, json_answer(200, {"issuer": odd.url, "token_endpoint": odd.url + TOKEN}))
    assert isinstance(await refresh(odd), Renewed)


async def test_endpoints_may_be_given_by_hand(odd: OddServer) -> None:
    """Then nobody is asked for them."""
    odd.reply(TOKEN, tokens())
    given = OAuthEndpoints(token_endpoint=odd.url + TOKEN)
    assert isinstance(await refresh(odd, endpoints=given), Renewed)
    assert [request.path for request in odd.requests] == [TOKEN]


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://other.example"},
        {"issuer": "http://localhost"},
        {"issuer": 5},
        {"token_endpoint": ""},
        {"token_endpoint": "no address"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "https://elsewhere.example/token"},
        {"token_endpoint": "http://elsewhere.example/token"},
        {"revocation_endpoint": "http://user:pw@localhost/"},
        {"jwks_uri": "http://localhost/" + "x" * 3000},
    ],
)
async def test_metadata_of_another_place_are_refused(
    odd: OddServer, changes: dict[str, Any]
) -> None:
    """The issuer must be the very one asked, and no token goes where it would be seen (I10)."""
    describe(odd, **changes)
    provider = provider_of(odd)
    assert isinstance(await provider.refresh(OLD, "id"), Misconfigured)
    with pytest.raises(SyncAuthError):
        await provider.log_in(provider.password_login("ann", "secret"))
    assert not await provider.revoke(OLD)
    await provider.aclose()
    assert {request.path for request in odd.requests} == {DISCOVERY}


@pytest.mark.parametrize(
    ("reply", "online", "doubtful", "retry_after"),
    [
        (portal(), True, True, None),
        (answer(403), True, True, None),
        (answer(404), True, True, None),
        (answer(503, Retry_After="9"), True, False, 9.0),
        (reset, False, False, None),
        (silence, False, False, None),
    ],
)
async def test_without_metadata_nothing_was_sent(
    odd: OddServer, reply: Any, online: bool, doubtful: bool, retry_after: float | None
) -> None:
    """The token stayed here, so that the next attempt is no repeat."""
    odd.reply(DISCOVERY, reply)
    answered = await refresh(odd, deadline=0.5)

    assert isinstance(answered, Deferred)
    assert not answered.sent
    assert (answered.online, answered.doubtful, answered.retry_after) == (
        online,
        doubtful,
        retry_after,
    )


async def test_a_login_behind_a_portal_says_so(odd: OddServer) -> None:
    """No password goes to whoever answers in the issuer's place."""
    odd.reply(DISCOVERY, portal())
    provider = provider_of(odd)
    with pytest.raises(ServerUnreachable, match="sign-in page"):
        await provider.log_in(provider.password_login("ann", "secret"))
    await provider.aclose()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"issuer": "http://login.example.com"}, InsecureServer),
        ({"issuer": "login.example.com"}, InvalidConfig),
        ({"client_id": ""}, InvalidConfig),
        ({"client_auth": "none"}, InvalidConfig),
        ({"user_id_from": "email"}, InvalidConfig),
        ({"user_claim": "email"}, InvalidConfig),
        ({"user_claim": ""}, InvalidConfig),
        ({"deadline": 0}, InvalidConfig),
        (
            {"endpoints": OAuthEndpoints(token_endpoint="http://login.example.com/token")},
            InsecureServer,
        ),
        ({"endpoints": OAuthEndpoints(token_endpoint="http://localhost/token")}, InsecureServer),
    ],
)
def test_settings_are_checked_when_they_are_given(
    settings: dict[str, Any], error: type[SyncAuthError]
) -> None:
    """A mistake is told before anything is sent."""
    given = {"issuer": "https://login.example.com", "client_id": "field-notes"} | settings
    with pytest.raises(error):
        OAuthProvider(**given)


def test_the_name_tells_issuer_and_client() -> None:
    """Tokens are bound to both, and so is what is stored."""
    provider = OAuthProvider("https://login.example.com", "field-notes", repeat_safe=True)

    assert provider.name == "https://login.example.com field-notes"
    assert provider.repeat_safe
