"""The store thread does work in the order it was handed in, and never half."""

from __future__ import annotations

import asyncio
import threading

import pytest

from syncauth.errors import Closed
from syncauth.server.stores.thread import StoreThread


def test_work_is_done_in_order_in_one_thread() -> None:
    """All work runs in one other thread, first come first served."""
    done: list[tuple[int, str]] = []

    def note(number: int) -> int:
        done.append((number, threading.current_thread().name))
        return number

    async def story() -> list[int]:
        thread = StoreThread()
        lined_up = [thread.run(note, number) for number in range(100)]
        results = await asyncio.gather(*reversed(lined_up))
        thread.close()
        return results[::-1]

    assert asyncio.run(story()) == list(range(100))
    assert [number for number, _ in done] == list(range(100))
    assert len({name for _, name in done}) == 1
    assert done[0][1] != threading.current_thread().name


def test_exception_reaches_the_caller() -> None:
    """What the work raises is raised where it was asked for, and the thread goes on."""

    def fail() -> None:
        message = "the disk is gone"
        raise OSError(message)

    async def story() -> int:
        thread = StoreThread()
        with pytest.raises(OSError, match="the disk is gone"):
            await thread.run(fail)
        result = await thread.run(int, "7")
        thread.close()
        return result

    assert asyncio.run(story()) == 7


def test_cancelled_caller_leaves_the_work_whole() -> None:
    """Work that began is finished although its caller was cancelled."""
    began, go_on = threading.Event(), threading.Event()
    finished: list[str] = []

    def work() -> None:
        began.set()
        go_on.wait(10)
        finished.append("whole")

    async def story() -> None:
        thread = StoreThread()
        async with asyncio.timeout(10):
            caller = asyncio.ensure_future(thread.run(work))  # noqa: TID251 - to be cancelled
            await asyncio.to_thread(began.wait, 10)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            go_on.set()
            await thread.run(lambda: None)
        thread.close()

    asyncio.run(story())
    assert finished == ["whole"]


def test_closed_thread_refuses_work() -> None:
    """After `close`, which may be called twice, work is refused with a typed error."""
    thread = StoreThread()
    assert thread.run_blocking(int, "7") == 7
    thread.close()
    thread.close()

    with pytest.raises(Closed):
        thread.run_blocking(int, "7")
    with pytest.raises(Closed):
        thread.run(int, "7")


async def test_what_came_of_work_is_handed_over_on_the_loop() -> None:
    """In the order of the work, in the thread of the loop."""
    thread, done = StoreThread(), asyncio.Event()
    found: list[tuple[int, bool]] = []
    here = threading.get_ident()

    def take(number: int) -> None:
        found.append((number, threading.get_ident() == here))
        if number == 2:
            done.set()

    for number in range(3):
        thread.start(lambda number=number: number, take)  # type: ignore[misc]
    async with asyncio.timeout(10):
        await done.wait()
    thread.close()
    assert found == [(0, True), (1, True), (2, True)]
    with pytest.raises(Closed):
        thread.start(lambda: 3, take)
