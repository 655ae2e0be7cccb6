"""
The keys of one server as values: which one signs, which tokens of the others may still be good, what is published.

One key signs. The next one is there already, so that whoever has fetched the public keys knows it when its time comes.
Of a retired key only the public part is kept, for the tokens that it signed: refresh tokens until their end, access
tokens for their longest life. All keys are on P-256, for ES256 (RFC 7518 section 3.4). This module must never read a
clock or a file, nor let a key into a text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from joserfc.jwk import ECKey

from syncauth.server.settings.config import DAY

CURVE: Final = "P-256"

NOTICE: Final = 60.0
"""Seconds for which a process that has not looked yet might sign with a key that was retired; far too many."""

Alive = Callable[[float], bool]
"""Tells whether a session that was opened before this wall-clock time may still be used."""


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key and its id, its thumbprint (RFC 7638), by which the header of a token names it."""

    key: ECKey = field(repr=False)
    kid: str

    @classmethod
    def of(cls, key: ECKey) -> OwnKey:
        """Work out the id."""
        return cls(key, key.thumbprint())

    @classmethod
    def made(cls) -> OwnKey:
        """Make a new private key."""
        return cls.of(ECKey.generate_key(CURVE, private=True))


@dataclass(frozen=True, slots=True)
class RetiredKey:
    """The public part of a key that signed until `retired_at`, in wall-clock seconds."""

    own: OwnKey
    retired_at: float

    def signs_access(self, now: float) -> bool:
        """Tell whether an access token that it signed may still be good."""
        return now < self.retired_at + DAY + NOTICE

    def is_spent(self, now: float, alive: Alive) -> bool:
        """Tell whether nothing that it signed can be used: each token is a session's, and none outlives it."""
        return not self.signs_access(now) and not alive(self.retired_at + NOTICE)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """All keys of one server."""

    signing: OwnKey
    following: OwnKey
    retired: tuple[RetiredKey, ...] = ()

    @classmethod
    def made(cls) -> KeyRing:
        """Make new keys, and know no others."""
        return cls(OwnKey.made(), OwnKey.made())

    def key_of(self, kid: object, *, now: float, access: bool) -> ECKey | None:
        """Return the key of that id if tokens that it signed may be good: access tokens, or refresh tokens."""
        # Another process may be the first to see that the next key signs.
        for own in (self.signing, self.following):
            if own.kid == kid:
                return own.key
        for old in self.retired:
            if old.own.kid == kid and (old.signs_access(now) or not access):
                return old.own.key
        return None

    def published(self, now: float) -> list[dict[str, Any]]:
        """Return the public keys with which access tokens are verified (RFC 7517 section 4)."""
        old = [each.own for each in self.retired if each.signs_access(now)]
        return [
            {**own.key.as_dict(private=False), "kid": own.kid, "use": "sig", "alg": "ES256"}
            for own in (self.signing, self.following, *old)
        ]

    def rotated(self, now: float) -> KeyRing:
        """Return the ring in which the next key signs, and the one that did is retired."""
        gone = ECKey.import_key(self.signing.key.as_dict(private=False))
        retired = RetiredKey(OwnKey(gone, self.signing.kid), now)
        return KeyRing(self.following, OwnKey.made(), (*self.retired, retired))

    def without_spent(self, now: float, alive: Alive) -> KeyRing:
        """Return the ring without the retired keys of which nothing can be used."""
        return replace(
            self, retired=tuple(each for each in self.retired if not each.is_spent(now, alive))
        )
