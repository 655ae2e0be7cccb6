"""A user's tokens against the real server: renewed for every operation, together, and never shown."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import syncauth
from syncauth import SessionState
from syncauth.errors import (
    FunctionFailed,
    NotLoggedInError,
    ReloginRequiredError,
    TokenUnavailableError,
)
from tests.support.app_bench import ANN, SERVER_SCHEMA, OpenApp, next_event, until
from tests.support.bearer_server import serving
from tests.support.processes import EMAIL, PASSWORD, Server, configure

TEAM = """
def add(context, *numbers): return sum(numbers)
def who(context): return context.user_id
"""
SETTINGS = """
[functions]
add = "team:add"
who = "team:who"
[custom_data]
query = "SELECT level AS level FROM levels WHERE user_id = :user_id"
"""
LEVELS = "CREATE TABLE IF NOT EXISTS levels (user_id TEXT PRIMARY KEY NOT NULL, level INTEGER);"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serve with functions and custom data."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "team.py").write_text(TEAM)
    configure(folder, SERVER_SCHEMA + LEVELS, f"[tables.notes]\n{SETTINGS}")
    with ExitStack() as stack:
        yield stack.enter_context(Server(folder))


async def logged_in(app: syncauth.App) -> syncauth.User:
    """Make an account and log in."""
    await app.register(EMAIL, PASSWORD)
    return await app.log_in(ANN)


async def test_custom_data_comes_with_a_renewed_token(server: Server, open_app: OpenApp) -> None:
    """What changed at the server is there after `refresh_custom_user_data`, and not before."""
    user = await logged_in(await open_app(server.url))
    assert user.custom_data.get("level") is None
    with sqlite3.connect(server.file) as database:
        database.execute("INSERT INTO levels VALUES (?, 7)", (user.id,))
    database.close()
    before = user.access_token
    assert (await user.refresh_custom_user_data())["level"] == 7
    assert user.custom_data["level"] == 7
    assert user.access_token != before


async def test_functions_are_called_as_the_user(server: Server, open_app: OpenApp) -> None:
    """Arguments and results travel; what the server does not have is a typed error."""
    user = await logged_in(await open_app(server.url))
    assert await user.functions.call("add", 1, 2) == 3
    assert await user.functions.call("who") == user.id
    with pytest.raises(FunctionFailed) as failed:
        await user.functions.call("nothing")
    assert failed.value.name == "nothing"


async def test_a_dead_token_is_renewed_once_for_all(server: Server, open_app: OpenApp) -> None:
    """I4: a hundred who hold the same dead token get the same new one, by one refresh."""
    app = await open_app(server.url)
    user = await logged_in(app)
    dead, events = user.access_token, app.events()
    found = await asyncio.gather(*(user.valid_access_token(dead) for _ in range(100)))
    assert len(set(found)) == 1
    assert found[0] != dead
    await app.aclose()
    renewals = [event async for event in events if isinstance(event, syncauth.TokensRenewed)]
    assert len(renewals) == 1


async def test_no_token_without_a_server(server: Server, open_app: OpenApp) -> None:
    """Who needs a new one is told when it is tried again; nobody waits through a back-off (I11)."""
    app = await open_app(server.url)
    user = await logged_in(app)
    token = user.access_token
    server.kill()
    with pytest.raises(TokenUnavailableError) as refused:
        await user.valid_access_token(token)
    assert (refused.value.online, user.state) == (False, SessionState.REFRESHING)
    assert refused.value.retry_at is not None
    async with asyncio.timeout(0.5):
        with pytest.raises(TokenUnavailableError):
            await user.valid_access_token()


async def test_after_the_end_there_is_none(server: Server, open_app: OpenApp) -> None:
    """A session that ended says so to whoever asks, with its reason; so does one that logged out."""
    app = await open_app(server.url)
    user = await logged_in(app)
    refresh, events = user.refresh_token, app.events()
    assert refresh is not None
    headers = {"Authorization": f"Bearer {refresh.reveal()}"}
    async with httpx.AsyncClient() as client:
        await client.delete(f"{server.url}/api/client/v2.0/auth/session", headers=headers)
    with pytest.raises(ReloginRequiredError) as ended:
        await user.functions.call("who")
    assert ended.value.reason == "revoked"
    told = await next_event(events, syncauth.ReloginRequired)
    assert told.reason is syncauth.ReloginReason.REVOKED
    assert (user.access_token, user.refresh_token, user.custom_data) == (None, None, {})
    await app.log_out(user)
    with pytest.raises(NotLoggedInError):
        await user.valid_access_token()


async def test_the_app_s_own_requests_share_the_refresh(server: Server, open_app: OpenApp) -> None:
    """A client of the app's with a dead token is renewed and repeated; others get no token (I10)."""
    app = await open_app(server.url)
    user = await logged_in(app)
    address = f"{server.url}/api/client/v2.0/auth/profile"
    async with httpx.AsyncClient(auth=user.http_auth()) as client:
        assert (await client.get(address)).json()["user_id"] == user.id
    async with httpx.AsyncClient(
        auth=user.http_auth(origins=["https://api.example.com"])
    ) as client:
        assert (await client.get(address)).status_code == 401

    def blocking() -> str:
        with httpx.Client(auth=user.http_auth()) as client:
            return str(client.get(address).json()["user_id"])

    assert await asyncio.to_thread(blocking) == user.id
    assert await asyncio.to_thread(user.valid_access_token_now) == user.access_token


