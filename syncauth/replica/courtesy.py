"""
The app's writers go first: a replica that applies page after page would leave them the lock by luck alone.

SQLite has no queue for its write lock; a writer that waits looks for it ever more rarely, and a thread that takes it
again at once keeps it. So the replica waits a moment before each transaction while a call of the app is under way.
Writers in other processes cannot be seen. For them the lock is left free now and then, for as long as SQLite lets a
writer sleep that has waited since the last time: it cannot miss it.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import Final

LONGEST_WAIT: Final = 0.05
"""How long the replica waits for calls of the app, in seconds, before each of its transactions."""

REST: Final = 0.025
"""How long the lock is left free, in seconds: SQLite's busy handler sleeps no longer in its first 128 ms."""

STRETCH: Final = 0.1
"""How long pages are applied without a rest, in seconds: with it less than those 128 ms."""


class Courtesy:
    """Counts the calls of the app that are under way on one file."""

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        """Begin with none; `clock` tells monotonic seconds. One that stands still lets pages follow at once."""
        self._clock = clock
        self._changed = threading.Condition()
        self._calls = 0
        self._stretch_began = self._began = self._ended = -math.inf

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """Be under way."""
        with self._changed:
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def give_way(self) -> None:
        """Wait until no call is under way, at most `LONGEST_WAIT`; a transaction of the replica begins then."""
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, LONGEST_WAIT)
        self._began = self._clock()
        if self._began - self._ended >= REST:
            self._stretch_began = self._began  # the lock was free for long enough

    def page_applied(self, *, last: bool) -> None:
        """Leave the lock free for a moment if the next page would end too late; `last`: none follows at once."""
        now = self._clock()
        next_end = now + (now - self._began)
        if not last and next_end - self._stretch_began > STRETCH:
            with self._changed:
                self._changed.wait(REST)
            self._stretch_began = self._clock()
        self._ended = self._clock()
