"""The team's code runs bounded: in slots, in time, and never longer than the program wants."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from syncauth.errors import ServerBusy, WaitTimedOut
from syncauth.server.team.runner import Runner


async def until_free(runner: Runner) -> None:
    """Wait until a slot is free and can be used."""
    async with asyncio.timeout(10):
        while True:
            try:
                assert await runner.call(len, "abc") == 3
            except ServerBusy:
                await asyncio.sleep(0)
            else:
                return


async def test_plain_and_coroutine_functions_are_called_alike() -> None:
    """Results come back, exceptions too; a plain function runs beside the loop."""
    runner = Runner("test", slots=2, seconds=10)
    here = threading.get_ident()

    async def double(number: int) -> int:
        return number * 2

    def fail() -> None:
        raise KeyError

    assert await runner.call(double, 4) == 8
    assert await runner.call(threading.get_ident) != here
    with pytest.raises(KeyError):
        await runner.call(fail)
    with pytest.raises(RuntimeError):
        await runner.call(next, iter(()))
    runner.close()


async def test_slot_is_taken_until_the_thread_ends() -> None:
    """A time-out frees the caller, not the slot."""
    released = threading.Event()
    runner = Runner("test", slots=1, seconds=0.05)
    with pytest.raises(WaitTimedOut):
        await runner.call(released.wait, 10)
    with pytest.raises(ServerBusy) as busy:
        await runner.call(len, "")
    assert busy.value.retry_after == 1.0

    released.set()
    await until_free(runner)
    runner.close()


async def test_slot_of_a_coroutine_is_free_after_the_time_out() -> None:
    """A coroutine is cancelled, and so is one whose caller goes away."""
    runner = Runner("test", slots=1, seconds=0.05)
    with pytest.raises(WaitTimedOut):
        await runner.call(asyncio.Event().wait)
    await until_free(runner)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await runner.call(asyncio.Event().wait)
    await until_free(runner)
    runner.close()


def test_function_that_never_ends_does_not_keep_the_program() -> None:
    """At the end of the program a hanging thread is left to itself."""
    program = (
        "import asyncio, threading\n"
        "from syncauth.server.team.runner import Runner\n"
        "async def main():\n"
        "    runner = Runner('test', slots=1, seconds=0.05)\n"
        "    try:\n"
        "        await runner.call(threading.Event().wait)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__)\n"
        "    runner.close()\n"
        "asyncio.run(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )

    assert ended.stdout == "WaitTimedOut\n"
