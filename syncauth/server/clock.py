"""
The server's real clock and randomness: the only module of the server that reads either.

Everything else gets both as arguments, so that the whole server runs in virtual time. This module
must never be imported by anything but what starts the server: `SyncServer` and the command.
"""

from __future__ import annotations

import secrets
import time


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        return time.monotonic()

    def wall(self) -> float:
        """Return wall-clock seconds since the epoch, which may jump."""
        return time.time()


class SystemRandomness:
    """The randomness of the operating system."""

    def token(self, size: int) -> bytes:
        """Return `size` bytes fit for identifiers and keys."""
        return secrets.token_bytes(size)

    def fraction(self) -> float:
        """Return a number from 0 (inclusive) to 1 (exclusive), for jitter."""
        return secrets.randbits(53) / (1 << 53)
