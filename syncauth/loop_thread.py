"""
A thread that owns one event loop, on which blocking callers of other threads have coroutines run.

Nothing ends it but `stop`. This module must never leave a caller waiting for a thread that has ended.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from syncauth.errors import Closed

log = logging.getLogger("syncauth")

_Result = TypeVar("_Result")


class _Exit(Exception):
    """Carries what would end the loop if it were raised there: `sys.exit()` in a write, say."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(error)


class LoopThread:
    """A thread that owns one event loop, which nothing but `stop` ends."""

    def __init__(self) -> None:
        """Start the thread."""
        self._loop = asyncio.new_event_loop()
        self._calling = threading.Lock()
        self.ended = False
        self._thread = threading.Thread(target=self._run, name="syncauth", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run a coroutine on the loop and wait for it, from any other thread.

        Raises:
            Closed: this is the loop's own thread, or that thread has ended, before or meanwhile.
        """
        try:
            future = self._submit(work)
        except Closed:
            work.close()
            raise
        try:
            return future.result()
        except KeyboardInterrupt:  # of the thread that waits: nobody wants the result any more
            future.cancel()
            raise
        except _Exit as exit_:
            raise exit_.error from None
        except concurrent.futures.CancelledError:
            work.close()  # it may not have begun
            raise _closed() from None

    def refuse_itself(self) -> None:
        """Raise `Closed` in the loop's own thread, which cannot wait for itself."""
        if threading.current_thread() is self._thread:
            what = "a blocking verb was called in syncauth's own thread"
            raise Closed(what, remedy="Use syncauth.App in asynchronous handlers")

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Run a plain function on the loop's thread and wait for it."""

        async def on_loop() -> _Result:
            return work()

        return self.call(on_loop())

    def stop(self) -> None:
        """Cancel what still runs and end the loop and the thread."""
        with self._calling:
            if not self.ended:
                self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _submit(self, work: Coroutine[Any, Any, _Result]) -> concurrent.futures.Future[_Result]:
        self.refuse_itself()
        with self._calling:
            if self.ended:
                raise _closed()
            return asyncio.run_coroutine_threadsafe(_without_exit(work), self._loop)

    def _run(self) -> None:
        while not self.ended:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):  # of a task that an app's handler began
                log.exception("a task in syncauth's thread wanted to end it, and ended alone")
            else:
                with self._calling:
                    self.ended = True  # whatever was submitted is on the loop by now
        self._loop.run_until_complete(_cancel_all())
        self._loop.close()


def _closed() -> Closed:
    return Closed("this App was closed", remedy="Make a new App")


async def _without_exit(work: Coroutine[Any, Any, _Result]) -> _Result:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise _Exit(error) from error


async def _cancel_all() -> None:
    """Cancel every task and wait for them: each has somebody waiting for it in another thread."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
