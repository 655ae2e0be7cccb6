"""Whatever fails, ends or is cancelled: nobody waits for ever, and nothing stays held."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import syncauth
from syncauth import SessionState
from syncauth.config import AppConfig
from syncauth.errors import (
    Closed,
    FileCorrupt,
    InvalidConfig,
    NotLoggedInError,
    StorageError,
    UnexpectedAnswer,
)
from syncauth.parts import Parts, open_parts
from syncauth.sansio.effects import PutLogin, StoreWrite, Transition
from tests.integration.app.conftest import Start
from tests.support.app_bench import ANN, OpenApp, next_event, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server

LIMIT = 10


class Overlaid:
    """A part with some of its methods replaced; all others are the real ones."""

    def __init__(self, real: object, **methods: Callable[..., Any]) -> None:
        self._real = real
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def parts_of(url: str, directory: Path) -> Parts:
    """Make the real parts of an App."""
    return await open_parts(AppConfig(url, "test", directory, key_storage="file"), None, None)


async def within(work: Any) -> Any:
    """Await something that must end, whatever comes of it."""
    return await asyncio.wait_for(work, LIMIT)


async def test_a_provider_that_raises_leaves_nobody_waiting(
    start: Start, tmp_path: Path, open_app: OpenApp
) -> None:
    """A login ends in a typed error; a refresh is tried again (I4, I6)."""
    server = start("[lifetimes]\naccess_seconds = 2\n")
    parts = await parts_of(server.url, tmp_path / "device")
    failures = ["log_in", "refresh"]

    async def log_in(credentials: syncauth.Credentials) -> Any:
        if "log_in" in failures:
            failures.remove("log_in")
            raise ZeroDivisionError
        return await parts.provider.log_in(credentials)

    async def refresh(*given: Any) -> Any:
        if "refresh" in failures:
            failures.remove("refresh")
            raise ZeroDivisionError
        return await parts.provider.refresh(*given)

    provider: Any = Overlaid(parts.provider, log_in=log_in, refresh=refresh)
    app = await open_app(server.url, parts=replace(parts, provider=provider))
    await app.register(EMAIL, PASSWORD)
    with pytest.raises(UnexpectedAnswer, match="ZeroDivisionError"):
        await within(app.log_in(ANN))
    events = app.events()
    await open_notes(app, await within(app.log_in(ANN)))
    deferred = await next_event(events, syncauth.RefreshDeferred)
    assert "ZeroDivisionError" in deferred.why
    await next_event(events, syncauth.TokensRenewed)
    assert failures == []


async def test_a_store_that_takes_no_writes_only_delays(
    start: Start, tmp_path: Path, open_app: OpenApp
) -> None:
    """No input is lost: the app is told, and sync begins as soon as the mark can be kept (I1, I6)."""
    server = start("[lifetimes]\naccess_seconds = 2\n")
    first = await open_app(server.url)
    await first.register(EMAIL, PASSWORD)
    replica = await open_notes(first, await first.log_in(ANN))
    await replica.wait_synced(LIMIT)
    await first.aclose()
    parts = await parts_of(server.url, tmp_path / "device")
    full = [True]

    def commit(writes: Sequence[StoreWrite], history: Sequence[Transition] = ()) -> None:
        if full and not any(isinstance(each, PutLogin) for each in writes):
            message = "the disk is full"
            raise StorageError(message)
        parts.store.commit(writes, history)

    store: Any = Overlaid(parts.store, commit=commit)
    app = await open_app(server.url, parts=replace(parts, store=store))
    events = app.events()
    user = app.current_user
    assert user is not None
    await until(lambda: not app.driver.engine.accounts()[0].usable(parts.clock.now()))
    replica = await open_notes(app, user)
    await replica.write(lambda db: db["notes"].insert({"id": "1", "title": "a", "body": "b"}))
    told = await next_event(events, syncauth.SyncErrorRaised)
    assert (told.code, told.stopped) == ("storage_failed", False)
    with pytest.raises(StorageError):
        await within(app.log_out())
    full.clear()
    await replica.wait_uploaded(LIMIT)
    assert user.state is SessionState.ACTIVE


async def test_users_of_another_app_are_refused(server: Server, open_app: OpenApp) -> None:
    """They are told so, and the App goes on."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    stranger = await one.log_in(ANN)
    with pytest.raises(NotLoggedInError, match="not one of this App"):
        await within(other.log_out(stranger))
    with pytest.raises(NotLoggedInError):
        await within(open_notes(other, stranger))
    with pytest.raises(NotLoggedInError):
        other.request_relogin(stranger)
    with pytest.raises(InvalidConfig):
        await within(other.log_in(None))  # type: ignore[arg-type]
    own = await within(other.log_in(ANN))
    await within((await open_notes(other, own)).wait_synced())


