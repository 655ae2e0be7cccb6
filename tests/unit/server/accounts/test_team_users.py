"""What the team's own code may ask of a server: sessions for its users, whose token this is, an end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from syncauth.errors import (
    CredentialsRefused,
    FunctionError,
    InvalidConfig,
    ServerBusy,
    TokenRefused,
)
from syncauth.models import Secret
from syncauth.server import Extensions
from tests.support.embedding.in_process import BASE, LOGIN, Make, bearer, client_of, maker


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a server that is not started."""
    return maker(tmp_path)


async def test_a_session_for_a_user_whom_the_team_knows(make: Make) -> None:
    """The tokens are those of a rotating session; the same id is the same user, also at the login."""
    server = make(authenticate=lambda _connection, payload: payload.get("id"))
    async with server, client_of(server) as client:
        assert await server.user_id_of("ann") is None
        tokens = await server.log_in("ann", data={"email": "ann@example.com"})
        profile = await client.get(f"{BASE}/auth/profile", headers=bearer(tokens.access_token))
        renewed = await client.post(f"{BASE}/auth/session", headers=bearer(tokens.refresh_token))
        login = await client.post(LOGIN, json={"id": "ann"})

        assert profile.json()["data"] == {"email": "ann@example.com"}
        assert renewed.json()["refresh_token"] != tokens.refresh_token.reveal()
        assert login.json()["user_id"] == tokens.user_id == await server.user_id_of("ann")
        assert tokens.reveal()["access_token"] == tokens.access_token.reveal()
        assert set(login.json()) == set(tokens.reveal())
        assert tokens.access_token.reveal() not in repr(tokens)


async def test_a_token_is_verified_with_its_session(make: Make) -> None:
    """An endpoint of the team learns whose token it is, and of a revocation at once (I3)."""
    server = make(extensions=Extensions(custom_data=lambda user_id: {"plan": "gold"}))
    async with server:
        tokens = await server.log_in("ann", rotates=False)
        user = await server.verify(tokens.access_token)
        assert (user.user_id, user.custom_data) == (tokens.user_id, {"plan": "gold"})
        assert await server.verify(tokens.access_token.reveal()) == user
        await server.log_in("ann")

        assert await server.revoke_user(user.user_id) == 2
        assert await server.revoke_user(user.user_id) == 0
        assert await server.revoke_user("nobody") == 0

        for text, reason in (
            (tokens.access_token.reveal(), "revoked"),
            (tokens.refresh_token.reveal(), "invalid"),
            ("", "invalid"),
        ):
            with pytest.raises(TokenRefused) as refusal:
                await server.verify(text)
            assert refusal.value.reason == reason
            assert text not in str(refusal.value) or not text


async def test_a_token_whose_end_has_come_is_expired(make: Make) -> None:
    """Its holder may refresh: the reason tells that from a session that has ended."""

    class Clock:
        seconds = 1_700_000_000.0

        def now(self) -> float:
            return self.seconds

        wall = now

    clock = Clock()
    async with make(clock=clock) as server:
        tokens = await server.log_in("ann")
        clock.seconds += tokens.life_ms / 1000 + 2
        with pytest.raises(TokenRefused) as refusal:
            await server.verify(tokens.access_token)
    assert refusal.value.reason == "expired"


async def test_logins_of_the_team_that_are_refused(make: Make) -> None:
    """No id, a kind of session that the app does not open, custom data that cannot be had: each by its error."""

    def fail(_user_id: str) -> None:
        raise ValueError

    async with make(more="non_rotating_sessions = false") as server:
        for own_id in ("", "x" * 256, 7):
            with pytest.raises(InvalidConfig):
                await server.log_in(own_id)  # type: ignore[arg-type]
        with pytest.raises(CredentialsRefused) as refusal:
            await server.log_in("ann", rotates=False)
        assert refusal.value.code == "RotationRequired"
    async with make("other", extensions=Extensions(custom_data=fail)) as server:
        with pytest.raises(ServerBusy):
            await server.log_in("ann")


async def test_the_own_sign_in_sees_the_request(make: Make) -> None:
    """Headers, cookies and what the parent's middleware left; its answer is an id, a mapping, or a refusal."""
    seen: list[HTTPConnection] = []

    async def authenticate(connection: HTTPConnection, payload: Any) -> Any:
        seen.append(connection)
        if payload.get("refuse"):
            message = "the account is closed"
            raise FunctionError(message)
        return {"id": connection.cookies["who"], "from": payload["from"]}

    server = make(authenticate=authenticate)
    async with server, client_of(server, cookies={"who": "ann"}) as client:
        login = await client.post(LOGIN, json={"from": "here", "options": {"rotate": True}})
        refused = await client.post(LOGIN, json={"refuse": True})
        token = Secret(login.json()["access_token"])
        profile = await client.get(f"{BASE}/auth/profile", headers=bearer(token))

    assert profile.json()["data"] == {"from": "here"}
    assert (refused.status_code, refused.json()["error"]) == (401, "the account is closed")
    assert seen[0].headers["host"] == "host"


async def test_a_page_of_another_site_is_not_shown_to_the_own_sign_in(make: Make) -> None:
    """It is answered with 403 before the team's code is asked; logins without it look at no origin."""
    calls: list[Any] = []
    server = make(authenticate=lambda *given: calls.append(given))
    plain = make("plain", extensions=Extensions(custom_login=lambda payload: "ann"))
    evil = {"Origin": "https://evil.example.com"}
    async with server, plain, client_of(server) as one, client_of(plain) as other:
        refused = await one.post(LOGIN, json={}, headers=evil)
        assert (await other.post(LOGIN, json={}, headers=evil)).status_code == 200

    assert (refused.status_code, refused.json()["error_code"]) == (403, "CrossSiteRequest")
    assert calls == []


async def test_two_answers_to_one_login_are_refused(make: Make) -> None:
    """`authenticate` and `custom_login` answer the same login."""
    extensions = Extensions(custom_login=lambda _payload: "x", authenticate=lambda *_: "y")
    with pytest.raises(InvalidConfig) as refusal:
        await make(extensions=extensions).start()
    assert refusal.value.setting == "hooks.authenticate"


async def test_two_servers_share_nothing(make: Make) -> None:
    """A token of one is no token of the other, in the same process."""
    one, other = make("one"), make("other")
    async with one, other:
        tokens = await one.log_in("ann")
        with pytest.raises(TokenRefused):
            await other.verify(tokens.access_token)
