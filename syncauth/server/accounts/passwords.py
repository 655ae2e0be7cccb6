"""
Passwords: argon2id at the OWASP parameters, in a few threads of their own, never on the event loop.

Hashing is meant to cost 19 MiB and some 30 ms, so both the threads and the line before them are
bounded: a flood of logins is told to come back and cannot take the memory of the sync sockets. This
module must never keep, log or return a password, and is the one door to `argon2`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from syncauth.errors import Closed, ServerBusy
from syncauth.models import Secret
from syncauth.server.settings.config import PasswordCost

THREADS: Final = 2
LONGEST_LINE: Final = 64
"""Hashings under way and waiting, about a second's work; one more is refused."""

T = TypeVar("T")


class Passwords:
    """Makes and verifies password hashes."""

    def __init__(self, cost: PasswordCost) -> None:
        """Choose the cost: "owasp" (19 MiB, 2 passes, 1 lane), or "low" for test mode."""
        passes, kibibytes = (2, 19 * 1024) if cost == "owasp" else (1, 64)
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=kibibytes, parallelism=1, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="syncauth-passwords")
        self._line = 0
        self._closed = False
        self._nobody = self._hasher.hash("no account has this hash")

    @property
    def line(self) -> int:
        """How many hashings are under way or wait."""
        return self._line

    async def hash(self, password: Secret) -> str:
        """Return the encoded hash, salt and parameters included; raises as `verify`."""
        return await self._run(lambda: self._hasher.hash(password.reveal()))

    async def verify(self, password_hash: str | None, password: Secret) -> bool:
        """Tell whether the password is the one that was hashed; raises `ServerBusy`, or `Closed` after the end.

        None stands for an account that does not exist: it costs the same time and is never right,
        so that nobody can learn from the clock which accounts there are.
        """
        return await self._run(lambda: self._verify(password_hash, password))

    def close(self) -> None:
        """End the threads; idempotent."""
        self._closed = True
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _verify(self, password_hash: str | None, password: Secret) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobody, password.reveal())
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._line >= LONGEST_LINE:
            what = "too many passwords are being checked at once"
            raise ServerBusy(what, retry_after=1.0)
        if self._closed:
            raise _closed()
        self._line += 1
        future = self._threads.submit(work)
        # Counted until the thread is done, also when the caller has gone away in the meantime.
        waiting = asyncio.wrap_future(future)
        waiting.add_done_callback(lambda _done: self._leave())
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if future.cancelled():  # by `close`, while it stood in the line
                raise _closed() from None
            raise

    def _leave(self) -> None:
        self._line -= 1


def _closed() -> Closed:
    return Closed("passwords are no longer checked", remedy="Start the server again")
