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
    echo, by_name = process_functions.echo, process_functions.unfit_by_name
    place = "tests.support.process_functions:"
    team = {
        "say_little": say_little,
        "echo": Function(echo, process=True, place=f"{place}echo"),
        "unfit_by_name": by_name,
        "unfit_by_name_apart": Function(by_name, process=True, place=f"{place}unfit_by_name"),
    }
    pool = ProcessPool(places_of(team), slots=4, largest=1000)
    runner = Runner("functions", slots=4, seconds=SECONDS)
    yield Functions(team, ServerLimits(function_streams=2), runner, pool)
    runner.close()
    pool.close()


async def test_streams_that_are_asked_for_at_once_are_limited(functions: Functions) -> None:
    """Of many that come before the first has begun no more are served than are allowed; the others are told."""
    streams = [await functions.stream("say_little", [], CONTEXT) for _ in range(5)]
    plain = await functions.stream("echo", ["a"], CONTEXT)
    opened = [each for each in (*streams, plain) if not isinstance(each, Denied)]
    first = [await anext(each) for each in opened]

    assert [isinstance(each, Denied) for each in first] == [False] * 2 + [True] * 4
    assert {each.code for each in first if isinstance(each, Denied)} == {"TooManyRequests"}


@pytest.mark.parametrize("name", ["unfit_by_name", "unfit_by_name_apart"])
async def test_the_log_shows_no_key_of_a_result(
    functions: Functions, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """I10: why a result cannot be sent is logged, not where in it: the keys of an object may be its data."""
    answer = await functions.call(name, ["ann@example.com"], CONTEXT)

    assert isinstance(answer, Denied)
    assert "has no form for object" in caplog.text
    assert "ann@example.com" not in caplog.text
