"""
Keys that an issuer publishes as a JSON Web Key Set (RFC 7517), fetched when they are needed and kept for a while.

Fetched anew when they are old, and for a key that is not known: three times at once, then once a minute, so that a
rotation is noticed at its first token, and tokens with invented key ids cannot make this server a nuisance. Old keys
go on serving while the issuer cannot be reached, and nobody who needs a known key waits for a fetch. Where the place is
discovered, the issuer's metadata are asked each time. This module must never believe metadata of another issuer, nor a
place less safe than the issuer's own.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from syncauth.server.accounts.issuer_documents import fetch_object
from syncauth.server.accounts.rate_limit import RateLimit
from syncauth.server.settings.issuers import is_loopback, is_safe_place

OLD_AFTER: Final = 3600.0
AGAIN_AFTER: Final = 60.0
"""Seconds for which old keys go on serving after a newer set was asked for in vain."""

AGAIN_WITHOUT_KEYS: Final = 5.0
"""Seconds between two fetches while there is nothing to go on with."""

FETCHES_AT_ONCE: Final = 3
FETCHES_PER_MINUTE: Final = 1

WELL_KNOWN: Final = "/.well-known/openid-configuration"

KeySetContent = dict[str, Any]


class PublishedKeys:
    """The key set at one URL, or of one issuer whose metadata tell the URL."""

    def __init__(self, *, url: str = "", issuer: str = "") -> None:
        """Take `url`, or else the issuer to be asked for it; fetch nothing yet."""
        self._url = url
        self._issuer = issuer
        self._content: KeySetContent | None = None
        self._had: float | None = None
        self._asked: float | None = None
        self._pace = RateLimit(burst=FETCHES_AT_ONCE, per_minute=FETCHES_PER_MINUTE)
        self._fetches = 0
        self._lock = asyncio.Lock()

    def known(self, now: float) -> KeySetContent | None:
        """Return the set if it is not old, or if a newer one was asked for just now; `now` is monotonic."""
        young = self._had is not None and now - self._had <= OLD_AFTER
        asked = self._asked is not None and now - self._asked < AGAIN_AFTER
        return self._content if young or asked else None

    async def renewed(self, now: float) -> KeySetContent | None:
        """Return the set, fetched anew if it is time for that; None if it could never be had."""
        before = self._fetches
        async with self._lock:
            # Whoever has waited for the fetch of another has what came of it.
            if self._fetches == before and self._may_fetch(now):
                self._asked = now
                if found := await self._fetch():
                    self._content, self._had = found, now
                self._fetches += 1
            return self._content

    def _may_fetch(self, now: float) -> bool:
        if self._content is None:
            return self._asked is None or now - self._asked >= AGAIN_WITHOUT_KEYS
        return self._pace.take(self._url or self._issuer, now) == 0

    async def _fetch(self) -> KeySetContent | None:
        url = self._url or await self._discover()
        content = await fetch_object(url) if url else None
        # What is no key set must not take the place of one.
        return content if content and isinstance(content.get("keys"), list) else None

    async def _discover(self) -> str | None:
        """Ask the issuer where its keys are (OpenID Connect Discovery 1.0, sections 4.1 and 4.3)."""
        told = await fetch_object(self._issuer.removesuffix("/") + WELL_KNOWN)
        if told is None or told.get("issuer") != self._issuer:
            return None
        place = told.get("jwks_uri")
        return place if isinstance(place, str) and is_as_safe(place, self._issuer) else None


def is_as_safe(place: str, issuer: str) -> bool:
    """Tell whether an issuer may name this place: https, or loopback for an issuer on loopback.

    An https issuer may name another host: large issuers keep their keys apart. Neither may send
    this server to plain http elsewhere, and only one on loopback may name loopback.
    """
    return is_safe_place(place) and is_loopback(place) == is_loopback(issuer)
