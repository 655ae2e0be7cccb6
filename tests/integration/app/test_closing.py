"""A replica that closes leaves nobody waiting and nothing behind, whoever gives up meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
import sqlite_utils

import syncauth
from syncauth.errors import Closed, WaitTimedOut
from tests.support.app_bench import ANN, SECONDS, OpenApp, open_notes
from tests.support.processes import EMAIL, PASSWORD, Server


class SlowWrite:
    """A function for `replica.write` that goes on when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, db: sqlite_utils.Database) -> None:
        db["notes"].insert({"id": "slow", "title": None, "body": None})
        self.begun.set()
        assert self.go_on.wait(SECONDS)


@pytest.fixture
def slow() -> Iterator[SlowWrite]:
    slow = SlowWrite()
    yield slow
    slow.go_on.set()


async def begin(app: syncauth.App) -> syncauth.OpenReplica:
    """Make the account and open its notes, all in step."""
    await app.register(EMAIL, PASSWORD)
    replica = await open_notes(app, await app.log_in(ANN))
    await replica.wait_synced(SECONDS)
    return replica


async def test_closing_ends_the_waits(server: Server, open_app: OpenApp) -> None:
    """What waits for the server ends with `Closed` when the replica closes, though the App stays open."""
    app = await open_app(server.url)
    replica = await begin(app)
    server.stop()
    await replica.write(lambda db: db["notes"].insert({"id": "1", "title": "x", "body": None}))
    async with asyncio.TaskGroup() as group:
        waits = [
            group.create_task(_end(replica.wait_uploaded())),
            group.create_task(_end(replica.wait_uploaded(SECONDS))),
            group.create_task(_end(replica.wait_synced())),
        ]
        with pytest.raises(WaitTimedOut):
            await replica.wait_uploaded(0.01)
        await replica.aclose()

    assert [type(wait.result()) for wait in waits] == [Closed] * 3
    with pytest.raises(Closed):
        await replica.wait_synced()
    assert app.current_user is replica.user


async def _end(wait: object) -> BaseException | None:
    try:
        async with asyncio.timeout(SECONDS):
            await wait  # type: ignore[misc]
    except Closed as error:
        return error
    return None


async def test_a_cancelled_closing_goes_on_and_is_joined(
    server: Server, open_app: OpenApp, slow: SlowWrite
) -> None:
    """Whoever waits for the closing may give up; the next waits for the same end, and the file is free then."""
    app = await open_app(server.url)
    replica = await begin(app)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(replica.write(slow))
        await asyncio.to_thread(slow.begun.wait, SECONDS)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(replica.aclose(), 0.01)
        closing = [group.create_task(replica.aclose()) for _ in range(2)]
        slow.go_on.set()
        await asyncio.wait_for(asyncio.gather(*closing), SECONDS)
        await writing
    again = await open_notes(app, replica.user)

    assert again.db["notes"].count == 1


async def test_the_app_waits_for_a_closing_that_was_given_up(
    server: Server, open_app: OpenApp, slow: SlowWrite
) -> None:
    """When the App is closed every file is free, also that of a replica whose closing nobody waits for."""
    app = await open_app(server.url)
    replica = await begin(app)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(replica.write(slow))
        await asyncio.to_thread(slow.begun.wait, SECONDS)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(replica.aclose(), 0.01)
        closing = group.create_task(app.aclose())
        slow.go_on.set()
        await asyncio.wait_for(closing, SECONDS)
        await writing
    await asyncio.wait_for(replica.aclose(), SECONDS)
    other = await open_app(server.url)
    user = other.current_user
    assert user is not None
    again = await open_notes(other, user)

    assert again.db["notes"].count == 1


async def test_what_is_uploaded_needs_no_time_and_leaves_nothing(
    server: Server, open_app: OpenApp
) -> None:
    """A limit of zero asks whether all is uploaded; no wait leaves a queue in which events gather."""
    app = await open_app(server.url)
    replica = await begin(app)
    await replica.wait_uploaded(0)
    for number in range(3):
        row = {"id": str(number), "title": "x", "body": None}
        await replica.write(lambda db, row=row: db["notes"].insert(row))
        await replica.wait_uploaded(SECONDS)
        await replica.wait_synced(SECONDS)

    assert app._announcer._queues == set()


@pytest.mark.parametrize("turns", range(6))
async def test_closing_ends_whatever_comes_with_it(open_app: OpenApp, turns: int) -> None:
    """An input that arrives just before, or in the same turn of the loop, keeps nothing going."""
    app = await open_app("http://127.0.0.1:9")
    for _ in range(3):
        await asyncio.sleep(0)
    app.network_changed()
    for _ in range(turns):
        await asyncio.sleep(0)
    (runner,) = [task for task in asyncio.all_tasks() if "Driver.run" in repr(task)]
    runner.cancel()
    done, _ = await asyncio.wait([runner], timeout=2)
    assert done == {runner}
