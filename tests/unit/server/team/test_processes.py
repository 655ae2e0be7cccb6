"""The processes in which functions run: beside many sockets, and with children that get away."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from syncauth.errors import WaitTimedOut
from syncauth.server.team.extensions import FunctionContext
from syncauth.server.team.processes import ProcessPool

ESCAPE = "tests.support.process_functions:escape"
PLACE = "tests.support.process_functions:who"
SECONDS = 60.0
MANY = 1100  # select() knows numbers below 1024 only


@pytest.fixture
def many_open_files() -> Iterator[None]:
    """Have so many files open that every further one has a high number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * MANY, hard), hard))
    with ExitStack() as opened:
        for _ in range(MANY):
            opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_worker_is_used_again_beside_many_sockets(many_open_files: None) -> None:
    """A server with thousands of sockets calls a worker again, and leaves none behind."""
    pool = ProcessPool([PLACE], slots=1, largest=10_000)
    context = FunctionContext("ann", "session", {}, "app")
    try:
        first = await pool.call(PLACE, context, [], SECONDS)
        second = await pool.call(PLACE, context, [], SECONDS)
    finally:
        pool.close()

    assert first.kind == second.kind == "result"
    assert bytes(first.result) == bytes(second.result)


async def test_a_child_that_has_got_away_holds_nobody_up(tmp_path: Path) -> None:
    """A child in a session of its own is not killed, but neither the caller nor the server's end waits for it."""
    pool = ProcessPool([ESCAPE], slots=1, largest=10_000)
    context = FunctionContext("ann", "session", {}, "app")
    place = tmp_path / "child"
    try:
        async with asyncio.timeout(SECONDS):
            with pytest.raises(WaitTimedOut):
                await pool.call(ESCAPE, context, [str(place)], 5.0)
        pool.close()
    finally:
        os.kill(int(place.read_text()), signal.SIGKILL)  # it has run to here
        pool.close()
