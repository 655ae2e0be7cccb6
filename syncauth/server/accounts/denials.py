"""
Denials: which subjects of other issuers are kept out, by whoever runs the server.

The issuer's own revocations are not known here before a token ends, so that this is how its users are cut off at once.
This module must never ask an issuer.
"""

from __future__ import annotations

from collections.abc import Sequence

from syncauth.interfaces import Clock
from syncauth.server.accounts.sessions import Revoked
from syncauth.server.stores.interface import AccountStore
from syncauth.server.stores.subjects import DeniedSubject, read_subject_session
from syncauth.server.stores.thread import StoreThread


class Denials:
    """Keeps subjects out and lets them in again. Its methods run on the event loop."""

    def __init__(
        self, *, store: AccountStore, thread: StoreThread, clock: Clock, on_revoked: Revoked
    ) -> None:
        """Take the parts; all calls to `store` are made in `thread`."""
        self._store = store
        self._thread = thread
        self._clock = clock
        self._on_revoked = on_revoked

    async def deny(self, issuer: str, subject: str) -> int:
        """Keep (issuer, subject) out, known or not, and cut what it has open.

        Its sessions end and its open sockets are closed, at other processes within a second.
        Returns how many sessions that its tokens opened were ended.
        """
        now = self._clock.wall()
        ended = await self._thread.run(self._store.deny_subject, issuer, subject, now)
        self._on_revoked(ended)
        return sum(read_subject_session(each) is None for each in ended)

    async def allow(self, issuer: str, subject: str) -> bool:
        """Let it in again, also if its user was removed; False if it was not kept out."""
        return await self._thread.run(self._store.allow_subject, issuer, subject)

    async def all(self) -> Sequence[DeniedSubject]:
        """Return all denials, by issuer and subject."""
        return await self._thread.run(self._store.denied_subjects)
