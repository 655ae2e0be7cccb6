"""
The lives of tokens as they are now: those of the settings, unless an administrator has changed them.

Changes are kept in the store, for all processes and beyond a restart, and hold for what is signed from then on. What
was kept and is out of the range of this server's mode does not count. This module must never know who may change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from syncauth.interfaces import Clock
from syncauth.server.settings.config import ServerConfig, access_range, refresh_range
from syncauth.server.stores.admin_interface import AdminStore, Lifetime
from syncauth.server.stores.thread import StoreThread

LOOK_AGAIN: Final = 0.5
"""Seconds after which the store is asked again: every process knows of a change within one."""


class LiveLifetimes:
    """The lives of one app's tokens. Its methods run on the event loop."""

    def __init__(
        self, config: ServerConfig, *, store: AdminStore, thread: StoreThread, clock: Clock
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._config = config
        self._store = store
        self._thread = thread
        self._clock = clock
        self._changed: dict[Lifetime, int] = {}
        self._looked_at: float | None = None

    async def seconds(self, which: Lifetime) -> int:
        """Return a life that is at most `LOOK_AGAIN` seconds out of date."""
        now = self._clock.now()
        if self._looked_at is None or not 0 <= now - self._looked_at < LOOK_AGAIN:
            # Together, for under load many ask at the same moment.
            self._changed = await self._thread.together(self._look, None)
            self._looked_at = now
        return seconds_of(self._config, self._changed, which)

    def _look(self, askers: Sequence[None]) -> list[dict[Lifetime, int]]:
        """Read once, in the store thread, for all who ask now."""
        return [self._store.changed_lifetimes()] * len(askers)

    async def change(self, which: Lifetime, seconds: int) -> bool:
        """Change a life; False, and nothing is changed, if it is out of its range."""
        if not is_allowed(self._config, which, seconds):
            return False
        await self._thread.run(self._store.change_lifetime, which, seconds)
        self._looked_at = None
        return True

    def range_of(self, which: Lifetime) -> tuple[int, int]:
        """Return the shortest and the longest life that this server allows, in seconds."""
        return range_of(self._config, which)


def seconds_of(config: ServerConfig, changed: dict[Lifetime, int], which: Lifetime) -> int:
    """Return the life that holds when these have been changed."""
    seconds = changed.get(which)
    if seconds is not None and is_allowed(config, which, seconds):
        return seconds
    lives = config.lifetimes
    return lives.access_seconds if which is Lifetime.ACCESS else lives.refresh_seconds


def range_of(config: ServerConfig, which: Lifetime) -> tuple[int, int]:
    """Return the shortest and the longest life that this server allows, in seconds."""
    ranges = {Lifetime.ACCESS: access_range, Lifetime.REFRESH: refresh_range}
    return ranges[which](test_mode=config.test_mode)


def is_allowed(config: ServerConfig, which: Lifetime, seconds: int) -> bool:
    """Tell whether a life is within its range."""
    low, high = range_of(config, which)
    return low <= seconds <= high
