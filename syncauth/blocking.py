"""
The same verbs for threads and GUI programs: one thread that owns one loop, and an `App` on it.

Every verb may be called from any thread but that one; what waits for the end of a write, not by the
function given to that write. Handlers that are plain functions run in a worker thread, or wherever
`deliver` takes them. Nothing is implemented here: each verb is the one of `syncauth.App`, waited
for. This module must never leave a caller waiting for a thread that has ended.
"""

from __future__ import annotations

import logging
from collections.abc import (
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from syncauth import app as asynchronous
from syncauth.announcer import Deliver, EventStream
from syncauth.blocking_files import GuestReplica, OpenReplica
from syncauth.blocking_user import User
from syncauth.email_password import BlockingEmailPassword as EmailPassword
from syncauth.errors import Closed
from syncauth.events import Event
from syncauth.interfaces import IdentityProvider
from syncauth.loop_thread import LoopThread
from syncauth.models import Credentials
from syncauth.parts import Parts
from syncauth.replica.writer import refuse_in_write
from syncauth.sansio.effects import Transition
from syncauth.user import User as AsyncUser

__all__ = ["App", "GuestReplica", "OpenReplica", "User"]

log = logging.getLogger("syncauth")

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class App:
    """The face for programs without asyncio; the arguments are those of `syncauth.App`."""

    def __init__(
        self,
        url: str,
        *,
        app_id: str,
        data_dir: str | Path,
        deliver: Deliver | None = None,
        provider: IdentityProvider | None = None,
        parts: Parts | None = None,
        **settings: Any,
    ) -> None:
        """Check the settings and touch nothing; see `syncauth.App`."""
        self._app = asynchronous.App(
            url,
            app_id=app_id,
            data_dir=data_dir,
            deliver=deliver,
            provider=provider,
            parts=parts,
            **settings,
        )
        self._thread: LoopThread | None = None
        self._users: dict[AsyncUser, User] = {}

    def open(self) -> Self:
        """Start the thread and open the App; raises what `syncauth.App.open` does."""
        thread = LoopThread()
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
        return self._user(self._opened().call(self._app.log_in(credentials)))

    @property
    def current_user(self) -> User | None:
        """The user who logged in last and did not log out."""
        user = self._opened().run(lambda: self._app.current_user)
        return None if user is None else self._user(user)

    @property
    def users(self) -> tuple[User, ...]:
        """Everyone who has logged in on this device and was not removed."""
        return tuple(map(self._user, self._opened().run(lambda: self._app.users)))

    @property
    def email_password(self) -> EmailPassword:
        """What has to do with accounts before anybody is logged in to one."""
        return EmailPassword(self._opened(), self._app.email_password)

    def switch_user(self, user: User) -> None:
        """Make another user the current one."""
        self._opened().call(self._app.switch_user(user.asynchronous))

    def log_out(
        self,
        user: User | None = None,
        *,
        forget: bool = False,
        upload_first: bool = False,
        timeout: float | None = None,
        export: str | Path | None = None,
        discard: int | None = None,
    ) -> None:
        """Erase the user's tokens; its rows and unsent changes stay, unless they are discarded."""
        self._opened().call(
            self._app.log_out(
                None if user is None else user.asynchronous,
                forget=forget,
                upload_first=upload_first,
                timeout=timeout,
                export=export,
                discard=discard,
            )
        )

    def remove_user(self, user: User, *, discard: int = 0) -> None:
        """Log the user out and delete its file from this device."""
        self._opened().call(self._app.remove_user(user.asynchronous, discard=discard))

    def delete_user(self, user: User) -> None:
        """Delete the user at the server, then remove it from this device."""
        self._opened().call(self._app.delete_user(user.asynchronous))

    def history(self, user: User | None = None) -> Sequence[Transition]:
        """Return the moves of the sessions on this device that are kept, oldest first."""
        wanted = None if user is None else user.asynchronous
        return self._opened().run(lambda: self._app.history(wanted))

    def request_relogin(self, user: User | None = None) -> None:
        """Call `on_relogin_required` again, if a relogin is required."""
        wanted = None if user is None else user.asynchronous
        self._opened().run(lambda: self._app.request_relogin(wanted))

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
            user.asynchronous,
            tables=tables,
            counters=counters,
            keys=keys,
            local_triggers=local_triggers,
            create=create,
        )
        return OpenReplica(thread, thread.call(opening), user)

    def open_guest_replica(
        self,
        *,
        tables: Iterable[str],
        counters: Mapping[str, Iterable[str]] | None = None,
        keys: Mapping[str, str] | None = None,
        local_triggers: Iterable[str] = (),
        create: str = "",
    ) -> GuestReplica:
        """Open the file for rows that are written before the first login ever."""
        thread = self._opened()
        opening = self._app.open_guest_replica(
            tables=tables,
            counters=counters,
            keys=keys,
            local_triggers=local_triggers,
            create=create,
        )
        return GuestReplica(thread, thread.call(opening))

    def events(self) -> Iterator[Event]:
        """Yield every event published from this call on, in order, until the App closes."""
        thread = self._opened()
        return _iterate(thread, thread.run(self._app.events))

    def on_relogin_required(self, handler: _Handler) -> _Handler:
        """Call this handler when a session has ended and sync has stopped."""
        return self._register(self._app.on_relogin_required, handler)

    def on_session_expiring(self, handler: _Handler) -> _Handler:
        """Call this handler days before a refresh token ends."""
        return self._register(self._app.on_session_expiring, handler)

    def on_change_rejected(self, handler: _Handler) -> _Handler:
        """Call this handler for every change that the server refused."""
        return self._register(self._app.on_change_rejected, handler)

    def on_sync_error(self, handler: _Handler) -> _Handler:
        """Call this handler for every error of sync that is worth showing."""
        return self._register(self._app.on_sync_error, handler)

    def _user(self, user: AsyncUser) -> User:
        """Return the one blocking handle of a user."""
        return self._users.setdefault(user, User(self._opened(), user))

    def _register(self, register: Callable[[_Handler], _Handler], handler: _Handler) -> _Handler:
        if self._thread is None:
            return register(handler)
        return self._thread.run(lambda: register(handler))

    def _opened(self) -> LoopThread:
        if self._thread is None:
            what = "this App is not open"
            raise Closed(what, remedy="Use `with app:` or `app.open()`")
        return self._thread


def _iterate(thread: LoopThread, stream: EventStream) -> Iterator[Event]:
    try:
        while (event := thread.call(_next(stream))) is not None:
            yield event
    except Closed:
        if not thread.ended:
            raise
        yield from stream.rest()


async def _next(stream: EventStream) -> Event | None:
    return await anext(stream, None)
