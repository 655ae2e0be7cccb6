"""
Runs the callables that a team gives to its server, sync or async, bounded in number and in time.

A plain function runs in a thread of a small pool, a coroutine function on the event loop. When the time is over the
caller is answered; a coroutine is cancelled, a thread cannot be, so the slot stays taken until the function has
really ended. When all slots are taken the next call is refused at once. This module must never log what a callable
was given or gives, and never wait for one at the end of the program.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

from syncauth.errors import ServerBusy, WaitTimedOut

RETRY_AFTER: Final = 1.0

Work = Callable[[], Any]

Ended = Callable[[str, str], None]
"""Called with the name of the runner and what became of a call: `ok`, `failed`, `timed_out`, `busy` or `given_up`."""


def tell_nobody(name: str, outcome: str) -> None:
    """Count nothing."""


class Runner:
    """Slots in which callables run."""

    def __init__(
        self, name: str, *, slots: int, seconds: float | None, ended: Ended = tell_nobody
    ) -> None:
        """Allow `slots` calls at once, each answered within `seconds`; `ended` is told of each.

        Without `seconds` whoever runs keeps the time.
        """
        self._name = name
        self._ended = ended
        self._slots = slots
        self._seconds = seconds
        self._taken = 0
        self._waiting: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    @property
    def name(self) -> str:
        """What the runner runs."""
        return self._name

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._taken

    async def call(
        self, callable_: Callable[..., Any], *arguments: Any, seconds: float | None = None
    ) -> Any:
        """Call it and return what it returns; whatever it raises is raised.

        `seconds` are those of this call, if they are not those of all.

        Raises:
            ServerBusy: all slots are taken.
            WaitTimedOut: it has not ended in time; its slot stays taken until it has.
        """
        if self._taken >= self._slots:
            self._ended(self._name, "busy")
            what = f"all {self._slots} slots of {self._name} are taken"
            raise ServerBusy(what, retry_after=RETRY_AFTER)
        self._taken += 1
        allowed = self._seconds if seconds is None else seconds
        work = (
            asyncio.ensure_future(callable_(*arguments))
            if inspect.iscoroutinefunction(callable_)
            else self._in_thread(lambda: callable_(*arguments))
        )
        work.add_done_callback(self._leave)
        try:
            done, _ = await asyncio.wait({work}, timeout=allowed)
        except asyncio.CancelledError:
            _give_up(work)
            self._ended(self._name, "given_up")
            raise
        if not done:
            _give_up(work)
            self._ended(self._name, "timed_out")
            raise WaitTimedOut(f"a call of {self._name} has not ended", waited=allowed or 0)
        good = not work.cancelled() and work.exception() is None
        self._ended(self._name, "ok" if good else "failed")
        return work.result()

    def close(self) -> None:
        """Start nothing any more; a thread that still works is left to itself. Idempotent."""
        for _ in self._threads:
            self._waiting.put(None)

    def _in_thread(self, work: Work) -> asyncio.Future[Any]:
        """Return a future, not a task: it is done when the thread is, and the loop's end does not wait for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()

        def run() -> None:
            value, error = None, None
            try:
                value = work()
            except BaseException as raised:  # noqa: BLE001 - it belongs to the caller
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended in the meantime
                loop.call_soon_threadsafe(_settle, answer, value, error)

        context = contextvars.copy_context()  # so that what it logs carries the ids of its caller
        self._waiting.put(lambda: context.run(run))
        if len(self._threads) < self._slots:
            # Daemons: a function that never ends must not keep the program from ending.
            thread = threading.Thread(
                target=self._serve, name=f"syncauth-{self._name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
        return answer

    def _serve(self) -> None:
        while (work := self._waiting.get()) is not None:
            work()

    def _leave(self, work: asyncio.Future[Any]) -> None:
        self._taken -= 1
        if not work.cancelled():
            work.exception()  # looked at, because a caller that has gone away does not


def _give_up(work: asyncio.Future[Any]) -> None:
    """End a coroutine; a thread goes on, and its future with it."""
    if isinstance(work, asyncio.Task):
        work.cancel()


def _settle(answer: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if error is None:
        answer.set_result(value)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        answer.set_exception(error)
    else:
        answer.set_exception(RuntimeError(f"the callable raised {type(error).__name__}"))
