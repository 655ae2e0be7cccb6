"""
The way in while a server is about to end: shut for what is new, open for what is under way.

`Gate` counts requests under way and says whether new ones are let in. It must never end one: who has waited long enough
for it does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

OPEN_ALWAYS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Those who watch the server are answered until its end."""


class Gate:
    """Whether the server takes new requests and sockets, and which requests it has. Used on the event loop."""

    def __init__(self, retry_after: float) -> None:
        """Begin open; `retry_after` is after how many seconds those who are sent away may come again."""
        self.retry_after = retry_after
        self._draining = False
        self._limits: set[asyncio.Timeout] = set()  # of those who wait
        self._hurried = False
        self._under_way = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def draining(self) -> bool:
        """Whether nothing new is taken."""
        return self._draining

    @property
    def under_way(self) -> int:
        """How many requests have not been answered to the end."""
        return self._under_way

    def enter(self) -> None:
        """Count a request until it leaves."""
        self._under_way += 1
        self._empty.clear()

    def leave(self) -> None:
        """Count no longer a request that has been answered to the end."""
        self._under_way -= 1
        if not self._under_way:
            self._empty.set()

    async def drain(self, send_away: Callable[[], Awaitable[object]], within: float) -> None:
        """Let nothing new in; return when sockets and requests have ended, or when the time is up."""
        self._draining = True
        limit = asyncio.timeout(0 if self._hurried else within)
        with contextlib.suppress(TimeoutError):
            async with limit:
                self._limits.add(limit)
                try:
                    await send_away()
                    await self._empty.wait()
                finally:
                    self._limits.discard(limit)

    def hurry(self) -> None:
        """End the waiting now, of all who wait."""
        self._hurried = True
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(asyncio.get_running_loop().time())
