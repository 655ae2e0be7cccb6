"""
Parts of an App that stop their process at one step of a login, a refresh, a logout or a removal.

Everything is done by the real parts; before or after one of their calls the process tells the step
and stops itself, once, so that whoever started it can kill it just there, or let others go first.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from syncauth.interfaces import CredentialStore, IdentityProvider
from syncauth.models import RefreshAnswer, Secret
from syncauth.parts import Parts
from syncauth.sansio import effects
from syncauth.sansio.effects import StoreWrite, Transition

Reach = Callable[[str], None]

_NAMES: dict[type[Any], str] = {
    effects.PutLogin: "login",
    effects.PutMark: "mark",
    effects.PutTokens: "tokens",
    effects.PutLogout: "logout",
    effects.PutRemoval: "removal",
    effects.DropRemoval: "removal_done",
    effects.DropRevocation: "revocation_done",
}


def stopping_parts(parts: Parts, step: str, tell: Callable[[str], None]) -> Parts:
    """Return the parts, which call `tell` and stop the process when `step` is first reached.

    Steps are `before_…` and `after_…` of: `login`, `mark`, `tokens`, `logout`, `removal`, `removal_done`,
    `revocation_done` (commits), `request` (of a refresh), `revoke`, `erasing`, `files`.
    """
    left = {step}

    def reach(here: str) -> None:
        if here in left:
            left.remove(here)
            tell(here)
            os.kill(os.getpid(), signal.SIGSTOP)

    return replace(
        parts,
        store=_StoppingStore(parts.store, reach),
        provider=_StoppingProvider(parts.provider, reach),
    )


class _StoppingStore:
    """The real store, with a step before and after each commit."""

    def __init__(self, store: CredentialStore, reach: Reach) -> None:
        self._store = store
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, writes: Sequence[StoreWrite], history: Sequence[Transition] = ()) -> None:
        names = [_NAMES[type(write)] for write in writes if type(write) in _NAMES]
        for name in names:
            self._reach(f"before_{name}")
        self._store.commit(writes, history)
        for name in names:
            self._reach(f"after_{name}")

    def finish_erasing(self) -> bool:
        self._reach("before_erasing")
        done = self._store.finish_erasing()
        self._reach("after_erasing")
        return done

    def waiting_removals(self) -> Sequence[tuple[str, int | None]]:
        waiting = self._store.waiting_removals()
        if waiting:  # whoever asked goes on with what it read
            self._reach("before_files")
        return waiting


class _StoppingProvider:
    """The real provider, with a step before and after each call."""

    def __init__(self, provider: IdentityProvider, reach: Reach) -> None:
        self._provider = provider
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._provider, name)

    async def refresh(self, refresh_token: Secret, refresh_id: str) -> RefreshAnswer:
        self._reach("before_request")
        answer = await self._provider.refresh(refresh_token, refresh_id)
        self._reach("after_request")
        return answer

    async def revoke(self, refresh_token: Secret) -> bool:
        self._reach("before_revoke")
        confirmed = await self._provider.revoke(refresh_token)
        self._reach("after_revoke")
        return confirmed
