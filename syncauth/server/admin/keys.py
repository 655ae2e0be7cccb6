"""
Admin keys: made in the shell, exchanged here for a token of half an hour.

A key is an id, which is no secret, and 256 random bits, which are told once and kept as their SHA-256. Unknown, wrong
and disabled keys are answered alike and slowed down. A token is as good as its key: the key is looked up at each call,
so that disabling one works at once. This module must never let a secret into a text.
"""

from __future__ import annotations

import hmac
import string
from typing import Final

from syncauth.errors import InvalidConfig
from syncauth.interfaces import Clock, Randomness
from syncauth.models import Secret
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.issuer import Issued, Issuer, token_hash
from syncauth.server.accounts.pace import Pace
from syncauth.server.admin import audit
from syncauth.server.settings.config import MINUTE
from syncauth.server.stores.admin_interface import AdminKeyRecord, AdminStore
from syncauth.server.stores.thread import StoreThread

TOKEN_SECONDS: Final = 30 * MINUTE
"""How long the token lives that a key is exchanged for, as in App Services."""

PREFIX: Final = "syncauth_admin_"
"""By which programs that look for leaked secrets can know one."""

ID_BYTES: Final = 12
SECRET_BYTES: Final = 32
LONGEST_NAME: Final = 100
NAME_LETTERS: Final = frozenset(string.ascii_letters + string.digits + "-_.")

WRONG_KEY: Final = Denied(401, "AuthError", "invalid username/apiKey")
NO_SESSION: Final = Denied(401, "InvalidSession", "invalid session")


def make_key(name: str, randomness: Randomness, now: float) -> tuple[AdminKeyRecord, Secret]:
    """Make a key to be kept and its secret to be told; nothing is written.

    Raises:
        InvalidConfig: the name cannot be used.
    """
    if not 0 < len(name) <= LONGEST_NAME or not NAME_LETTERS.issuperset(name):
        raise InvalidConfig(
            "the name of the admin key cannot be used",
            setting="--name",
            why=f"it has 1 to {LONGEST_NAME} letters, digits and - _ .",
            remedy="Say who will use it",
        )
    secret = Secret(PREFIX + randomness.token(SECRET_BYTES).hex())
    key_id = randomness.token(ID_BYTES).hex()
    return AdminKeyRecord(key_id, name, token_hash(secret), disabled=False, created_at=now), secret


class AdminKeys:
    """The admin keys of one server. Its methods run on the event loop."""

    def __init__(
        self,
        *,
        store: AdminStore,
        thread: StoreThread,
        issuer: Issuer,
        pace: Pace,
        clock: Clock,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._store = store
        self._thread = thread
        self._issuer = issuer
        self._pace = pace
        self._clock = clock

    async def log_in(self, key_id: str, secret: Secret, address: str) -> Issued | Denied:
        """Exchange a key for a token."""
        account = f"admin {key_id}"
        if slowed := self._pace.login(account, address):
            return slowed
        key = await self._thread.run(self._store.admin_key, key_id)
        # Compared in any case, and in a time that does not tell how much of it is right.
        known = key.key_hash if key is not None else bytes(32)
        right = hmac.compare_digest(known, token_hash(secret))
        if key is None or key.disabled or not right:
            audit.note_refused(None if key is None else key.key_id, address)
            return WRONG_KEY
        self._pace.proved(account, address)
        audit.note_login(key.key_id, address)
        return self._issuer.admin_token(key.key_id, now=self._clock.wall(), life=TOKEN_SECONDS)

    async def check(self, token: Secret) -> str | Denied:
        """Return the id of the key that a token came from, if it still counts."""
        key_id = self._issuer.verify_admin(token, self._clock.wall())
        key = None if key_id is None else await self._thread.run(self._store.admin_key, key_id)
        return NO_SESSION if key is None or key.disabled else key.key_id
