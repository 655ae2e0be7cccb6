"""
Tells the app: handlers called per kind of event, and streams that yield every event in order.

Handlers run outside of the driver's steps, one after the other in the order of the events; one that
raises is logged and stops nothing, were it `sys.exit()`. Plain functions run in a thread, or
wherever `deliver` takes them; only what they return and can be awaited runs on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Any, Self, TypeVar

from syncauth.events import Event

log = logging.getLogger("syncauth")

Deliver = Callable[[Callable[[], None]], None]
Handler = Callable[[Any], Any]
_Event = TypeVar("_Event", bound=Event)
_Queue = asyncio.Queue[Event | None]
_Outcome = tuple[Any, BaseException | None]


class EventStream:
    """Every event since it was made, in order, until the App closes.

    One that nobody holds any more gets nothing more, whether it was iterated or not.
    """

    def __init__(self, queues: set[_Queue], *, ended: bool) -> None:
        """Made by the Announcer alone, which puts every event into the queues."""
        self._queue: _Queue = asyncio.Queue()
        self._queues = queues
        if ended:
            self._queue.put_nowait(None)
        else:
            queues.add(self._queue)

    def __aiter__(self) -> Self:
        """Be an iterator."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event."""
        event = await self._queue.get()
        if event is None:
            self._queue.put_nowait(None)  # the end stays the end, for whoever asks again
            raise StopAsyncIteration
        return event

    def rest(self) -> Iterator[Event]:
        """Yield what came and was not taken yet, without a loop: when that of the App has ended."""
        while not self._queue.empty():
            event = self._queue.get_nowait()
            if event is not None:
                yield event

    async def aclose(self) -> None:
        """Yield nothing more, also not what came before; idempotent."""
        self._queues.discard(self._queue)
        for _ in self.rest():
            pass
        self._queue.put_nowait(None)

    def __del__(self) -> None:
        """Be forgotten; whoever waits for an event holds the stream, so nobody does."""
        self._queues.discard(self._queue)


class Announcer:
    """Takes events from the driver and hands them to whoever asked for them."""

    def __init__(self, deliver: Deliver | None = None) -> None:
        """Use `deliver`, if given, to run plain handlers where they belong: the GUI thread."""
        self._deliver = deliver
        self._handlers: dict[type[Event], list[Handler]] = {}
        self._queues: set[_Queue] = set()
        self._to_call: asyncio.Queue[Event] = asyncio.Queue()
        self._closed = False

    def on(self, kind: type[_Event], handler: Handler) -> None:
        """Call this handler with every event of the kind from now on."""
        self._handlers.setdefault(kind, []).append(handler)

    def publish(self, event: Event) -> None:
        """Queue the event for every stream and handler; never blocks, never raises."""
        self._put(event)
        if type(event) in self._handlers:
            self._to_call.put_nowait(event)

    async def run(self) -> None:
        """Call the handlers, one event after the other, until cancelled."""
        while True:
            event = await self._to_call.get()
            for handler in self._handlers[type(event)]:
                try:
                    await self.call(handler, event)
                except Exception:
                    log.exception("a handler of %s raised", type(event).__name__)

    async def call(self, handler: Handler, event: Event) -> None:
        """Call one handler where it belongs and wait until it is done.

        Raises what it raises; a RuntimeError in place of what would end more than the handler.
        """
        with _contained():
            if inspect.iscoroutinefunction(handler):
                await handler(event)
                return
            if self._deliver is None:
                result, error = await asyncio.to_thread(_attempt, handler, event)
            else:
                result, error = await _delivered(self._deliver, handler, event)
            if error is not None:
                raise error
            if inspect.isawaitable(result):
                await result

    def stream(self) -> EventStream:
        """Yield every event published from this call on, until the App closes."""
        return EventStream(self._queues, ended=self._closed)

    def close(self) -> None:
        """End every stream after what it has still to yield."""
        self._closed = True
        self._put(None)

    def _put(self, event: Event | None) -> None:
        for queue in tuple(self._queues):  # any thread may let a stream go meanwhile
            queue.put_nowait(event)


async def _delivered(deliver: Deliver, handler: Handler, event: Event) -> _Outcome:
    """Have `deliver` run a handler; one whose turn comes after the App was closed is not run."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_Outcome] = loop.create_future()

    def settle(outcome: _Outcome) -> None:
        if not done.cancelled():
            done.set_result(outcome)

    def run() -> None:
        if done.cancelled():
            return
        outcome = _attempt(handler, event)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(settle, outcome)

    deliver(run)
    return await done


def _attempt(handler: Handler, event: Event) -> _Outcome:
    """Call a plain handler; what it raises is returned, since it belongs to no thread of ours."""
    try:
        return handler(event), None
    except BaseException as error:  # noqa: BLE001 - as above
        return None, error


@contextlib.contextmanager
def _contained() -> Iterator[None]:
    """Make an ordinary error of a handler's exit or cancellation, unless this very task is cancelled."""
    try:
        yield
    except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        message = f"a handler ended with {type(error).__name__}, which ends nothing else"
        raise RuntimeError(message) from error
