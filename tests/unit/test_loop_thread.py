"""The thread that owns the loop ends by `stop` alone, and leaves nobody waiting."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest

from syncauth.errors import Closed
from syncauth.loop_thread import LoopThread

LIMIT = 10.0


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.stop()


async def answer() -> int:
    return 42


def test_a_call_that_exits_does_so_in_its_caller(thread: LoopThread) -> None:
    """`sys.exit()` in a function given to a verb ends the program that called, not the loop's thread."""

    async def leave() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit) as raised:
        thread.call(leave())

    assert raised.value.code == 3
    assert thread.call(answer()) == 42


def test_a_task_that_exits_ends_alone(thread: LoopThread, caplog: pytest.LogCaptureFixture) -> None:
    """What a handler began on the loop may exit as it likes: later calls are answered."""

    async def leave() -> None:
        sys.exit(3)

    async def begin() -> None:
        task = asyncio.ensure_future(leave())  # noqa: TID251 - as an app does
        await asyncio.wait({task})
        assert isinstance(task.exception(), SystemExit)

    thread.call(begin())

    assert thread.call(answer()) == 42
    assert "wanted to end it" in caplog.text


def test_a_call_in_the_own_thread_is_refused(thread: LoopThread) -> None:
    """A coroutine handler that calls a blocking verb gets a typed error, at once."""

    def call() -> int:
        return thread.call(answer())

    with pytest.raises(Closed, match="own thread"):
        thread.run(call)


def test_a_call_after_the_end_is_refused() -> None:
    """Whatever is called when the thread has ended raises `Closed`, and no coroutine is left behind."""
    thread = LoopThread()
    thread.stop()
    thread.stop()

    with pytest.raises(Closed, match="closed"):
        thread.call(answer())
    with pytest.raises(Closed, match="closed"):
        thread.run(lambda: 42)


def test_the_end_cancels_what_is_waited_for() -> None:
    """A call that is under way when the thread ends is cancelled on the loop, and raises `Closed`."""
    thread = LoopThread()
    began = threading.Event()
    ends: list[BaseException | str] = []

    async def wait() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ends.append("cancelled")

    def call() -> None:
        try:
            thread.call(wait())
        except Closed as error:
            ends.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    assert began.wait(LIMIT)
    thread.stop()
    caller.join(LIMIT)

    assert ends[0] == "cancelled"
    assert isinstance(ends[1], Closed)
