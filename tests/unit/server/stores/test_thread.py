"""The store thread does work in the order it was handed in, and never half."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from syncauth.errors import Closed
from syncauth.server.stores.thread import LARGEST_GROUP, StoreThread


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


class Grouped:
    """Work in groups that waits at a door; 13 fails whomever it goes with."""

    def __init__(self, thread: StoreThread) -> None:
        self.thread = thread
        self.groups: list[list[int]] = []
        self.door = threading.Event()

    def work(self, numbers: Sequence[int]) -> list[int]:
        self.groups.append(list(numbers))
        if 13 in numbers:
            message = "13 cannot be done"
            raise OSError(message)
        return [number * 10 for number in numbers]

    def ask(self, number: int) -> asyncio.Future[int]:
        return self.thread.together(self.work, number)

    def shut(self) -> asyncio.Future[bool]:
        """Hold the line up until the door is opened."""
        return self.thread.run(self.door.wait, 10)


@pytest.fixture
def grouped() -> Iterator[Grouped]:
    """A store thread with work that may go together."""
    found = Grouped(StoreThread())
    yield found
    found.door.set()
    found.thread.close()


async def test_work_that_stands_together_is_done_together(grouped: Grouped) -> None:
    """What waits side by side is one group, and each caller gets its own result."""
    shut = grouped.shut()
    asked = [grouped.ask(number) for number in range(5)]
    grouped.door.set()

    async with asyncio.timeout(10):
        assert await asyncio.gather(shut, *asked) == [True, 0, 10, 20, 30, 40]
        assert await grouped.ask(5) == 50
    assert grouped.groups == [[0, 1, 2, 3, 4], [5]]


async def test_no_item_passes_other_work(grouped: Grouped) -> None:
    """Other work closes the group before it: who came later is served later."""
    order: list[object] = []
    shut = grouped.shut()
    asked = [grouped.ask(1), grouped.thread.run(order.append, "run"), grouped.ask(2)]
    grouped.thread.start(lambda: order.append("start"), lambda _: None)
    asked.append(grouped.ask(3))
    grouped.thread.run(lambda: order.append(len(grouped.groups)))
    grouped.door.set()

    async with asyncio.timeout(10):
        await asyncio.gather(shut, *asked)
        await grouped.thread.run(lambda: None)
    assert grouped.groups == [[1], [2], [3]]
    assert order == ["run", "start", 3]


async def test_failure_of_one_item_is_its_own(grouped: Grouped) -> None:
    """A group that fails is done again one by one: only who fails alone is told so."""
    shut = grouped.shut()
    asked = [grouped.ask(number) for number in (1, 13, 2)]
    grouped.door.set()

    async with asyncio.timeout(10):
        _, first, failed, last = await asyncio.gather(shut, *asked, return_exceptions=True)
    assert (first, last) == (10, 20)
    assert isinstance(failed, OSError)
    assert grouped.groups == [[1, 13, 2], [1], [13], [2]]


async def test_failure_that_concerns_all_is_told_to_all() -> None:
    """Where the file itself cannot be written, no item waits for it again: the line behind would wait for each."""
    grouped = Grouped(StoreThread(concerns_all=lambda error: isinstance(error, OSError)))
    shut = grouped.shut()
    asked = [grouped.ask(number) for number in (1, 13, 2)]
    grouped.door.set()

    async with asyncio.timeout(10):
        _, *told = await asyncio.gather(shut, *asked, return_exceptions=True)
    grouped.thread.close()
    assert [type(each) for each in told] == [OSError] * 3
    assert grouped.groups == [[1, 13, 2]]


async def test_cancelled_caller_of_a_group_harms_nobody(grouped: Grouped) -> None:
    """Its item is done all the same, and the others are told theirs."""
    shut = grouped.shut()
    left, other = grouped.ask(1), grouped.ask(2)
    left.cancel()
    grouped.door.set()

    async with asyncio.timeout(10):
        await shut
        assert await other == 20
    assert grouped.groups == [[1, 2]]


async def test_group_has_a_largest_size(grouped: Grouped) -> None:
    """Nothing else waits for more than that, and no other work or loop shares a group."""
    shut = grouped.shut()
    asked = [grouped.ask(100 + number) for number in range(LARGEST_GROUP + 1)]
    asked.append(grouped.thread.together(list, 7))
    grouped.door.set()

    async with asyncio.timeout(10):
        await shut
        assert (await asyncio.gather(*asked))[-2:] == [10 * (100 + LARGEST_GROUP), 7]
    assert [len(group) for group in grouped.groups] == [LARGEST_GROUP, 1]


async def test_closed_thread_refuses_groups(grouped: Grouped) -> None:
    """As any other work."""
    grouped.thread.close()

    with pytest.raises(Closed):
        grouped.ask(1)
