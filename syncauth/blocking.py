"""
The same verbs for threads and GUI programs: one thread that owns one loop, and an `App` on it.

Every verb may be called from any thread but that one; what waits for the end of a write, not by the
function given to that write. Handlers that are plain functions run in a worker thread, or wherever
`deliver` takes them. Nothing is implemented here: each verb is the one of `syncauth.App`, waited
for. This module must never leave a caller waiting for a thread that has ended.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import (
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from syncauth import app as asynchronous
from syncauth.announcer import Deliver, EventStream
from syncauth.errors import Closed
from syncauth.events import Event
from syncauth.handles import OpenReplica as AsyncOpenReplica, User
from syncauth.models import Credentials, DeadLetter, Status
from syncauth.parts import Parts
from syncauth.replica.writer import refuse_in_write

if TYPE_CHECKING:
    import sqlite_utils

log = logging.getLogger("syncauth")

_Result = TypeVar("_Result")
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class _Exit(Exception):
    """Carries what would end the loop if it were raised there: `sys.exit()` in a write, say."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(error)


class _LoopThread:
    """A thread that owns one event loop, which nothing but `stop` ends."""

    def __init__(self) -> None:
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


class OpenReplica:
    """One user's SQLite file, open and synchronised; made by `App.open_replica`."""

    def __init__(self, thread: _LoopThread, replica: AsyncOpenReplica) -> None:
        """Made by the App alone."""
        self._thread = thread
        self._replica = replica

    @property
    def user(self) -> User:
        """Whose file this is."""
        return self._replica.user

    @property
    def db(self) -> sqlite_utils.Database:
        """The file as a sqlite-utils database; each thread has a connection of its own."""
        return self._replica.db

    @property
    def path(self) -> str:
        """The path of the SQLite file."""
        return self._replica.path

    @property
    def status(self) -> Status:
        """One frozen picture of session, connection and of what waits."""
        return self._thread.run(lambda: self._replica.status)

    def write(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work` in the writer's thread, in one transaction.

        See `syncauth.handles.OpenReplica`.
        """
        refuse_in_write(self.path)
        return self._thread.call(self._replica.write(work))

    def migrate(self, work: Callable[[sqlite_utils.Database], _Result]) -> _Result:
        """Run `work`, which may alter the synchronised tables; see `syncauth.handles.OpenReplica`."""
        refuse_in_write(self.path)
        return self._thread.call(self._replica.migrate(work))

    def dead_letters(self) -> Sequence[DeadLetter]:
        """Return the changes that the server refused, oldest first."""
        return self._thread.call(self._replica.dead_letters())

    def wait_uploaded(self, timeout: float | None = None) -> None:
        """Wait until every change committed before is at the server; raises `WaitTimedOut`."""
        refuse_in_write(self.path)
        self._thread.call(self._replica.wait_uploaded(timeout))

    def wait_synced(self, timeout: float | None = None) -> None:
        """Wait until this replica and the server are in step; raises `WaitTimedOut`."""
        refuse_in_write(self.path)
        self._thread.call(self._replica.wait_synced(timeout))

    def close(self) -> None:
        """Stop sync, then close the file; idempotent."""
        refuse_in_write(self.path)
        try:
            self._thread.call(self._replica.aclose())
        except Closed:
            if not self._thread.ended:  # else the App has closed it
                raise


class App:
    """The face for programs without asyncio; the arguments are those of `syncauth.App`."""

    def __init__(
        self,
        url: str,
        *,
        app_id: str,
        data_dir: str | Path,
        deliver: Deliver | None = None,
        parts: Parts | None = None,
        **settings: Any,
    ) -> None:
        """Check the settings and touch nothing; see `syncauth.App`."""
        self._app = asynchronous.App(
            url, app_id=app_id, data_dir=data_dir, deliver=deliver, parts=parts, **settings
        )
        self._thread: _LoopThread | None = None

    def open(self) -> Self:
        """Start the thread and open the App; raises what `syncauth.App.open` does."""
        thread = _LoopThread()
        try:
            thread.call(self._app.open())
        except BaseException:
            thread.stop()
            raise
        self._thread = thread
        return self

    def close(self) -> None:
        """Close the App and end its thread; idempotent."""
        refuse_in_write()
        if self._thread is not None:
            self._thread.refuse_itself()
            thread, self._thread = self._thread, None
            try:
                thread.call(self._app.aclose())
            finally:
                thread.stop()

    def __enter__(self) -> Self:
        """Open the App."""
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the App."""
        self.close()

    def register(self, email: str, password: str) -> None:
        """Make an account at the server."""
        self._opened().call(self._app.register(email, password))

    def log_in(self, credentials: Credentials) -> User:
        """Log a user in and make it the current one."""
        return self._opened().call(self._app.log_in(credentials))

    @property
    def current_user(self) -> User | None:
        """The user who logged in last and did not log out."""
        return self._opened().run(lambda: self._app.current_user)

    def log_out(self, user: User | None = None, *, forget: bool = False) -> None:
        """Erase the user's tokens; its rows and unsent changes stay."""
        self._opened().call(self._app.log_out(user, forget=forget))

    def request_relogin(self, user: User | None = None) -> None:
        """Call `on_relogin_required` again, if a relogin is required."""
        self._opened().run(lambda: self._app.request_relogin(user))

    def network_changed(self) -> None:
        """Say that the network may be back."""
        self._opened().run(self._app.network_changed)

    def open_replica(
        self,
        user: User,
        *,
        tables: Iterable[str],
        counters: Mapping[str, Iterable[str]] | None = None,
        keys: Mapping[str, str] | None = None,
        local_triggers: Iterable[str] = (),
        create: str = "",
    ) -> OpenReplica:
        """Open the user's SQLite file; see `syncauth.App.open_replica`."""
        thread = self._opened()
        opening = self._app.open_replica(
            user,
            tables=tables,
            counters=counters,
            keys=keys,
            local_triggers=local_triggers,
            create=create,
        )
        return OpenReplica(thread, thread.call(opening))

    def events(self) -> Iterator[Event]:
        """Yield every event published from this call on, in order, until the App closes."""
        thread = self._opened()
        return _iterate(thread, thread.run(self._app.events))

    def on_relogin_required(self, handler: _Handler) -> _Handler:
        """Call this handler when a session has ended and sync has stopped."""
        return self._register(self._app.on_relogin_required, handler)

    def on_change_rejected(self, handler: _Handler) -> _Handler:
        """Call this handler for every change that the server refused."""
        return self._register(self._app.on_change_rejected, handler)

    def on_sync_error(self, handler: _Handler) -> _Handler:
        """Call this handler for every error of sync that is worth showing."""
        return self._register(self._app.on_sync_error, handler)

    def _register(self, register: Callable[[_Handler], _Handler], handler: _Handler) -> _Handler:
        if self._thread is None:
            return register(handler)
        return self._thread.run(lambda: register(handler))

    def _opened(self) -> _LoopThread:
        if self._thread is None:
            what = "this App is not open"
            raise Closed(what, remedy="Use `with app:` or `app.open()`")
        return self._thread


def _iterate(thread: _LoopThread, stream: EventStream) -> Iterator[Event]:
    try:
        while (event := thread.call(_next(stream))) is not None:
            yield event
    except Closed:
        if not thread.ended:
            raise
        yield from stream.rest()


async def _next(stream: EventStream) -> Event | None:
    return await anext(stream, None)
