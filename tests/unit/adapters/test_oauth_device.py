"""The login by another device: how often is asked, and how it ends, on real connections."""

from __future__ import annotations

from typing import Any

import pytest

from syncauth.adapters.oauth_credentials import DevicePrompt
from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import (
    CredentialsRefused,
    InvalidConfig,
    SyncAuthError,
    UnexpectedAnswer,
    WaitTimedOut,
)
from syncauth.models import Login
from tests.support.odd_issuer import (
    DEVICE,
    TOKEN,
    claims_of,
    denial,
    describe,
    provider_of,
    signed,
    tokens,
)
from tests.support.odd_server import OddServer, answer, json_answer, portal, reset

PENDING = denial(400, "authorization_pending")


class Waits:
    """Time that passes as soon as it is waited for."""

    def __init__(self) -> None:
        self.told: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.told.append(seconds)


def offer(odd: OddServer, **changes: Any) -> None:
    """Answer the device authorization."""
    describe(odd)
    body = {
        "device_code": "the-device-code",
        "user_code": "WDJB-MJHT",
        "verification_uri": f"{odd.url}/enter",
        "expires_in": 600,
    } | changes
    odd.reply(DEVICE, json_answer(200, {key: one for key, one in body.items() if one is not None}))


async def log_in(odd: OddServer, shown: list[DevicePrompt], waits: Waits | None = None) -> Login:
    provider = provider_of(odd, **({"sleep": waits} if waits else {}))
    try:
        return await provider.log_in(OAuthProvider.device_login(shown.append))
    finally:
        await provider.aclose()


async def test_it_is_asked_at_the_told_pace(odd: OddServer) -> None:
    """The interval is the server's; slow_down adds five seconds each time (RFC 8628 section 3.5)."""
    offer(odd, interval=3, verification_uri_complete=f"{odd.url}/enter?user_code=WDJB-MJHT")
    slow = denial(400, "slow_down")
    odd.reply(TOKEN, PENDING, slow, PENDING, slow, tokens(id_token=signed(claims_of(odd))))
    shown: list[DevicePrompt] = []
    waits = Waits()
    login = await log_in(odd, shown, waits)

    assert login.user_id == f"{odd.url}|u1"
    assert waits.told == [3, 3, 8, 8, 13]
    assert shown[0].user_code == "WDJB-MJHT"
    assert shown[0].complete_uri.endswith("?user_code=WDJB-MJHT")
    assert b"device_code=the-device-code" in odd.seen(TOKEN)[0].body


async def test_trouble_on_the_way_makes_the_questions_rarer(odd: OddServer) -> None:
    """A lost connection, a portal and a busy server end no login."""
    offer(odd)
    busy = answer(503, Retry_After="70")
    odd.reply(TOKEN, reset, portal(), busy, tokens(id_token=signed(claims_of(odd))))
    waits = Waits()
    await log_in(odd, [], waits)

    assert waits.told == [5, 10, 20, 70]


@pytest.mark.parametrize(
    ("reply", "error", "code"),
    [
        (denial(400, "access_denied"), CredentialsRefused, "access_denied"),
        (denial(400, "expired_token"), CredentialsRefused, "expired_token"),
        (denial(400, "invalid_grant"), CredentialsRefused, "invalid_grant"),
        (denial(401, "invalid_client"), InvalidConfig, None),
    ],
)
async def test_a_decision_ends_it(
    odd: OddServer, reply: bytes, error: type[SyncAuthError], code: str | None
) -> None:
    """The person or the server said no: it is not asked again."""
    offer(odd)
    odd.reply(TOKEN, PENDING, reply)
    with pytest.raises(error) as raised:
        await log_in(odd, [], Waits())
    assert getattr(raised.value, "code", None) == code
    assert len(odd.seen(TOKEN)) == 2


async def test_a_code_that_nobody_enters_ends(odd: OddServer) -> None:
    """The wait is as long as the code lives, by this device's own measure of time."""
    offer(odd, expires_in=0.2)
    odd.reply(TOKEN, PENDING)
    with pytest.raises(WaitTimedOut):
        await log_in(odd, [])


@pytest.mark.parametrize(
    "changes",
    [
        {"device_code": None},
        {"user_code": None},
        {"user_code": "a\nb"},
        {"verification_uri": None},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://evil.example/"},
        {"verification_uri_complete": "http://evil.example/"},
        {"expires_in": None},
        {"expires_in": 0},
        {"expires_in": "soon"},
    ],
)
async def test_what_cannot_be_shown_is_refused(odd: OddServer, changes: dict[str, Any]) -> None:
    """A person is sent to no place but the issuer's kind."""
    offer(odd, **changes)
    shown: list[DevicePrompt] = []
    with pytest.raises(UnexpectedAnswer):
        await log_in(odd, shown, Waits())
    assert not shown


async def test_a_display_that_fails_is_told(odd: OddServer) -> None:
    """Nobody waits for a code that nobody saw."""
    offer(odd)
    odd.reply(TOKEN, PENDING)
    provider = provider_of(odd)

    async def broken(_prompt: DevicePrompt) -> None:
        raise ValueError

    with pytest.raises(InvalidConfig, match="ValueError"):
        await provider.log_in(provider.device_login(broken))
    await provider.aclose()
