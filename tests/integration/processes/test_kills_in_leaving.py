"""Kill -9 at each step of a logout and of a removal: the next start completes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.integration.processes.conftest import Scene
from tests.support.app_bench import until

DURABLE_LOGOUT = ["after_logout", "before_erasing", "after_erasing", "before_revoke"]
REVOKED = ["after_revoke", "before_revocation_done", "after_revocation_done"]
REMOVAL = ["after_removal", "before_files", "before_removal_done", "after_removal_done"]


def waiting(scene: Scene, table: str) -> int:
    """Count what waits in a table of the credential store."""
    connection = sqlite3.connect(scene.directory / "sessions.db")
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    connection.close()
    return int(count)


async def check_no_way_back(scene: Scene) -> None:
    """No token of the user is on the device, and the server has ended the session."""
    await until(lambda: scene.living_sessions() == 0)
    await until(lambda: waiting(scene, "revocations") == 0)
    connection = sqlite3.connect(scene.directory / "sessions.db")
    columns = "data_key, access, refresh, refresh_id"
    for row in connection.execute(f"SELECT {columns} FROM users"):
        assert row == (None, None, None, None)
    connection.close()


async def test_killed_before_a_logout_is_durable(scene: Scene) -> None:
    """What was not committed has not happened: the user is still logged in."""
    killed = scene.logged_in(step="before_logout")
    user = killed.do("who")["current"]
    killed.start("log_out")
    killed.hear_for(happened="reached")
    killed.kill()
    after = scene.open()
    assert after.do("who")["current"] == user
    assert after.do("token")["token"] is not None
    assert scene.living_sessions() == 1


@pytest.mark.parametrize("step", DURABLE_LOGOUT + REVOKED)
async def test_killed_in_a_logout(scene: Scene, step: str) -> None:
    """Once it is durable no login path exists any more, and the revocation arrives by the next start (I8)."""
    killed = scene.logged_in(step=step)
    user = killed.do("who")["current"]
    refresh = killed.do("who")["refresh"]
    killed.start("log_out")
    killed.hear_for(happened="reached", step=step)
    killed.kill()
    assert scene.living_sessions() == (step in DURABLE_LOGOUT)
    after = scene.open()
    who = after.do("who")
    assert (who["users"], who["current"], who["refresh"]) == ([user], None, None)
    after.start("token")
    assert after.finish("token")["error"] == "NotLoggedInError"
    await check_no_way_back(scene)
    assert {seen.token for seen in scene.proxy.revocations} == {refresh}
    assert after.log_in() == user


async def test_killed_in_a_logout_beside_another_one(scene: Scene) -> None:
    """A process that goes on has seen the logout, and the next start revokes (I8)."""
    killed = scene.logged_in(step="before_revoke")
    beside = scene.open()
    user = beside.do("who")["current"]
    killed.start("log_out")
    killed.hear_for(happened="reached")
    killed.kill()
    beside.event("LoggedOut", elsewhere=True)
    assert beside.do("who")["current"] is None
    assert beside.do("who")["users"] == [user]
    scene.open()
    await check_no_way_back(scene)


def write_a_row(scene: Scene) -> tuple[Path, str]:
    """Leave a row in the file of a user who is logged in; returns its path and the user."""
    process = scene.logged_in()
    user = str(process.do("who")["current"])
    path = Path(process.do("open")["path"])
    process.do("insert", key="1")
    process.do("uploaded")
    assert process.close_input() == 0
    assert path.exists()
    return path, user


@pytest.mark.parametrize("step", [*REMOVAL, "before_erasing", "before_revoke", "after_revoke"])
async def test_killed_in_a_removal(scene: Scene, step: str) -> None:
    """Once it is durable the user is gone, and the next start deletes the file and revokes (I8)."""
    path, user = write_a_row(scene)
    killed = scene.open(step=step)
    killed.start("remove")
    killed.hear_for(happened="reached", step=step)
    killed.kill()
    after = scene.open()
    who = after.do("who")
    assert (who["users"], who["current"]) == ([], None)
    left = [each.name for each in path.parent.glob(f"{path.name}*")]
    assert left in ([], [f"{path.name}.lock"])
    assert waiting(scene, "removals") == 0
    await check_no_way_back(scene)
    assert after.log_in() == user


async def test_killed_before_a_removal_is_durable(scene: Scene) -> None:
    """What was not committed has not happened: user, file and rows are there."""
    path, user = write_a_row(scene)
    killed = scene.open(step="before_removal")
    killed.start("remove")
    killed.hear_for(happened="reached")
    killed.kill()
    after = scene.open()
    assert after.do("who")["current"] == user
    assert path.exists()
    assert after.do("token")["token"] is not None


async def test_a_login_overtakes_the_deletion(scene: Scene) -> None:
    """A start that is about to delete the file of one who was removed leaves it if the user is there again (I1)."""
    path, user = write_a_row(scene)
    beside = scene.open()
    killed = scene.open(step="after_removal")
    killed.start("remove")
    killed.hear_for(happened="reached")
    killed.kill()
    deleting = scene.begin(step="before_files")
    deleting.hear_for(happened="reached")
    deleting.wait_stopped()
    beside.event("UserRemoved", elsewhere=True)
    assert beside.log_in() == user
    beside.do("open")
    count = beside.do("insert", key="2")["count"]
    beside.do("close")
    deleting.go_on()
    deleting.wait_ready()
    assert path.exists()
    beside.do("open")
    assert beside.do("insert", key="3")["count"] == count + 1
