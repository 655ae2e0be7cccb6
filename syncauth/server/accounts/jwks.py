"""
Keys that an issuer publishes as a JSON Web Key Set, fetched when they are needed and kept for a while.

Fetched anew when they are old, and for a key that is not known, but not more often than once a minute, so that tokens
with invented key ids cannot make this server a nuisance. Old keys go on serving while the issuer cannot be reached.
This module must never follow a redirect, nor read more than a small document.
"""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Final

import msgspec

SECONDS_TO_ANSWER: Final = 10.0
LARGEST: Final = 200_000
OLD_AFTER: Final = 3600.0
AGAIN_AFTER: Final = 60.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """Refuse: the settings name the place, nobody else."""


class PublishedKeys:
    """The key set at one URL."""

    def __init__(self, url: str) -> None:
        """Fetch nothing yet."""
        self._url = url
        self._content: dict[str, Any] | None = None
        self._asked: float | None = None
        self._lock = asyncio.Lock()

    async def get(self, now: float, *, fresh: bool) -> dict[str, Any] | None:
        """Return the set, or None if it could never be had; `fresh` asks for a newer one.

        `now` is monotonic.
        """
        async with self._lock:
            age = None if self._asked is None else now - self._asked
            wanted = fresh or self._content is None or (age or 0) > OLD_AFTER
            if wanted and (age is None or age >= AGAIN_AFTER):
                self._asked = now
                found = await asyncio.to_thread(self._fetch)
                self._content = found or self._content
            return self._content

    def _fetch(self) -> dict[str, Any] | None:
        opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
        try:
            with opener.open(self._url, timeout=SECONDS_TO_ANSWER) as answer:
                text = answer.read(LARGEST + 1)
            return msgspec.json.decode(text, type=dict[str, Any]) if len(text) <= LARGEST else None
        except (OSError, HTTPException, ValueError, msgspec.MsgspecError, RecursionError):
            return None
