"""
The parts of an App that touch the world, made for real, and the opening of a user's file with them.

Tests give stand-ins for some of them as `Parts`. This module is wiring: it must never decide anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncauth.adapters import locks
from syncauth.adapters.clock import SystemClock
from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import STORE_FILE, SessionStore
from syncauth.adapters.watching import Watcher
from syncauth.adapters.websocket import WebSocketTransport
from syncauth.config import AppConfig
from syncauth.errors import StorageError
from syncauth.interfaces import (
    AccountService,
    Clock,
    CredentialStore,
    IdentityProvider,
    Randomness,
    RefreshLocks,
    SyncTransport,
)
from syncauth.models import TableSpec
from syncauth.replica.files import Owner
from syncauth.replica.opened import OpenedFile, open_file

_DEVICE_BYTES: Final = 8
_INCARNATION_BYTES: Final = 16


@dataclass(frozen=True)
class Parts:
    """What the driver needs from the outside; `aclose` gives everything back.

    `accounts` is None where the server offers nothing besides tokens.
    `watch_store` calls its argument, from a thread of its own, whenever somebody may have written
    to the store; what it returns ends that.
    """

    clock: Clock
    randomness: Randomness
    store: CredentialStore
    locks: RefreshLocks
    watch_store: Callable[[Callable[[], None]], Callable[[], None]]
    provider: IdentityProvider
    transport: SyncTransport
    aclose: Callable[[], Awaitable[None]]
    accounts: AccountService | None = None


async def open_parts(
    config: AppConfig, given: Parts | None, provider: IdentityProvider | None
) -> Parts:
    """Open what an App needs, or take what was given.

    Tokens are sealed for their issuer: those of another one that were stored before do not open.

    Raises:
        FileInUse: another process does not finish opening this data directory.
        StorageError: a file or the keyring cannot be used; nothing was changed.
    """
    if given is not None:
        return given
    randomness, clock = SystemRandomness(), SystemClock()
    calls = HttpCalls(config, clock=clock)
    accounts = HttpAccounts(calls) if provider is None else None
    issuer: IdentityProvider = HttpProvider(calls) if provider is None else provider
    directory = str(config.data_dir)
    store = await asyncio.to_thread(_open_store, config, issuer.name, randomness)
    transport = WebSocketTransport(config, locate=lambda again: calls.sync_url(again=again))

    async def aclose() -> None:
        await issuer.aclose()
        await calls.aclose()
        await asyncio.to_thread(store.close)

    def watch_store(notice: Callable[[], None]) -> Callable[[], None]:
        return Watcher(directory, STORE_FILE, notice).close

    return Parts(
        clock=clock,
        randomness=randomness,
        store=store,
        locks=locks.FileRefreshLocks(directory),
        watch_store=watch_store,
        provider=issuer,
        transport=transport,
        aclose=aclose,
        accounts=accounts,
    )


def _open_store(config: AppConfig, issuer: str, randomness: Randomness) -> SessionStore:
    directory = Path(config.data_dir)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "the data directory cannot be made",
            path=str(directory),
            why=error.strerror or type(error).__name__,
            remedy="Give a directory that this program may write to",
        ) from error
    lock = locks.hold_directory(str(directory))  # two that make it at once would make two keys
    try:
        own = f"{config.base_url} {config.app_id}"
        scope = own if issuer == own else f"{own} {issuer}"
        return SessionStore(
            directory, scope=scope, key_storage=config.key_storage, randomness=randomness
        )
    finally:
        lock.release()


async def open_replica_file(
    config: AppConfig,
    parts: Parts,
    user_id: str | None,
    specs: Sequence[TableSpec],
    create: str,
) -> OpenedFile:
    """Open one user's file, or the guest's, in a thread; raises what `replica.opened.open_file` raises.

    If the caller is cancelled meanwhile, the file is closed again as soon as it is open.
    """

    def open_now() -> OpenedFile:
        return open_file(
            str(config.data_dir),
            Owner(config.base_url, config.app_id, user_id),
            tables=specs,
            create=create,
            device=parts.randomness.token(_DEVICE_BYTES).hex(),
            incarnation=parts.randomness.token(_INCARNATION_BYTES).hex(),
            hold=locks.hold_file,
            watch=Watcher,
            clock=parts.clock.now,
        )

    opening = asyncio.get_running_loop().run_in_executor(None, open_now)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(opening: asyncio.Future[OpenedFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.get_loop().run_in_executor(None, opening.result().close)
