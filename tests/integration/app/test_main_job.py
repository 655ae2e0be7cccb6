"""The main job between real processes: write, sync, be asked to log in, write on, log in, be replayed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

import syncauth
from syncauth import SessionState, blocking
from tests.integration.app.conftest import Start
from tests.support.app_bench import ANN, TABLE, OpenApp, next_event, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server

SHORT = "[lifetimes]\naccess_seconds = 2\nrefresh_seconds = 4\n"


async def test_what_one_device_writes_reaches_the_other(server: Server, open_app: OpenApp) -> None:
    """Two devices of one user hold the same rows when both are in step (I9)."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    here = await open_notes(one, await one.log_in(ANN))
    there = await open_notes(other, await other.log_in(ANN))
    await here.write(lambda db: db["notes"].insert({"id": "1", "title": "a", "body": "b"}))
    await here.wait_uploaded(10)
    await there.wait_synced(10)
    assert list(there.db["notes"].rows) == [{"id": "1", "title": "a", "body": "b"}]
    there.db["notes"].update("1", {"title": "edited there"})
    await there.wait_uploaded(10)
    await here.wait_synced(10)
    assert here.db["notes"].get("1")["title"] == "edited there"
    assert here.status.pending == there.status.pending == 0


@pytest.mark.timeout(90)
async def test_the_end_of_the_refresh_token_pauses_and_a_login_replays(
    start: Start, open_app: OpenApp
) -> None:
    """The hook is called once, after sync has stopped (I5); writes go on (I11); login replays (I1, I6)."""
    server = start(SHORT)
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    calls: list[tuple[str, bool, int]] = []
    replica = await open_notes(app, await app.log_in(ANN))

    @app.on_relogin_required
    async def relogin(event: syncauth.ReloginRequired) -> None:
        stopped = replica.status.connection is syncauth.ConnectionState.PAUSED
        calls.append((event.reason.value, stopped, event.changes_pending))

    await until(lambda: bool(calls))
    assert replica.status.session is SessionState.REFRESH_EXPIRED
    for number in range(50):
        replica.db["notes"].insert({"id": str(number), "title": "offline", "body": None})
    app.request_relogin()
    await until(lambda: len(calls) == 2)
    assert [(reason, stopped) for reason, stopped, _ in calls] == [("expired", True)] * 2
    user = await app.log_in(ANN)
    assert user is replica.user
    await replica.wait_uploaded(20)
    other = await open_app(server.url, "other")
    there = await open_notes(other, await other.log_in(ANN))
    await there.wait_synced(20)
    assert there.db["notes"].count == 50


def revoke_from_another_process(url: str, refresh_token: str) -> None:
    """End a session by the API, in a program that knows nothing of syncauth."""
    program = (
        "import sys, urllib.request as web; url, token = sys.stdin.read().split();"
        " head = {'Authorization': 'Bearer ' + token};"
        " path = '/api/client/v2.0/auth/session';"
        " web.urlopen(web.Request(url + path, method='DELETE', headers=head), timeout=10)"
    )
    given = f"{url}\n{refresh_token}"
    subprocess.run([sys.executable, "-c", program], input=given, text=True, timeout=30, check=True)


async def test_a_session_revoked_elsewhere_asks_for_a_login(
    server: Server, open_app: OpenApp
) -> None:
    """DELETE /auth/session from another process reaches the open socket and ends in the hook."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    reasons: list[str] = []
    app.on_relogin_required(lambda event: reasons.append(event.reason.value))
    replica = await open_notes(app, await app.log_in(ANN))
    await replica.wait_synced(10)
    ((_, _, tokens),) = [(a.user_id, a.epoch, a.tokens) for a in app.driver.engine.accounts()]
    assert tokens is not None
    await asyncio.to_thread(revoke_from_another_process, server.url, tokens.refresh.reveal())
    await until(lambda: reasons == ["revoked"])
    assert app.current_user is replica.user
    assert replica.user.state is SessionState.REFRESH_EXPIRED


async def test_a_restart_offline_knows_the_user_and_works(start: Start, open_app: OpenApp) -> None:
    """Without any server the file opens, rows are read and written, and later everything is sent."""
    server = start()
    async with await _app(server.url, open_app) as app:
        await app.register(EMAIL, PASSWORD)
        replica = await open_notes(app, await app.log_in(ANN))
        replica.db["notes"].insert({"id": "1", "title": "online", "body": None})
        await replica.wait_uploaded(10)
    server.stop()
    again = await open_app(server.url)
    user = again.current_user
    assert user is not None
    replica = await open_notes(again, user)
    replica.db["notes"].insert({"id": "2", "title": "offline", "body": None})
    with pytest.raises(syncauth.SyncAuthError, match="waiting"):
        await replica.wait_uploaded(0.05)
    start(port=server.port)
    again.network_changed()
    await replica.wait_uploaded(20)


async def _app(url: str, open_app: OpenApp) -> syncauth.App:
    """Return an App that is not open yet, for a block that closes it before the test ends."""
    opened = await open_app(url)
    settings = opened.config
    await opened.aclose()
    return syncauth.App(
        settings.base_url,
        app_id=settings.app_id,
        data_dir=Path(settings.data_dir),
        key_storage="file",
    )


async def test_uploaded_and_caught_up_are_told(server: Server, open_app: OpenApp) -> None:
    """Events come in order, each after it is durable."""
    app = await open_app(server.url)
    events = app.events()
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    await next_event(events, syncauth.SessionChanged, after=SessionState.ACTIVE)
    await next_event(events, syncauth.ConnectionChanged, after=syncauth.ConnectionState.LIVE)
    replica.db["notes"].insert({"id": "1", "title": "x", "body": None})
    await next_event(events, syncauth.Uploaded)
    assert replica.status.pending == 0


async def test_the_hook_may_close_the_app(start: Start, open_app: OpenApp) -> None:
    """A handler that gives up closes everything, and the data directory is free again."""
    server = start(SHORT)
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    closed = asyncio.Event()

    @app.on_relogin_required
    async def give_up(event: syncauth.ReloginRequired) -> None:
        await app.aclose()
        closed.set()

    await open_notes(app, await app.log_in(ANN))
    await asyncio.wait_for(closed.wait(), 20)
    again = await open_app(server.url)
    assert again.current_user is not None


def test_a_program_without_a_loop_does_the_same(server: Server, tmp_path: Path) -> None:
    """`blocking.App`: the same verbs without await, from the main thread."""
    with blocking.App(
        server.url, app_id="test", data_dir=tmp_path / "b", key_storage="file"
    ) as app:
        app.register(EMAIL, PASSWORD)
        user = app.log_in(ANN)
        replica = app.open_replica(user, tables=["notes"], create=TABLE)
        replica.db["notes"].insert({"id": syncauth.new_id(), "title": "x", "body": None})
        replica.write(lambda db: db["notes"].insert({"id": "2", "title": "y", "body": None}))
        replica.wait_uploaded(10)
        assert replica.status.pending == 0
        replica.wait_synced(10)
        assert app.current_user is not None
