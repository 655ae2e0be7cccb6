"""A user's access token without an App: it counts its renewals, as an account server would."""

from __future__ import annotations

import asyncio
import threading

from syncauth.models import Secret


class CountingTokens:
    """Hands out "token-1", and the next number after each renewal.

    `dead` are tokens that it no longer counts as usable; `life` is what a new token has, `left` what the present one
    has. A renewal waits for `may_renew`, so that a test can let others come meanwhile; `failure` is raised instead.
    """

    def __init__(self, *, life: float = 1800.0) -> None:
        self.renewals = 0
        self.waiting = 0
        self.life = self.left = life
        self.failure: Exception | None = None
        self.may_renew = threading.Event()
        self.may_renew.set()
        self.dead: set[str] = set()
        self._lock = threading.Lock()

    @property
    def present(self) -> str:
        return f"token-{self.renewals + 1}"

    async def valid_access_token(self, rejected: Secret | None = None) -> Secret:
        return await asyncio.to_thread(self.valid_access_token_now, rejected)

    def valid_access_token_now(self, rejected: Secret | None = None) -> Secret:
        if rejected is not None:
            self.dead.add(rejected.reveal())
        with self._lock:
            self.waiting += 1
        self.may_renew.wait(10)
        with self._lock:
            self.waiting -= 1
            if self.present in self.dead:
                if self.failure is not None:
                    raise self.failure
                self.renewals += 1
                self.left = self.life
            return Secret(self.present)

    def usable_access_token(self) -> Secret | None:
        return None if self.present in self.dead else Secret(self.present)

    def remaining_life(self) -> float:
        return 0.0 if self.present in self.dead else self.left
