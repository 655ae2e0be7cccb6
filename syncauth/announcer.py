"""
Tells the app: handlers called per kind of event, and streams that yield every event in order.

Handlers run outside of the driver's steps, one after the other in the order of the events; one that
raises is logged and stops nothing. Plain functions run in a thread, or wherever `deliver` takes
them, never on the loop.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from syncauth.events import Event

log = logging.getLogger("syncauth")

Deliver = Callable[[Callable[[], None]], None]
Handler = Callable[[Any], Any]
_Event = TypeVar("_Event", bound=Event)


class Announcer:
    """Takes events from the driver and hands them to whoever asked for them."""

    def __init__(self, deliver: Deliver | None = None) -> None:
        """Use `deliver`, if given, to run plain handlers where they belong: the GUI thread."""
        self._deliver = deliver
        self._handlers: dict[type[Event], list[Handler]] = {}
        self._streams: set[asyncio.Queue[Event | None]] = set()
        self._to_call: asyncio.Queue[Event] = asyncio.Queue()

    def on(self, kind: type[_Event], handler: Handler) -> None:
        """Call this handler with every event of the kind from now on."""
        self._handlers.setdefault(kind, []).append(handler)

    def publish(self, event: Event) -> None:
        """Queue the event for every stream and handler; never blocks, never raises."""
        for stream in self._streams:
            stream.put_nowait(event)
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
        """Call one handler where it belongs and wait until it is done; raises what it raises."""
        if inspect.iscoroutinefunction(handler):
            await handler(event)
        elif self._deliver is None:
            await asyncio.to_thread(handler, event)
        else:
            await self._call_delivered(handler, event)

    async def _call_delivered(self, handler: Handler, event: Event) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def settle(error: Exception | None) -> None:
            if done.cancelled():
                return
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)

        def run() -> None:
            error: Exception | None = None
            try:
                handler(event)
            except Exception as raised:  # noqa: BLE001 - handed to whoever awaits `done`
                error = raised
            loop.call_soon_threadsafe(settle, error)

        if self._deliver is not None:
            self._deliver(run)
        await done

    def stream(self) -> AsyncIterator[Event]:
        """Yield every event published from this call on, until the App closes."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._streams.add(queue)
        return self._drain(queue)

    async def _drain(self, queue: asyncio.Queue[Event | None]) -> AsyncIterator[Event]:
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._streams.discard(queue)

    def close(self) -> None:
        """End every stream after what it has still to yield."""
        for stream in self._streams:
            stream.put_nowait(None)
