"""
The one thread in which all SQLite work of a server process runs, first come first served.

The connection lives in this thread, so that accounts and rows share transactions, and the order in
which work is handed in is the order in which it is done. Work of one kind that stands in the line one behind
the other may be done in one go (`together`), so that it shares a commit. This module must never know
what the work is.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol, TypeVar

from syncauth.errors import Closed

T = TypeVar("T")
A = TypeVar("A")

LARGEST_GROUP: Final = 256
"""So much is done in one go at most, so that nothing else waits long for its turn."""


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

    def __init__(
        self,
        watch: LineWatch | None = None,
        concerns_all: Callable[[BaseException], bool] = lambda _error: False,
    ) -> None:
        """Start nothing yet; the thread begins with the first piece of work.

        `concerns_all` tells of a failure whether it is no item's own, so that no item of a group is tried again.
        """
        self._watch = watch or _Nobody()
        self._concerns_all = concerns_all
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="syncauth-store")
        self._closed = False
        self._group: _Group | None = None

    def run(self, work: Callable[..., T], *arguments: object) -> asyncio.Future[T]:
        """Do `work(*arguments)` in the store thread; await the future for its result or exception.

        The place in the line is taken by the call itself. A caller that is cancelled stops waiting;
        the work is done all the same, because a transaction must not be left half told.

        Raises:
            Closed: the thread has been closed.
        """
        self._begin_other_work()
        return asyncio.shield(asyncio.wrap_future(self._submit(work, *arguments)))

    def together(self, work: Callable[[Sequence[A]], Sequence[T]], item: A) -> asyncio.Future[T]:
        """Do `work([…, item, …])` with what else is asked for in this way and stands beside it in the line.

        `work` returns one result for each item, in their order, or raises and has then done nothing: the items are
        then done one by one, so that only those fail that fail alone, unless the failure concerns all. Results are
        told when the work of the whole group has returned. No item passes other work that was handed in before it.
        The same `work` must be given for what may go together. As with `run`, a caller that is cancelled leaves its
        item to be done.

        Raises:
            Closed: the thread has been closed.
        """
        self._refuse_if_closed()
        loop = asyncio.get_running_loop()
        group = self._group
        place = None if group is None else group.join(work, loop, item)
        if place is None:
            group = self._group = _Group(work, loop, self._concerns_all)
            place = group.join(work, loop, item)
            # Of many callers no one's context variables hold: what the work logs carries no ids.
            contextvars.Context().run(self._submit, group.serve)
        if place is None:
            raise AssertionError  # a new group takes its first item
        return place

    def start(self, work: Callable[[], T], then: Callable[[T], object]) -> None:
        """Do work, which must not raise, in the store thread; its result is handed to `then` on the loop.

        This is `run` for one that serves many: it costs the loop one turn and no future.

        Raises:
            Closed: the thread has been closed.
        """
        self._begin_other_work()
        loop = asyncio.get_running_loop()
        self._submit(lambda: loop.call_soon_threadsafe(then, work()))

    def run_blocking(self, work: Callable[..., T], *arguments: object) -> T:
        """Do the same for a caller without an event loop, such as the start of a process."""
        self._begin_other_work()
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

    def _begin_other_work(self) -> None:
        """Let nothing pass the work that is handed in now: the next item begins a group behind it."""
        self._refuse_if_closed()
        self._group = None

    def _refuse_if_closed(self) -> None:
        if self._closed:
            what = "the server's store has been closed"
            raise Closed(what, remedy="Start the server again")


class _Group:
    """Items that are done in one go. It takes more of them until the store thread has come to it."""

    def __init__(
        self,
        work: Callable[[Sequence[Any]], Sequence[Any]],
        loop: asyncio.AbstractEventLoop,
        concerns_all: Callable[[BaseException], bool],
    ) -> None:
        self._work = work
        self._loop = loop
        self._concerns_all = concerns_all
        self._items: list[Any] = []
        self._places: list[asyncio.Future[Any]] = []
        self._begun = False
        self._lock = threading.Lock()

    def join(
        self,
        work: Callable[[Sequence[Any]], Sequence[Any]],
        loop: asyncio.AbstractEventLoop,
        item: object,
    ) -> asyncio.Future[Any] | None:
        """Take the item in and return where its result will be; None if it must go elsewhere."""
        with self._lock:
            if self._begun or len(self._items) >= LARGEST_GROUP:
                return None
            if work != self._work or loop is not self._loop:
                return None
            self._items.append(item)
            self._places.append(loop.create_future())
            return self._places[-1]

    def serve(self) -> None:
        """Do the work, in the store thread, and tell the loop what came of it."""
        with self._lock:
            self._begun = True
        self._loop.call_soon_threadsafe(self._tell, self._outcomes(self._items))

    def _outcomes(self, items: Sequence[Any]) -> list[tuple[Any, BaseException | None]]:
        """Return a result or an exception for each item."""
        try:
            results = self._work(items)
            return [(result, None) for _, result in zip(items, results, strict=True)]
        except BaseException as error:  # noqa: BLE001 - raised where the item was handed in
            if len(items) == 1 or self._concerns_all(error):
                return [(None, error)] * len(items)
        return [outcome for item in items for outcome in self._outcomes([item])]

    def _tell(self, outcomes: Sequence[tuple[Any, BaseException | None]]) -> None:
        for place, (result, error) in zip(self._places, outcomes, strict=True):
            if place.done():
                continue  # its caller was cancelled
            if error is None:
                place.set_result(result)
            else:
                place.set_exception(error)
