"""
How an App tells its program: decorators for handlers, and the stream of all events.

This module must never decide when the app is told; it hands on what the driver publishes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from syncauth.announcer import Announcer, Deliver, EventStream
from syncauth.events import ChangeRejected, ReloginRequired, SessionExpiring, SyncErrorRaised

log = logging.getLogger("syncauth")

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class Telling:
    """The part of an App by which its program is told."""

    def __init__(self, deliver: Deliver | None) -> None:
        """Use `deliver`, if given, to run plain handlers where they belong."""
        self._announcer = Announcer(deliver)
        self._hooks: list[Callable[[ReloginRequired], Any]] = []

    def events(self) -> EventStream:
        """Yield every event published from this call on, in order, until the App closes."""
        return self._announcer.stream()

    def on_relogin_required(self, handler: _Handler) -> _Handler:
        """Call this handler when a session has ended and sync has stopped.

        See `ReloginRequired`.
        """
        self._hooks.append(handler)
        self._hook_registered()
        return handler

    def on_session_expiring(self, handler: _Handler) -> _Handler:
        """Call this handler with a `SessionExpiring`, days before a refresh token ends."""
        self._announcer.on(SessionExpiring, handler)
        return handler

    def on_change_rejected(self, handler: _Handler) -> _Handler:
        """Call this handler with a `ChangeRejected` for every change that the server refused."""
        self._announcer.on(ChangeRejected, handler)
        return handler

    def on_sync_error(self, handler: _Handler) -> _Handler:
        """Call this handler with a `SyncErrorRaised` for every error that is worth showing."""
        self._announcer.on(SyncErrorRaised, handler)
        return handler

    def _hook_registered(self) -> None:
        """There is a handler for `on_relogin_required`; an open App says so to its driver."""

    async def _call_hooks(self, event: ReloginRequired) -> None:
        for hook in tuple(self._hooks):
            try:
                await self._announcer.call(hook, event)
            except Exception:  # the app's own: it must not keep the other handlers from being told
                log.exception("a handler for on_relogin_required failed")
