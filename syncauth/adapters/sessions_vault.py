"""
Tokens sealed for the credential store: each user's pair under a data key of its own, which the store key wraps.

To erase a user is to erase its data key. What is sealed is bound to the issuer, the app, the user and the field, so
that a row moved to another user, or a token of another issuer, does not open. This module must never show a token.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from syncauth.adapters.keys import KEY_BYTES, Keys, seal, unseal
from syncauth.interfaces import Randomness
from syncauth.models import Secret, TokenPair

_REVOCATION: Final = "revocation"


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals and opens; `scope` is what tokens are bound to besides the user."""

    keys: Keys
    scope: str
    randomness: Randomness

    def sealed(self, user_id: str, tokens: TokenPair) -> dict[str, Any]:
        """Return the columns of a pair, under a fresh data key."""
        key = self.randomness.token(KEY_BYTES)
        text = base64.b64encode(key).decode()
        wrapped = seal(self.keys.store, text, self._bound(user_id, "data key"), self.randomness)
        pair = {"access": tokens.access, "refresh": tokens.refresh}
        columns = {
            name: seal(key, token.reveal(), self._bound(user_id, name), self.randomness)
            for name, token in pair.items()
        }
        lives = {"life": tokens.life, "refresh_life": tokens.refresh_life}
        return {"data_key": wrapped, **lives, **columns}

    def opened(self, row: Mapping[str, Any]) -> TokenPair | None:
        """Return the pair of a row of `users`, or None if it has none; raises `WrongKey`."""
        if row["data_key"] is None:
            return None
        user = row["user_id"]
        bound = self._bound(user, "data key")
        key = base64.b64decode(unseal(self.keys.store, row["data_key"], bound))
        access = unseal(key, row["access"], self._bound(user, "access"))
        refresh = unseal(key, row["refresh"], self._bound(user, "refresh"))
        return TokenPair(Secret(access), Secret(refresh), row["life"], row["refresh_life"])

    def seal_revocation(self, token: Secret) -> bytes:
        """Seal a refresh token that only waits to be revoked."""
        bound = self._bound("", _REVOCATION)
        return seal(self.keys.revocation, token.reveal(), bound, self.randomness)

    def open_revocation(self, sealed: bytes) -> Secret:
        """Return a refresh token that waits to be revoked; raises `WrongKey`."""
        return Secret(unseal(self.keys.revocation, sealed, self._bound("", _REVOCATION)))

    def _bound(self, user_id: str, what: str) -> str:
        return json.dumps([self.scope, user_id, what])
