"""Users, tokens and files of programs without asyncio: the same verbs, waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import syncauth
from syncauth import SessionState, blocking
from syncauth.errors import Closed, UserRemovedError
from tests.support.app_bench import ANN, SECONDS, TABLE
from tests.support.processes import EMAIL, PASSWORD, Server

NOTE = {"id": "1", "title": "x", "body": None}


@pytest.fixture
def app(server: Server, tmp_path: Path) -> Iterator[blocking.App]:
    """An open App with one account."""
    settings = {"app_id": "test", "data_dir": tmp_path / "device", "key_storage": "file"}
    with blocking.App(server.url, **settings) as app:
        app.email_password.register(EMAIL, PASSWORD)
        yield app


def test_users_are_switched_and_removed(app: blocking.App) -> None:
    """The same id is the same handle; one that was removed is dead."""
    ann = app.log_in(ANN)
    other = app.log_in(syncauth.Credentials.anonymous())
    assert (app.current_user, set(app.users)) == (other, {ann, other})
    app.switch_user(ann)
    assert app.current_user is ann
    app.remove_user(other)
    assert (other.removed, app.users) == (True, (ann,))
    with pytest.raises(UserRemovedError):
        other.valid_access_token()
    app.log_out(ann)
    assert ann.state is SessionState.LOGGED_OUT
    assert [move.trigger for move in app.history(ann)] == ["log_in", "log_out"]


def test_threads_share_one_refresh(app: blocking.App) -> None:
    """I4: twenty threads with the same dead token get the same new one."""
    user = app.log_in(ANN)
    dead, found = user.access_token, []
    threads = [
        threading.Thread(target=lambda: found.append(user.valid_access_token(dead)))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert (len(found), len(set(found))) == (20, 1)
    assert found[0] == user.access_token != dead


def test_requests_of_the_app_bear_the_token(app: blocking.App, server: Server) -> None:
    """A client in any thread does, and asynchronous ones in loops of their own."""
    user = app.log_in(ANN)
    address = f"{server.url}/api/client/v2.0/auth/profile"
    with httpx.Client(auth=user.http_auth()) as client:
        assert client.get(address).json()["user_id"] == user.id
    assert "Authorization" in user.http_headers().headers_now(address)
    assert user.refresh_profile().identities == user.profile.identities
    assert user.refresh_custom_user_data() == user.custom_data


def test_the_guest_s_rows_are_adopted(app: blocking.App) -> None:
    """What was written before the login is sent as the user's."""
    guest = app.open_guest_replica(tables=["notes"], create=TABLE)
    guest.db["notes"].insert(NOTE)
    user = app.log_in(ANN)
    replica = app.open_replica(user, tables=["notes"], create=TABLE)
    assert user.adopt()["notes"].adopted == 1
    replica.wait_uploaded(SECONDS)
    with pytest.raises(Closed):
        guest.dead_letters()