class AllBut:
    """Takes every header that bears a token, but this one."""

    def __init__(self, dead: str) -> None:
        self._dead = dead

    def __contains__(self, shown: object) -> bool:
        return isinstance(shown, str) and shown != self._dead


async def test_a_thousand_requests_with_a_dead_token_cause_one_refresh(
    server: Server, open_app: OpenApp
) -> None:
    """I4: a service that does not take the token any more sees each request twice at most, and one new token."""
    app = await open_app(server.url)
    user = await logged_in(app)
    dead, events = user.access_token, app.events()
    assert dead is not None
    few = httpx.Limits(max_connections=5)  # the pools take their time with hundreds that wait
    async with contextlib.AsyncExitStack() as stack:
        service: Any = stack.enter_context(serving())
        service.takes = AllBut(f"Bearer {dead.reveal()}")
        auth = user.http_auth(origins=[service.url])
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(auth=auth, timeout=60, limits=few))
            for _ in range(20)
        ]
        answers = await asyncio.gather(
            *(client.get(service.url) for client in clients for _ in range(50))
        )
        shown = service.count()
    assert {answer.status_code for answer in answers} == {200}
    assert len(shown) == 2
    assert shown.pop(f"Bearer {dead.reveal()}") <= 1000
    assert list(shown.values()) == [1000]
    await app.aclose()
    renewals = [event async for event in events if isinstance(event, syncauth.TokensRenewed)]
    assert len(renewals) == 1


async def test_another_loop_may_ask_for_tokens(server: Server, open_app: OpenApp) -> None:
    """The verb goes to the App's loop, whichever loop awaits it."""
    user = await logged_in(await open_app(server.url))
    token = await asyncio.to_thread(lambda: asyncio.run(user.valid_access_token(user.access_token)))
    assert token == user.access_token


async def test_keys_log_programs_in(server: Server, open_app: OpenApp) -> None:
    """A key is told once, logs its user in, and no more when it is disabled or deleted."""
    app = await open_app(server.url)
    user = await logged_in(app)
    made = await user.api_keys.create("kiosk")
    assert made.key is not None
    assert made.key.reveal() not in repr(made)
    assert [each.key for each in await user.api_keys.fetch_all()] == [None]
    kiosk = await open_app(server.url, "kiosk")
    again = await kiosk.log_in(syncauth.Credentials.api_key(made.key.reveal()))
    assert again.id == user.id
    await user.api_keys.disable(made.id)
    with pytest.raises(syncauth.SyncAuthError):
        await kiosk.log_in(syncauth.Credentials.api_key(made.key.reveal()))
    await user.api_keys.enable(made.id)
    await user.api_keys.delete(made.id)
    assert not await user.api_keys.fetch_all()


async def test_the_end_of_a_session_is_told_before(open_app: OpenApp, tmp_path: Path) -> None:
    """`on_session_expiring` is called once, at half of a short life."""
    folder = tmp_path / "short"
    configure(folder, SERVER_SCHEMA, "[tables.notes]", "[lifetimes]\nrefresh_seconds = 2\n")
    with Server(folder) as short:
        app = await open_app(short.url)
        told: list[syncauth.SessionExpiring] = []
        app.on_session_expiring(told.append)
        user = await logged_in(app)
        await until(lambda: bool(told))
        assert told[0].user_id == user.id