async def test_closing_ends_every_wait(server: Server, tmp_path: Path, open_app: OpenApp) -> None:
    """A login under way and whatever is called later say that the App was closed."""
    parts = await parts_of(server.url, tmp_path / "device")
    asked = asyncio.Event()

    async def log_in(_: syncauth.Credentials) -> Any:
        asked.set()
        await asyncio.Event().wait()

    provider: Any = Overlaid(parts.provider, log_in=log_in)
    app = await open_app(server.url, parts=replace(parts, provider=provider))
    login = asyncio.ensure_future(app.log_in(ANN))
    await within(asked.wait())
    await within(app.aclose())
    with pytest.raises(Closed):
        await within(login)
    with pytest.raises(Closed):
        await within(app.log_in(ANN))
    with pytest.raises(Closed):
        await within(app.register(EMAIL, PASSWORD))
    with pytest.raises(Closed):
        await within(app.open())


async def test_a_cancelled_login_logs_nobody_in(
    server: Server, tmp_path: Path, open_app: OpenApp
) -> None:
    """Its session is ended at the server, however late the answer comes (I8)."""
    parts = await parts_of(server.url, tmp_path / "device")
    answered, go_on, revoked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def log_in(credentials: syncauth.Credentials) -> Any:
        login = await parts.provider.log_in(credentials)
        answered.set()
        await go_on.wait()
        return login

    async def revoke(token: syncauth.models.Secret) -> bool:
        done = await parts.provider.revoke(token)
        revoked.set()
        return done

    provider: Any = Overlaid(parts.provider, log_in=log_in, revoke=revoke)
    app = await open_app(server.url, parts=replace(parts, provider=provider))
    await app.register(EMAIL, PASSWORD)
    login = asyncio.ensure_future(app.log_in(ANN))
    await within(answered.wait())
    login.cancel()
    with pytest.raises(asyncio.CancelledError):
        await login
    go_on.set()
    await within(revoked.wait())
    assert app.current_user is None
    with sqlite3.connect(server.file) as file:
        ended = file.execute("SELECT count(*) FROM _sync_sessions WHERE end_reason IS NOT NULL")
        assert ended.fetchone() == (1,)
    file.close()


async def test_a_closing_that_was_cancelled_is_finished_all_the_same(
    server: Server, open_app: OpenApp
) -> None:
    """The next call waits for its end, and then the data directory is free."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    await open_notes(app, await app.log_in(ANN))
    closing = asyncio.ensure_future(app.aclose())
    await asyncio.wait({closing}, timeout=0)
    closing.cancel()
    await within(app.aclose())
    again = await open_app(server.url)
    assert again.current_user is not None


async def test_an_app_that_could_not_be_opened_holds_nothing(
    server: Server, tmp_path: Path, open_app: OpenApp
) -> None:
    """Once the file is mended the next App opens."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    await app.log_in(ANN)
    await app.aclose()
    file = sqlite3.connect(tmp_path / "device" / "sessions.db", isolation_level=None)
    ((profile,),) = file.execute("SELECT profile FROM users").fetchall()
    file.execute("UPDATE users SET profile = 'none'")
    with pytest.raises(FileCorrupt):
        await open_app(server.url)
    file.execute("UPDATE users SET profile = ?", (profile,))
    file.close()
    again = await open_app(server.url)
    assert again.current_user is not None


async def test_an_error_in_a_rule_ends_everything_with_a_word(
    server: Server, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw is logged, and every verb says that nothing goes on (I13)."""
    app = await open_app(server.url)

    def decide(*_: object) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(app.driver.engine, "decide", decide)
    with pytest.raises(Closed, match="ZeroDivisionError"):
        await within(app.log_in(ANN))
    with pytest.raises(Closed, match="ZeroDivisionError"):
        await within(app.log_in(ANN))
    await within(app.aclose())


async def test_a_revocation_that_raises_is_tried_again(
    server: Server, tmp_path: Path, open_app: OpenApp
) -> None:
    """The session of a logout ends at the server all the same, and whatever failed is logged (I8)."""
    parts = await parts_of(server.url, tmp_path / "device")
    failures, revoked = [ZeroDivisionError], asyncio.Event()

    async def revoke(token: syncauth.models.Secret) -> bool:
        if failures:
            raise failures.pop()
        done = await parts.provider.revoke(token)
        revoked.set()
        return done

    provider: Any = Overlaid(parts.provider, revoke=revoke)
    app = await open_app(server.url, parts=replace(parts, provider=provider))
    await app.register(EMAIL, PASSWORD)
    await app.log_in(ANN)
    await within(app.log_out())
    await within(revoked.wait())
    assert failures == []
