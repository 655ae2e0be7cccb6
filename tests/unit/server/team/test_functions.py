"""Functions behind their limits, whatever the order in which calls come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from syncauth.server.accounts.answers import Denied
from syncauth.server.settings.config import ServerLimits
from syncauth.server.team.extensions import Function, FunctionContext
from syncauth.server.team.functions import Functions, places_of
from syncauth.server.team.processes import ProcessPool
from syncauth.server.team.runner import Runner
from tests.support import process_functions

CONTEXT = FunctionContext("user", "session", {}, "app")
SECONDS = 20.0


async def say_little(_context: FunctionContext) -> AsyncIterator[int]:
    """Say one thing, then nothing."""
    yield 1
    await asyncio.Event().wait()


@pytest.fixture
def functions() -> Iterator[Functions]:
    """Functions of which two streams are allowed at once."""
    whole = Function(
        process_functions.count, process=True, place="tests.support.process_functions:count"
    )
    team = {"say_little": say_little, "count": whole}
    pool = ProcessPool(places_of(team), slots=4, largest=1000)
    runner = Runner("functions", slots=4, seconds=SECONDS)
    yield Functions(team, ServerLimits(function_streams=2), runner, pool)
    runner.close()
    pool.close()


async def test_streams_that_are_asked_for_at_once_are_limited(functions: Functions) -> None:
    """Of many that come before the first has begun no more are served than are allowed; the others are told."""
    streams = [await functions.stream("say_little", [], CONTEXT) for _ in range(5)]
    plain = await functions.stream("count", [], CONTEXT)
    opened = [each for each in (*streams, plain) if not isinstance(each, Denied)]
    first = [await anext(each) for each in opened]

    assert [isinstance(each, Denied) for each in first] == [False] * 2 + [True] * 4
    assert {each.code for each in first if isinstance(each, Denied)} == {"TooManyRequests"}
