"""
The app's writers go first: a replica that applies page after page would leave them the lock by luck alone.

SQLite has no queue for its write lock; a writer that waits looks for it ever more rarely, and a thread that takes it
again at once keeps it. So the replica waits a moment before each transaction while a call of the app is under way.
Writers in other processes cannot be seen. For them the lock is left free now and then, for as long as SQLite lets a
writer sleep that has waited since the last time: it cannot miss it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

LONGEST_WAIT: Final = 0.05
"""How long the replica waits for calls of the app, in seconds, before each of its transactions."""

PAGES: Final = 3
"""How many pages of a download are applied in a row, each in some 40 ms."""

REST: Final = 0.025
"""How long the lock is free after that, in seconds: SQLite's busy handler sleeps no longer in its first 128 ms."""


class Courtesy:
    """Counts the calls of the app that are under way on one file."""

    def __init__(self) -> None:
        """Begin with none."""
        self._changed = threading.Condition()
        self._calls = 0
        self._pages = 0

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
        """Wait until no call is under way, at most `LONGEST_WAIT`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._calls, LONGEST_WAIT)

    def page_applied(self, *, last: bool) -> None:
        """Leave the lock free for a moment after some pages in a row; `last` says that no page follows at once."""
        self._pages = 0 if last else self._pages + 1
        if self._pages >= PAGES:
            self._pages = 0
            with self._changed:
                self._changed.wait(REST)
