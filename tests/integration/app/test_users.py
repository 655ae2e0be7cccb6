"""Who is logged in, what a logout leaves, and who sees what on one device."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

import syncauth
from syncauth import SessionState
from syncauth.config import AppConfig
from syncauth.errors import (
    AccountNameInUse,
    Closed,
    CredentialsRefused,
    NotLoggedInError,
    NotSupported,
)
from syncauth.parts import open_parts
from tests.support.app_bench import ANN, OpenApp, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server

BOB = syncauth.Credentials.email_password("other@example.com", PASSWORD)


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_wrong_password_and_unknown_user_look_alike(
    server: Server, open_app: OpenApp, email: str
) -> None:
    """Both are refused in the same words, and nothing has changed."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    with pytest.raises(CredentialsRefused) as refused:
        await app.log_in(syncauth.Credentials.email_password(email, "wrong password"))
    assert refused.value.code == "InvalidPassword"
    assert PASSWORD not in repr(refused.value)
    assert app.current_user is None


async def test_a_name_is_taken_once(server: Server, open_app: OpenApp) -> None:
    """Registering again says so, whatever the password."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    with pytest.raises(AccountNameInUse):
        await app.register(EMAIL, "another password")


async def test_an_app_whose_provider_makes_no_accounts_says_so(
    server: Server, tmp_path: Path
) -> None:
    """The error says where an account is made; nothing else is amiss."""
    config = AppConfig(server.url, "test", tmp_path / "device", key_storage="memory")
    parts = replace(await open_parts(config, None, None), accounts=None)
    async with syncauth.App(
        server.url, app_id="test", data_dir=config.data_dir, parts=parts
    ) as app:
        with pytest.raises(NotSupported) as refused:
            await app.register(EMAIL, PASSWORD)
        assert refused.value.remedy
        assert app.current_user is None


async def test_anonymous_users_are_users(server: Server, open_app: OpenApp) -> None:
    """They sync like all others, and two logins are two users."""
    app = await open_app(server.url)
    one = await app.log_in(syncauth.Credentials.anonymous())
    replica = await open_notes(app, one)
    replica.db["notes"].insert({"id": "1", "title": "mine", "body": None})
    await replica.wait_uploaded(10)
    other = await app.log_in(syncauth.Credentials.anonymous(reuse=False))
    assert other.id != one.id
    assert app.current_user is other


async def test_a_logout_erases_and_revokes(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """No token of the user opens a session again (I8); rows and unsent changes stay in the file."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    await replica.wait_synced(10)
    (account,) = app.driver.engine.accounts()
    assert account.tokens is not None
    refresh = account.tokens.refresh
    await app.log_out()
    assert user.state is SessionState.LOGGED_OUT
    assert app.current_user is None
    replica.db["notes"].insert({"id": "1", "title": "after", "body": None})
    headers = {"Authorization": f"Bearer {refresh.reveal()}"}
    address = f"{server.url}/api/client/v2.0/auth/session"

    def revoked() -> bool:
        return httpx.post(address, headers=headers).status_code == 401

    await until(revoked)
    for path in (tmp_path / "device").glob("sessions*"):
        assert refresh.reveal().encode() not in path.read_bytes()
    with pytest.raises(NotLoggedInError):
        await app.log_out()
    await app.log_in(ANN)
    await replica.wait_uploaded(10)


async def test_another_user_sees_nothing_of_the_first_one_s_rows(
    server: Server, open_app: OpenApp
) -> None:
    """Each has a file of its own; the first one's unsent changes wait for the first one (I12)."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    await app.register("other@example.com", PASSWORD)
    ann = await app.log_in(ANN)
    hers = await open_notes(app, ann)
    await hers.wait_synced(10)
    await app.log_out()
    hers.db["notes"].insert({"id": "1", "title": "unsent", "body": None})
    bob = await app.log_in(BOB)
    his = await open_notes(app, bob)
    await his.wait_synced(10)
    assert his.path != hers.path
    assert his.db["notes"].count == 0
    rows = sqlite3.connect(server.file).execute("SELECT count(*) FROM notes").fetchone()
    assert rows == (0,)
    await app.log_in(ANN)
    await hers.wait_uploaded(10)
    await his.wait_synced(10)
    assert his.db["notes"].count == 0


async def test_what_is_closed_says_so(server: Server, open_app: OpenApp) -> None:
    """Every verb of a closed App or replica raises `Closed` with a remedy; closing again does nothing."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    await replica.aclose()
    await replica.aclose()
    with pytest.raises(Closed):
        _ = replica.db
    with pytest.raises(Closed):
        await replica.wait_synced(1)
    await app.aclose()
    await app.aclose()
    with pytest.raises(Closed):
        await app.open()
