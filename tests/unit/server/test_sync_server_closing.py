"""The end of an embedded server that meets its start, another end, or a caller that is cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from syncauth.server.upkeep.holding import hold_alone
from tests.support.embedding.in_process import Make, client_of, maker


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a server that is not started."""
    return maker(tmp_path)


async def test_what_was_asked_for_last_holds(make: Make) -> None:
    """A close that was asked for after a start closes, and a request does not open the file again."""
    server = make()
    async with client_of(server) as client:
        await server.start()
        gate = server.operations.gate
        gate.enter()  # so that the end takes a while
        async with asyncio.TaskGroup() as tasks:
            for step in (server.aclose, server.start, server.aclose):
                tasks.create_task(step())
                await asyncio.sleep(0)
            gate.leave()

        assert (await client.get("/healthz")).status_code == 503


async def test_an_end_that_is_cancelled_closes_all_the_same(make: Make, tmp_path: Path) -> None:
    """Who does not want to wait for the devices any longer has the file closed and the directory free."""
    server = make(more="[drain]\nseconds = 60\n")
    await server.start()
    server.operations.gate.enter()  # a request that never ends
    async with asyncio.TaskGroup() as tasks:
        closing = tasks.create_task(server.aclose())
        await asyncio.sleep(0)
        closing.cancel()

    assert closing.cancelled()
    with hold_alone(tmp_path / "data"):
        pass
    async with server, client_of(server) as client:
        assert (await client.get("/healthz")).status_code == 200
