"""Handlers are called where they belong and end nothing but themselves; streams forget nobody and are forgotten."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import queue
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from syncauth.announcer import Announcer, Deliver
from syncauth.events import Event, LoggedIn, Uploaded

LIMIT = 10.0
EVENT = Uploaded("ann", 1.0)
Begin = Callable[..., Announcer]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    """Make announcers that call handlers until the test ends."""
    async with asyncio.TaskGroup() as group:
        tasks = []

        def begin(deliver: Deliver | None = None) -> Announcer:
            announcer = Announcer(deliver)
            tasks.append(group.create_task(announcer.run()))
            return announcer

        yield begin
        for task in tasks:
            task.cancel()


async def told(announcer: Announcer) -> None:
    """Publish an event and wait until a handler that is registered last has been called."""
    last = asyncio.Event()

    async def handler(_: Event) -> None:
        last.set()

    announcer.on(Uploaded, handler)
    announcer.publish(EVENT)
    await asyncio.wait_for(last.wait(), LIMIT)


def leave(_: Event) -> None:
    sys.exit(1)


def interrupt(_: Event) -> None:
    raise KeyboardInterrupt


def cancel(_: Event) -> None:
    raise asyncio.CancelledError


def exhaust(_: Event) -> None:
    raise StopIteration


async def leave_on_the_loop(_: Event) -> None:
    sys.exit(1)


async def cancel_on_the_loop(_: Event) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    "handler", [leave, interrupt, cancel, exhaust, leave_on_the_loop, cancel_on_the_loop]
)
@pytest.mark.parametrize("deliver", [None, lambda work: work()])
async def test_whatever_a_handler_raises_the_next_is_called(
    begin: Begin, handler: Any, deliver: Deliver | None, caplog: pytest.LogCaptureFixture
) -> None:
    """An exit, an interrupt or a cancellation in a handler is logged, and ends neither loop nor announcer."""
    announcer = begin(deliver)
    announcer.on(Uploaded, handler)

    await told(announcer)

    assert "a handler of Uploaded raised" in caplog.text


async def test_what_a_plain_handler_returns_is_awaited_on_the_loop(begin: Begin) -> None:
    """A lambda around a coroutine function and an object that is called asynchronously are handlers as any other."""
    announcer = begin()
    calls: list[tuple[str, asyncio.AbstractEventLoop]] = []

    async def note(name: str) -> None:
        calls.append((name, asyncio.get_running_loop()))

    class Noting:
        async def __call__(self, _: Event) -> None:
            await note("object")

    announcer.on(Uploaded, lambda _: note("lambda"))
    announcer.on(Uploaded, Noting())
    await told(announcer)

    here = asyncio.get_running_loop()
    assert calls == [("lambda", here), ("object", here)]


async def test_the_end_of_the_announcer_cancels_a_handler() -> None:
    """A handler that still waits when the App closes is cancelled as such."""
    announcer = Announcer()
    began = asyncio.Event()

    async def wait(_: Event) -> None:
        began.set()
        await asyncio.Event().wait()

    announcer.on(Uploaded, wait)
    announcer.publish(EVENT)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(announcer.run())
        await asyncio.wait_for(began.wait(), LIMIT)
        running.cancel()

    assert running.cancelled()


def test_what_was_delivered_before_the_end_is_not_run_after_it() -> None:
    """A GUI that comes to a handler after the App was closed does not run it, and gets no exception."""
    gui: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    calls: list[Event] = []

    async def deliver_and_close() -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Announcer(gui.put).call(calls.append, EVENT))
            await asyncio.sleep(0)
            task.cancel()

    asyncio.run(deliver_and_close())
    gui.get_nowait()()

    assert calls == []


def test_a_delivered_handler_may_outlive_the_loop() -> None:
    """A handler during which the App is closed runs to its end, and nothing is raised into the GUI's loop."""
    gui: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()
    calling = loop.create_task(Announcer(gui.put).call(lambda _: end(), EVENT))

    def end() -> None:
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(calling)
        loop.close()

    loop.run_until_complete(asyncio.sleep(0))
    gui.get_nowait()()

    assert loop.is_closed()


async def test_a_stream_yields_what_is_published_from_its_making_on() -> None:
    """Nothing between the call and the first iteration is lost; what is queued at the end is still yielded."""
    announcer = Announcer()
    announcer.publish(LoggedIn("before", 0.0))
    stream = announcer.stream()
    announcer.publish(EVENT)
    announcer.publish(LoggedIn("ann", 2.0))
    announcer.close()

    assert [event async for event in stream] == [EVENT, LoggedIn("ann", 2.0)]
    assert [event async for event in stream] == []


async def test_a_stream_made_after_the_end_is_at_its_end() -> None:
    """Nobody waits for the events of an App that is closed."""
    announcer = Announcer()
    announcer.close()

    assert [event async for event in announcer.stream()] == []


async def test_a_closed_stream_ends_and_takes_nothing_more() -> None:
    """`aclose` ends the stream for whoever waits on it, and nothing is queued for it any longer."""
    announcer = Announcer()
    stream = announcer.stream()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(anext(stream, None))
        await asyncio.sleep(0)
        await stream.aclose()
    announcer.publish(EVENT)

    assert waiting.result() is None
    assert [event async for event in stream] == []
    assert announcer._queues == set()


async def test_a_stream_that_nobody_holds_is_forgotten() -> None:
    """No queue grows for a stream that was made and dropped, or left in the middle."""
    announcer = Announcer()
    announcer.stream()
    left = announcer.stream()
    announcer.publish(EVENT)
    async for _ in left:
        break
    del left
    gc.collect()

    assert announcer._queues == set()


async def test_whoever_waits_for_an_event_holds_the_stream() -> None:
    """A task that nobody holds but the stream it waits on gets its event."""
    announcer = Announcer()
    got = asyncio.Event()

    async def consume(stream: AsyncIterator[Event]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            async for _ in stream:
                got.set()
                return

    asyncio.ensure_future(consume(announcer.stream()))  # noqa: TID251, RUF006 - held by nobody
    await asyncio.sleep(0)
    gc.collect()
    announcer.publish(EVENT)

    await asyncio.wait_for(got.wait(), LIMIT)
