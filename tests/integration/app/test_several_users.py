"""Several users on one device: who is current, who is switched, removed and deleted, and what their handles say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import syncauth
from syncauth import SessionState
from syncauth.errors import (
    ChangesPending,
    CredentialsRefused,
    NotLoggedInError,
    UserRemovedError,
    WaitTimedOut,
)
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server

BOB = syncauth.Credentials.email_password("other@example.com", PASSWORD)
NOTE = {"id": "1", "title": "mine", "body": None}


async def two_users(app: syncauth.App) -> tuple[syncauth.User, syncauth.User]:
    """Make two accounts and log both in; the second one is current."""
    await app.register(EMAIL, PASSWORD)
    await app.register("other@example.com", PASSWORD)
    return await app.log_in(ANN), await app.log_in(BOB)


async def test_many_are_logged_in_and_one_is_current(server: Server, open_app: OpenApp) -> None:
    """Switching needs no login, is told, and outlives a restart."""
    app = await open_app(server.url)
    ann, bob = await two_users(app)
    events = app.events()
    assert (set(app.users), app.current_user) == ({ann, bob}, bob)
    await app.switch_user(ann)
    switched = await next_event(events, syncauth.UserSwitched)
    assert (switched.user_id, switched.previous) == (ann.id, bob.id)
    assert app.current_user is ann
    await app.aclose()
    again = await open_app(server.url)
    current = again.current_user
    assert current is not None
    assert (current.id, len(again.users)) == (ann.id, 2)


async def test_a_logout_of_the_current_user_makes_another_one_current(
    server: Server, open_app: OpenApp
) -> None:
    """As long as anybody is logged in somebody is current; who logged out cannot be switched to."""
    app = await open_app(server.url)
    ann, bob = await two_users(app)
    await app.log_out()
    assert (app.current_user, bob.state) == (ann, SessionState.LOGGED_OUT)
    with pytest.raises(NotLoggedInError):
        await app.switch_user(bob)
    await app.log_out()
    assert app.current_user is None
    assert set(app.users) == {ann, bob}


async def test_the_same_id_is_the_same_user_and_its_replica_wakes(
    server: Server, open_app: OpenApp
) -> None:
    """A new login of a user who logged out goes on with the handles that are there (I6)."""
    app = await open_app(server.url)
    ann, _ = await two_users(app)
    replica = await open_notes(app, ann)
    await app.log_out(ann)
    replica.db["notes"].insert(NOTE)
    assert await app.log_in(ANN) is ann
    await replica.wait_uploaded(10)


async def test_a_removed_user_is_dead_and_its_rows_are_gone(
    server: Server, open_app: OpenApp
) -> None:
    """Every verb says so, the file is deleted, and a new login makes a new user (I12)."""
    app = await open_app(server.url)
    ann, bob = await two_users(app)
    replica = await open_notes(app, ann)
    replica.db["notes"].insert(NOTE)
    await replica.wait_uploaded(10)
    path = replica.path
    await app.remove_user(ann)
    assert (ann.removed, ann.state, app.users) == (True, SessionState.LOGGED_OUT, (bob,))
    assert not os.path.exists(path)  # noqa: PTH110, ASYNC240 - a look, in a test
    for verb in (ann.valid_access_token, ann.refresh_custom_user_data, ann.refresh_profile):
        with pytest.raises(UserRemovedError):
            await verb()
    with pytest.raises(UserRemovedError):
        await app.remove_user(ann)
    with pytest.raises(UserRemovedError):
        _ = ann.profile
    again = await app.log_in(ANN)
    assert again is not ann
    assert again.id == ann.id
    fresh = await open_notes(app, again)
    await fresh.wait_synced(10)
    assert fresh.db["notes"].count == 1
    assert ann.removed


async def test_a_removal_loses_only_what_is_said_to_be_lost(
    server: Server, open_app: OpenApp
) -> None:
    """Unsent changes are counted to the caller first (I1)."""
    app = await open_app(server.url)
    ann, _ = await two_users(app)
    replica = await open_notes(app, ann)
    await replica.wait_synced(10)
    await app.log_out(ann)
    replica.db["notes"].insert(NOTE)
    with pytest.raises(ChangesPending) as refused:
        await app.remove_user(ann)
    assert refused.value.pending == 1
    assert not ann.removed
    await app.remove_user(ann, discard=1)
    assert ann.removed


async def test_a_deleted_user_is_deleted_at_the_server(server: Server, open_app: OpenApp) -> None:
    """Afterwards nobody can log in as that user."""
    app = await open_app(server.url)
    ann, bob = await two_users(app)
    await app.delete_user(ann)
    assert (ann.removed, app.users) == (True, (bob,))
    with pytest.raises(CredentialsRefused):
        await app.log_in(ANN)


async def test_an_anonymous_user_is_taken_again(server: Server, open_app: OpenApp) -> None:
    """It is the same one without the network, until it is linked; linking keeps its id and rows."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    guest = await app.log_in(syncauth.Credentials.anonymous())
    assert await app.log_in(syncauth.Credentials.anonymous()) is guest
    replica = await open_notes(app, guest)
    replica.db["notes"].insert(NOTE)
    await guest.link(ANN)
    assert {each.provider_type for each in guest.profile.identities} == {
        "anon-user",
        "local-userpass",
    }
    assert await app.log_in(syncauth.Credentials.anonymous()) is not guest
    assert await app.log_in(ANN) is guest
    await replica.wait_uploaded(10)


