"""Users who are removed while much else is going on: whoever called gets an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import syncauth
from syncauth import ConnectionState
from tests.integration.app.conftest import Start
from tests.support.app_bench import ANN, SECONDS, OpenApp, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server


async def test_a_user_is_removed_offline_with_its_replica_open(
    start: Start, open_app: OpenApp, tmp_path: Path
) -> None:
    """There is no socket whose end could be waited for; the call returns and the file is gone."""
    server = start()
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    await replica.wait_synced(SECONDS)
    server.kill()
    await until(lambda: replica.status.connection is ConnectionState.BACKING_OFF)
    async with asyncio.timeout(SECONDS):
        await app.remove_user(user)

    assert user.removed
    assert not list((tmp_path / "device").rglob(Path(replica.path).name))
    assert app.users == ()


async def test_two_apps_lose_the_same_user_at_the_same_moment(
    server: Server, open_app: OpenApp
) -> None:
    """Whoever comes second has nothing left to do, and goes on working."""
    one, two = await open_app(server.url), await open_app(server.url)
    await one.register(EMAIL, PASSWORD)
    await one.log_in(ANN)
    await until(lambda: len(two.users) == 1)
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(one.remove_user(one.users[0]), two.log_out(two.users[0]))
    await until(lambda: two.users == ())
    again = await two.log_in(ANN)

    assert again.state is syncauth.SessionState.ACTIVE
    await until(lambda: [each.id for each in one.users] == [again.id])
