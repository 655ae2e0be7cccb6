"""
Who waits for the end of a session in this process: streams, which would otherwise look at it once a second.

Sessions that another process ends are not told here; whoever waits looks at the store as well. This module must never
end a session.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence


class Endings:
    """Futures by session. Its methods run on the event loop."""

    def __init__(self) -> None:
        """Begin with nobody who waits."""
        self._waiting: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def of(self, session_id: str) -> asyncio.Future[None]:
        """Return a future that is done once the session has been ended; who waits no longer cancels it."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[session_id].add(future)
        future.add_done_callback(lambda done: self._forget(session_id, done))
        return future

    def _forget(self, session_id: str, future: asyncio.Future[None]) -> None:
        self._waiting[session_id].discard(future)
        if not self._waiting[session_id]:
            del self._waiting[session_id]

    def tell(self, session_ids: Sequence[str]) -> None:
        """Let those go on who wait for these sessions."""
        for session_id in session_ids:
            for future in self._waiting.get(session_id, ()):
                if not future.done():
                    future.set_result(None)

    def __len__(self) -> int:
        """Count the sessions whose end is waited for."""
        return len(self._waiting)
