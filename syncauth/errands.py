"""
What the driver has done elsewhere: token calls, the app's handler, the end of an erasing.

Each errand is a task of its own, and ends in one input, whatever happens: an answer, an error, or a failure that
nobody foresaw. This module must never decide what follows from it.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Final

from syncauth.errors import StorageError, SyncAuthError, UnexpectedAnswer
from syncauth.events import ReloginRequired
from syncauth.interfaces import CredentialStore, IdentityProvider, Lock, RefreshLocks
from syncauth.models import Deferred, RefreshAnswer, Secret
from syncauth.sansio import effects, inputs
from syncauth.sansio.effects import Ticket
from syncauth.sansio.inputs import Input

ERASE_RETRY_SECONDS: Final = 1.0
LOCK_RETRY_SECONDS: Final = 0.05
STORE_RETRY_SECONDS: Final = 0.5

log = logging.getLogger("syncauth")


class Errands:
    """Carries out what takes long; the driver keeps the tasks."""

    def __init__(
        self,
        *,
        store: CredentialStore,
        locks: RefreshLocks,
        provider: IdentityProvider,
        hook: Callable[[ReloginRequired], Awaitable[None]],
        post: Callable[[Input], None],
    ) -> None:
        """Take the parts; `post` takes what came of an errand."""
        self._store = store
        self._locks = locks
        self._held: dict[Ticket, Lock] = {}
        self._provider = provider
        self._hook = hook
        self._post = post

    async def log_in(self, wanted: effects.Authenticate) -> None:
        """Present credentials."""
        try:
            login = await self._provider.log_in(wanted.credentials)
        except SyncAuthError as error:
            self._post(inputs.LogInAnswered(wanted.request, error))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            report("a login", error)
            what = "the login failed in a way that nobody foresaw"
            why, remedy = type(error).__name__, "Report it with the log"
            failed = UnexpectedAnswer(what, status=0, why=why, remedy=remedy)
            self._post(inputs.LogInAnswered(wanted.request, failed))
        else:
            self._post(inputs.LogInAnswered(wanted.request, login))

    async def hold_refresh(self, ticket: Ticket) -> None:
        """Take the lock of a user's refreshes, however long another process has it, and look again.

        The kernel frees a lock when its process dies; nobody tells, so it is asked for again.
        """
        try:
            while (lock := self._locks.try_hold(ticket.user_id)) is None:  # noqa: ASYNC110 - as said
                await asyncio.sleep(LOCK_RETRY_SECONDS)
            self._held[ticket] = lock
            fence, stored = self._store.raise_fence(ticket.user_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody must wait for ever
            if isinstance(error, StorageError):
                log.warning("no refresh can begin: %s", error)
            else:
                report("the lock of a refresh", error)
            self.end_refresh(ticket)
            self._post(inputs.RefreshNotHeld(ticket))
        else:
            self._post(inputs.RefreshHeld(ticket, stored, fence))

    def end_refresh(self, ticket: Ticket) -> None:
        """Give the lock of a refresh back."""
        lock = self._held.pop(ticket, None)
        if lock is not None:
            lock.release()

    def end_all(self) -> None:
        """Give every lock back: nothing of what they were for goes on."""
        for ticket in tuple(self._held):
            self.end_refresh(ticket)

    async def later(self, happening: Input) -> None:
        """Tell the same once more, after a while: what could not be stored may be then."""
        await asyncio.sleep(STORE_RETRY_SECONDS)
        self._post(happening)

    async def refresh(self, wanted: effects.RequestRefresh) -> None:
        """Ask for a new pair."""
        try:
            answer: RefreshAnswer = await self._provider.refresh(
                wanted.refresh_token, wanted.refresh_id
            )
        except Exception as error:  # noqa: BLE001 - it is tried again, as after an answer that was lost
            report("a refresh", error)
            answer = Deferred(
                f"the refresh failed in a way that nobody foresaw: {type(error).__name__}"
            )
        self._post(inputs.RefreshAnswered(wanted.ticket, answer))

    async def revoke_unkept(self, token: Secret) -> None:
        """End the session of a login that could not be kept, as far as the server can be reached."""
        await self._try_to_revoke(token)

    async def _try_to_revoke(self, token: Secret) -> bool:
        try:
            return await self._provider.revoke(token)
        except Exception as error:  # noqa: BLE001 - it waits in the store and is tried again
            report("a revocation", error)
            return False

    async def revoke(self) -> None:
        """Send the revocations that wait."""
        try:
            waiting = self._store.waiting_revocations()
        except StorageError as error:
            log.warning("the credential store cannot be read: %s", error)
            self._post(inputs.RevokeAnswered(0, confirmed=False))
            return
        for number, token in waiting:
            self._post(inputs.RevokeAnswered(number, await self._try_to_revoke(token)))

    async def call_hook(self, event: ReloginRequired) -> None:
        """Call the app's handler; whatever it does, the engine learns that it is over."""
        try:
            await self._hook(event)
        except Exception:
            log.exception("on_relogin_required raised; it is called again after request_relogin()")
        finally:
            self._post(inputs.HookReturned(event.user_id, event.episode))

    async def finish_erasing(self) -> None:
        """Truncate the store's log; while another process reads, try again."""
        while not self._try_to_erase():  # noqa: ASYNC110 - nobody tells when it has read
            await asyncio.sleep(ERASE_RETRY_SECONDS)

    def _try_to_erase(self) -> bool:
        try:
            return self._store.finish_erasing()
        except StorageError as error:
            log.warning("the credential store's log cannot be truncated: %s", error)
            return False


def report(what: str, error: Exception) -> None:
    """Log where it happened; the text of an error that nobody foresaw may hold a secret."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s failed: %s\n%s", what, type(error).__name__, where)
