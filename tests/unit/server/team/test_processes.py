"""The processes in which functions run, beside a server that holds many sockets."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from syncauth.server.team.extensions import FunctionContext
from syncauth.server.team.processes import ProcessPool

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
