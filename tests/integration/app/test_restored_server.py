"""A real server is put back to a backup: the app hears of it, keeps everything, and works on."""

from __future__ import annotations

import signal
from pathlib import Path

import syncauth
from tests.integration.app.conftest import Start
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes, until
from tests.support.commands import run
from tests.support.processes import EMAIL, PASSWORD, Server


def restore(server: Server, source: Path) -> None:
    """End the server and put the backup in its place."""
    assert server.stop(signal.SIGTERM) == 0
    ended = run("server", "restore", "--data", server.file.parent, "--from", source)
    assert ended.code == 0, ended


async def test_whoever_is_ahead_is_told_and_keeps_everything(
    start: Start, open_app: OpenApp, tmp_path: Path
) -> None:
    """All users log in again; then one is told once and pauses (I1, I11), and the other goes on."""
    server = start()
    ahead, level = await open_app(server.url, "ahead"), await open_app(server.url, "level")
    await ahead.register(EMAIL, PASSWORD)
    one = await open_notes(ahead, await ahead.log_in(ANN))
    one.db["notes"].insert({"id": "1", "title": "in the backup", "body": None})
    await one.wait_uploaded(10)
    other = await open_notes(level, await level.log_in(ANN))
    await other.wait_synced(10)
    await other.aclose()
    backup = tmp_path / "backup.db"
    made = run("server", "backup", "--data", server.file.parent, "--to", backup)
    assert made.code == 0, made
    one.db["notes"].insert({"id": "2", "title": "after the backup", "body": None})
    await one.wait_uploaded(10)
    events = ahead.events()

    restore(server, backup)
    one.db["notes"].insert({"id": "3", "title": "while it is away", "body": None})
    start(port=server.port)

    relogin = await next_event(events, syncauth.ReloginRequired)
    assert relogin.reason is syncauth.ReloginReason.REVOKED
    await ahead.log_in(ANN)
    error = await next_event(events, syncauth.SyncErrorRaised)
    assert (error.code, error.stopped) == ("server_restored", True)
    await until(lambda: syncauth.PauseReason.CLIENT_RESET in one.status.paused)
    one.db["notes"].insert({"id": "4", "title": "and later", "body": None})
    assert [row["id"] for row in one.db["notes"].rows] == ["1", "2", "3", "4"]
    await until(lambda: one.status.pending == 2)

    await level.log_in(ANN)
    user = level.current_user
    assert user is not None
    other = await open_notes(level, user)
    other.db["notes"].insert({"id": "5", "title": "goes on", "body": None})
    await other.wait_uploaded(10)
    await other.wait_synced(10)
    assert [row["id"] for row in other.db["notes"].rows] == ["1", "5"]
    assert other.status.paused == frozenset()


async def test_a_file_that_a_restore_has_replaced_goes_back(
    start: Start, open_app: OpenApp, tmp_path: Path
) -> None:
    """The restore of what a restore had replaced undoes it: the device has nothing that is not there."""
    server = start()
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    backup = tmp_path / "backup.db"
    assert run("server", "backup", "--data", server.file.parent, "--to", backup).code == 0
    replica.db["notes"].insert({"id": "1", "title": "after the backup", "body": None})
    await replica.wait_uploaded(10)
    events = app.events()
    restore(server, backup)
    (replaced,) = server.file.parent.glob("server.db.replaced-*")

    restore(server, replaced)
    start(port=server.port)
    await next_event(events, syncauth.ReloginRequired)
    await app.log_in(ANN)

    replica.db["notes"].insert({"id": "2", "title": "goes on", "body": None})
    await replica.wait_uploaded(10)
    assert replica.status.paused == frozenset()
