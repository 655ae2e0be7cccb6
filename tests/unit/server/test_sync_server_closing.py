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
        server.operations.gate.enter()  # so that the end takes a while
        ends = asyncio.create_task(server.aclose())
        await asyncio.sleep(0)
        others = [asyncio.create_task(server.start()), asyncio.create_task(server.aclose())]
        await asyncio.sleep(0)
        server.operations.gate.leave()
        await asyncio.gather(ends, *others)

        assert (await client.get("/healthz")).status_code == 503


async def test_a_start_waits_for_an_end_that_is_under_way(make: Make) -> None:
    """Whoever starts while others close has a server that serves, however many of both there are."""
    server = make()
    async with client_of(server) as client:
        await server.start()
        server.operations.gate.enter()
        first = asyncio.create_task(server.aclose())
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(server.start()), asyncio.create_task(server.aclose())]
        await asyncio.sleep(0)
        server.operations.gate.leave()
        await first
        waiting.append(asyncio.create_task(server.start()))
        await asyncio.gather(*waiting)

        assert (await client.get("/healthz")).status_code == 200
    await server.aclose()


async def test_an_end_that_is_cancelled_closes_all_the_same(make: Make, tmp_path: Path) -> None:
    """Who does not want to wait for the devices any longer has the file closed and the directory free."""
    server = make(more="[drain]\nseconds = 60\n")
    await server.start()
    server.operations.gate.enter()  # a request that never ends
    closing = asyncio.create_task(server.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    with hold_alone(tmp_path / "data"):
        pass
    await server.start()
    async with client_of(server) as client:
        assert (await client.get("/healthz")).status_code == 200
    await server.aclose()
