"""
API keys: made, listed, disabled and deleted by their user, authorised by the refresh token as in App Services.

A key is 256 random bits, told once and kept as its hash. This module must never let a key into a text.
"""

from __future__ import annotations

import string
from typing import Final

from syncauth.interfaces import Clock, Randomness
from syncauth.models import Secret
from syncauth.server.accounts import answers
from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.issuer import token_hash
from syncauth.server.accounts.sessions import Sessions
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.interface import AccountStore, AddKeyOutcome, ApiKeyRecord
from syncauth.server.stores.thread import StoreThread

LONGEST_NAME: Final = 100
NAME_LETTERS: Final = frozenset(string.ascii_letters + string.digits + "-_")


class ApiKeys:
    """The API keys of one app's users. Its methods run on the event loop."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        store: AccountStore,
        thread: StoreThread,
        sessions: Sessions,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._limit = config.limits.api_keys
        self._store = store
        self._thread = thread
        self._sessions = sessions
        self._clock = clock
        self._randomness = randomness

    async def create(self, token: Secret, name: str) -> tuple[ApiKeyRecord, Secret] | Denied:
        """Make a key; its text is returned here and never again."""
        claims = await self._sessions.check_refresh(token)
        if isinstance(claims, Denied):
            return claims
        if not 0 < len(name) <= LONGEST_NAME or not NAME_LETTERS.issuperset(name):
            text = f"a key's name has 1 to {LONGEST_NAME} letters, digits, - and _"
            return Denied(400, "InvalidParameter", text)
        key = Secret(self._randomness.token(32).hex())
        record = ApiKeyRecord(self._sessions.new_id(), claims.user_id, name, disabled=False)
        now = self._clock.wall()
        outcome = await self._thread.run(
            lambda: self._store.add_api_key(
                record, key_hash=token_hash(key), limit=self._limit, now=now
            )
        )
        denials = {
            AddKeyOutcome.NAME_TAKEN: Denied(409, "APIKeyAlreadyExists", "API key already exists"),
            AddKeyOutcome.TOO_MANY: Denied(
                400, "BadRequest", f"a user has at most {self._limit} API keys"
            ),
            AddKeyOutcome.ANONYMOUS: Denied(
                400, "BadRequest", "an anonymous user cannot have API keys"
            ),
            AddKeyOutcome.NO_USER: answers.session_ended("user_removed"),
        }
        return denials.get(outcome) or (record, key)

    async def all(self, token: Secret) -> tuple[ApiKeyRecord, ...] | Denied:
        """Return the user's keys, without their texts."""
        claims = await self._sessions.check_refresh(token)
        if isinstance(claims, Denied):
            return claims
        return await self._thread.run(self._store.api_keys, claims.user_id)

    async def one(self, token: Secret, key_id: str) -> ApiKeyRecord | Denied:
        """Return one key, without its text."""
        keys = await self.all(token)
        if isinstance(keys, Denied):
            return keys
        found = [key for key in keys if key.key_id == key_id]
        return found[0] if found else answers.API_KEY_NOT_FOUND

    async def set_disabled(self, token: Secret, key_id: str, *, disabled: bool) -> Denied | None:
        """Disable or enable a key; disabling ends the sessions that were opened with it."""
        claims = await self._sessions.check_refresh(token)
        if isinstance(claims, Denied):
            return claims
        now = self._clock.wall()
        return self._told(
            await self._thread.run(
                lambda: self._store.set_api_key_disabled(
                    claims.user_id, key_id, disabled=disabled, now=now
                )
            )
        )

    async def remove(self, token: Secret, key_id: str) -> Denied | None:
        """Delete a key and end the sessions that were opened with it."""
        claims = await self._sessions.check_refresh(token)
        if isinstance(claims, Denied):
            return claims
        now = self._clock.wall()
        return self._told(
            await self._thread.run(self._store.remove_api_key, claims.user_id, key_id, now)
        )

    def _told(self, ended: tuple[str, ...] | None) -> Denied | None:
        if ended is None:
            return answers.API_KEY_NOT_FOUND
        self._sessions.ended(ended)
        return None
