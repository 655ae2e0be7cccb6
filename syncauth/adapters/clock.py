"""
The machine's clock: the one door to time.

Everything else takes a `Clock` (`syncauth.interfaces`) as an argument, so that it also runs in
virtual time. This module must never sleep or plan anything.
"""

from __future__ import annotations

import time


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        return time.monotonic()

    def wall(self) -> float:
        """Return wall-clock seconds since the epoch, which may jump."""
        return time.time()
