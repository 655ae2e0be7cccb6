"""
The one thread in which all SQLite work of a server process runs, first come first served.

The connection lives in this thread, so that accounts and rows share transactions, and the order in
which work is handed in is the order in which it is done. This module must never know what the work
is.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from syncauth.errors import Closed

T = TypeVar("T")


class LineWatch(Protocol):
    """Who measures the line; called in any thread."""

    def entered(self) -> float:
        """Note that work has come, and return the time."""
        ...

    def left(self, entered: float) -> None:
        """Note that work that came at that time begins now."""
        ...


class _Nobody:
    def entered(self) -> float:
        return 0.0

    def left(self, entered: float) -> None:
        pass


class StoreThread:
    """A worker thread with a first-in first-out line; made by the one who opens the store."""

    def __init__(self, watch: LineWatch | None = None) -> None:
        """Start nothing yet; the thread begins with the first piece of work."""
        self._watch = watch or _Nobody()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="syncauth-store")
        self._closed = False

    def run(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Do `work(*arguments)` in the store thread; await the future for its result or exception.

        The place in the line is taken by the call itself. A caller that is cancelled stops waiting;
        the work is done all the same, because a transaction must not be left half told.

        Raises:
            Closed: the thread has been closed.
        """
        self._refuse_if_closed()
        return asyncio.shield(asyncio.wrap_future(self._submit(work, *arguments)))

    def start(self, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Do work, which must not raise, in the store thread; its result is handed to `then` on the loop.

        This is `run` for one that serves many: it costs the loop one turn and no future.

        Raises:
            Closed: the thread has been closed.
        """
        self._refuse_if_closed()
        loop = asyncio.get_running_loop()
        self._submit(lambda: loop.call_soon_threadsafe(then, work()))

    def run_blocking(self, work: Callable[..., T], *arguments: object) -> T:
        """Do the same for a caller without an event loop, such as the start of a process."""
        self._refuse_if_closed()
        return self._submit(work, *arguments).result()

    def close(self) -> None:
        """Finish what stands in the line, then end the thread; idempotent."""
        self._closed = True
        self._executor.shutdown(wait=True)

    def _submit(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Put work into the line, with the caller's context variables: what it logs carries its ids."""
        context = contextvars.copy_context()
        entered = self._watch.entered()
        return self._executor.submit(context.run, self._begin, entered, work, *arguments)

    def _begin(self, entered: float, work: Callable[..., T], *arguments: object) -> T:
        self._watch.left(entered)
        return work(*arguments)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            what = "the server's store has been closed"
            raise Closed(what, remedy="Start the server again")
