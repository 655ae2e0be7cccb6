"""The end of an embedded server that meets its start, another end, or a caller that is cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from syncauth.server.team.extensions import Extensions
from syncauth.server.upkeep.holding import hold_alone
from tests.support.embedding.in_process import LOGIN, Make, client_of, maker


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


async def test_a_request_that_is_cut_is_told_to_come_back(make: Make) -> None:
    """What the drain has no time to wait for finds the store closed, and is answered as a server that restarts."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def custom_login(payload: dict[str, Any]) -> str:
        begun.set()
        await go_on.wait()
        return str(payload["id"])

    server = make(more="[drain]\nseconds = 0\n", extensions=Extensions(custom_login=custom_login))
    await server.start()
    async with client_of(server) as client, asyncio.TaskGroup() as tasks:
        login = tasks.create_task(client.post(LOGIN, json={"id": "ann"}))
        await begun.wait()
        await server.aclose()
        go_on.set()

    answer = login.result()
    assert (answer.status_code, answer.json()["error_code"]) == (503, "ServerRestarting")
    assert answer.headers["Retry-After"] == "1"
