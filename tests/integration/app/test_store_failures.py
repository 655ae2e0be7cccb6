"""A credential store that fails or is overtaken at a bad moment: nobody waits for ever, and no lock is kept."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import syncauth
from syncauth.errors import Closed, FileInUse, StorageError, UserRemovedError
from syncauth.interfaces import StaleWrite
from syncauth.sansio.effects import PutTokens, StoreWrite, Transition
from tests.integration.app.test_ends import LIMIT, Overlaid, parts_of, within
from tests.support.app_bench import ANN, OpenApp, open_notes, until
from tests.support.processes import EMAIL, PASSWORD, Server

NOTE = {"id": "1", "title": "mine", "body": None}


async def test_a_pair_that_could_not_be_stored_is_stored_later(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """The issuer may not give it a second time, so that the same answer is tried again (I4)."""
    parts = await parts_of(server.url, tmp_path / "device")
    failures = [1, 1]

    def commit(writes: Sequence[StoreWrite], history: Sequence[Transition] = ()) -> None:
        if failures and any(isinstance(each, PutTokens) for each in writes):
            failures.pop()
            message = "the disk is full"
            raise StorageError(message)
        parts.store.commit(writes, history)

    store: Any = Overlaid(parts.store, commit=commit)
    app = await open_app(server.url, parts=replace(parts, store=store))
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    before = user.access_token
    events = app.events()
    await within(user.refresh_custom_user_data())
    assert (failures, user.access_token != before) == ([], True)
    await app.aclose()
    assert not [event async for event in events if isinstance(event, syncauth.RefreshDeferred)]


async def test_a_write_that_came_too_late_and_a_store_that_cannot_be_read(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """The refresh ends and gives its lock back; the next one begins by itself (I4)."""
    parts = await parts_of(server.url, tmp_path / "device")
    late = [1]

    def commit(writes: Sequence[StoreWrite], history: Sequence[Transition] = ()) -> None:
        if late and any(isinstance(each, PutTokens) for each in writes):
            raise StaleWrite(user.id)
        parts.store.commit(writes, history)

    def load() -> Any:
        if late and loaded:
            late.clear()
            message = "the store is busy"
            raise StorageError(message)
        loaded.append(1)
        return parts.store.load()

    loaded: list[int] = []
    store: Any = Overlaid(parts.store, commit=commit, load=load)
    app = await open_app(server.url, parts=replace(parts, store=store))
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    before = user.access_token
    await within(user.refresh_custom_user_data())
    assert user.access_token != before


async def test_an_anonymous_login_with_a_store_that_takes_nothing(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """Taking the anonymous user again is told that it could not be kept, and waits for nothing."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    await app.log_in(syncauth.Credentials.anonymous())
    await app.log_in(ANN)
    other = sqlite3.connect(tmp_path / "device" / "sessions.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError):
            await within(app.log_in(syncauth.Credentials.anonymous()))
    finally:
        other.close()


async def test_an_app_that_is_closed_while_it_opens(open_app: OpenApp, tmp_path: Path) -> None:
    """It gives everything back and says so; nothing goes on."""
    app = syncauth.App(
        "http://127.0.0.1:9", app_id="test", data_dir=tmp_path / "device", key_storage="file"
    )
    opening = asyncio.create_task(app.open())
    await asyncio.sleep(0)
    await app.aclose()
    with pytest.raises(Closed):
        await within(opening)
    await open_app("http://127.0.0.1:9")


async def test_a_file_that_another_program_has_open_is_not_discarded(
    server: Server, open_app: OpenApp
) -> None:
    """The user is still logged in: what is to be deleted is looked at before anything is erased (I1)."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    await replica.wait_synced(10)
    other = sqlite3.connect(replica.path)
    try:
        other.execute("SELECT count(*) FROM notes").fetchone()
        with pytest.raises(FileInUse):
            await app.log_out(user, discard=0)
        assert user.state is syncauth.SessionState.ACTIVE
    finally:
        other.close()


async def test_what_is_written_after_a_removal_keeps_the_file(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """What was told to be lost is counted again before the file is deleted (I1)."""
    app = await open_app(server.url)
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    replica = await open_notes(app, user)
    await replica.wait_synced(10)
    path = replica.path
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("SELECT count(*) FROM notes").fetchone()
        await app.remove_user(user)
        other.execute("INSERT INTO notes VALUES ('late', 'x', NULL)")
    finally:
        other.close()
    await app.aclose()
    again = await open_app(server.url)
    assert (again.users, sqlite3.connect(path).execute("SELECT id FROM notes").fetchall()) == (
        (),
        [("late",)],
    )
    back = await again.log_in(ANN)
    waiting = await open_notes(again, back)
    await waiting.wait_uploaded(10)


async def test_a_user_who_is_removed_while_its_replica_opens(
    server: Server, open_app: OpenApp, tmp_path: Path
) -> None:
    """The opening ends in an error, and nothing of the file of a removed user stays (I12)."""
    parts = await parts_of(server.url, tmp_path / "device")
    loop_thread, begun, removed = threading.get_ident(), threading.Event(), threading.Event()

    def token(size: int) -> bytes:
        if threading.get_ident() != loop_thread:  # the file is about to be made
            begun.set()
            assert removed.wait(LIMIT)
        return parts.randomness.token(size)

    randomness: Any = Overlaid(parts.randomness, token=token)
    app = await open_app(server.url, parts=replace(parts, randomness=randomness))
    await app.register(EMAIL, PASSWORD)
    user = await app.log_in(ANN)
    opening = asyncio.create_task(open_notes(app, user))
    try:
        await until(begun.is_set)
        await within(app.remove_user(user))
    finally:
        removed.set()
    with pytest.raises(UserRemovedError):
        await within(opening)
    await app.aclose()
    await open_app(server.url)  # a start deletes what a removal could not
    assert list((tmp_path / "device").rglob("*.db")) == [tmp_path / "device" / "sessions.db"]
