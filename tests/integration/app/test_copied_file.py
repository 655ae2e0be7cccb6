"""A file that was copied or restored is told from a lost answer: a clear error, and everything is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import syncauth
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server


@pytest.mark.parametrize("written", [True, False])
async def test_a_copy_that_is_put_back_stops_sync_and_loses_nothing(
    server: Server,
    open_app: OpenApp,
    tmp_path: Path,
    written: bool,
) -> None:
    """Copy the file, sync, put the copy back, write, sync: numbers are never used twice (I2, I14)."""
    app = await open_app(server.url)
    events = app.events()
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    replica.db["notes"].insert({"id": "1", "title": "before the copy", "body": None})
    await replica.wait_uploaded(10)
    path = replica.path
    await replica.aclose()
    shutil.copy(path, tmp_path / "copy.db")

    replica = await open_notes(app, user)
    replica.db["notes"].insert({"id": "2", "title": "after the copy", "body": None})
    await replica.wait_uploaded(10)
    await replica.aclose()

    shutil.copy(tmp_path / "copy.db", path)
    replica = await open_notes(app, user)
    if written:
        replica.db["notes"].insert({"id": "3", "title": "in the copy", "body": None})
    error = await next_event(events, syncauth.SyncErrorRaised)
    assert error.code in ("file_behind", "digest_mismatch")
    assert error.stopped
    await until(lambda: syncauth.PauseReason.CLIENT_RESET in replica.status.paused)
    kept = {row["id"] for row in replica.db["notes"].rows}
    assert kept == ({"1", "3"} if written else {"1"})

    other = await open_app(server.url, "other")
    there = await open_notes(other, await other.log_in(ANN))
    await there.wait_synced(10)
    assert {row["id"] for row in there.db["notes"].rows} == {"1", "2"}


async def test_a_copy_beside_the_living_file_is_refused(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """The file that is connected shows that it lives, and goes on; its copy stops and keeps everything."""
    app, other = await open_app(server.url), await open_app(server.url, "other")
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    replica.db["notes"].insert({"id": "1", "title": "before the copy", "body": None})
    await replica.wait_uploaded(10)
    await replica.aclose()
    elsewhere = await open_notes(other, await other.log_in(ANN))
    await elsewhere.aclose()
    shutil.copy(replica.path, elsewhere.path)

    replica = await open_notes(app, user)
    await replica.wait_synced(10)
    events = other.events()
    copy = await open_notes(other, await other.log_in(ANN))
    error = await next_event(events, syncauth.SyncErrorRaised)

    assert (error.code, error.stopped) == ("copied_file", True)
    assert {row["id"] for row in copy.db["notes"].rows} == {"1"}
    replica.db["notes"].insert({"id": "2", "title": "it goes on", "body": None})
    await replica.wait_uploaded(10)
    assert replica.status.paused == frozenset()