async def test_a_logout_can_upload_first_export_and_discard(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """What is not uploaded in time stays, with the user logged in; what is exported can be read by anybody."""
    app = await open_app(server.url)
    ann, _ = await two_users(app)
    replica = await open_notes(app, ann)
    replica.db["notes"].insert(NOTE)
    await app.log_out(ann, upload_first=True, timeout=10)
    replica.db["notes"].insert({**NOTE, "id": "2"})
    await app.log_in(ANN)
    server.kill()
    await until(lambda: replica.status.connection is not syncauth.ConnectionState.LIVE)
    replica.db["notes"].insert({**NOTE, "id": "3"})
    with pytest.raises(WaitTimedOut):
        await app.log_out(ann, upload_first=True, timeout=0.1)
    assert ann.state is not SessionState.LOGGED_OUT
    pending = replica.status.pending
    path = replica.path
    with pytest.raises(ChangesPending):
        await app.log_out(ann, discard=99)
    await app.log_out(ann, export=tmp_path / "unsent.db", discard=pending)
    assert not os.path.exists(path)  # noqa: PTH110, ASYNC240 - a look, in a test
    assert (tmp_path / "unsent.db").stat().st_size > 0


async def test_what_a_guest_wrote_becomes_a_user_s(server: Server, open_app: OpenApp) -> None:
    """Rows written before the first login ever are adopted once, and sent as the user's (I1, I12)."""
    table = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT)"
    app = await open_app(server.url)
    guest = await app.open_guest_replica(tables=["notes"], create=table)
    guest.db["notes"].insert(NOTE)
    ann, bob = await two_users(app)
    hers = await open_notes(app, ann)
    counts = await ann.adopt()
    assert counts["notes"].adopted == 1
    await hers.wait_uploaded(10)
    assert (await ann.adopt())["notes"].adopted == 1  # the same once more, and nothing new
    await open_notes(app, bob)
    with pytest.raises(syncauth.SyncAuthError):
        await bob.adopt()
    assert hers.db["notes"].count == 1


async def test_moves_of_sessions_are_kept(server: Server, open_app: OpenApp) -> None:
    """The history survives a restart, names triggers and holds no token (I10)."""
    app = await open_app(server.url)
    ann, _ = await two_users(app)
    token = ann.access_token
    assert token is not None
    await ann.refresh_custom_user_data()
    await app.log_out(ann)
    await app.aclose()
    again = await open_app(server.url)
    moves = [move for move in again.history() if move.user_id == ann.id]
    assert [move.trigger for move in moves] == [
        "log_in",
        "refresh_requested",
        "tokens_renewed",
        "log_out",
    ]
    assert token.reveal() not in repr(moves)
