"""Rotations that are wanted together: each on its own, each after its data, none told before the commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncauth.server.accounts.answers import Denied
from syncauth.server.accounts.custom_data import CustomData, Found, Query
from syncauth.server.accounts.rotations import Rotations, Wish
from syncauth.server.stores.interface import NewUser, Rotation, RotationOutcome, SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.runner import Runner

NAMES = [f"s{number}" for number in range(8)]


@dataclass
class Scene:
    """A real store in its thread, with one session each for eight users."""

    path: Path
    connection: sqlite3.Connection
    store: SqliteAccounts
    thread: StoreThread
    runner: Runner

    def rotations(self, query: Query | None = None) -> Rotations:
        """Return the rotations of an app with that query for custom data."""
        data = CustomData(function=None, query=query, runner=self.runner, thread=self.thread)
        return Rotations(self.store, data, self.thread)

    def rotated(self) -> list[str]:
        """Return the sessions whose token was replaced, as another process sees the file."""
        other = sqlite3.connect(self.path)
        sql = "SELECT id FROM _sync_sessions WHERE spent IS NOT NULL ORDER BY id"
        rows = other.execute(sql).fetchall()
        other.close()
        return [name for (name,) in rows]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """The scene, closed at the end."""
    path = tmp_path / "server.db"
    thread, runner = StoreThread(), Runner("hooks", slots=1, seconds=5)
    connection = thread.run_blocking(open_server_file, path, "")
    store = thread.run_blocking(SqliteAccounts, connection)
    for name in NAMES:
        user = NewUser(f"user of {name}", name, "anon-user", name, None, {})
        thread.run_blocking(store.add_user, user, 0.0)
        record = SessionRecord(
            name, f"user of {name}", "d", name, "anon-user", True, 100.0, None, None
        )
        thread.run_blocking(lambda r=record: store.open_session(r, token_hash=b"0", now=0.0))
    yield Scene(path, connection, store, thread, runner)
    thread.run_blocking(connection.close)
    thread.close()
    runner.close()


def wish(name: str, asked: Found | None = None) -> Wish:
    """Want the first rotation of a session."""
    return Wish(Rotation(name, b"0", b"r", b"1", 1.0), f"user of {name}", asked)


async def test_each_answer_comes_after_its_commit(scene: Scene) -> None:
    """Whoever is told of a rotation finds it in the file, through a connection of its own."""
    rotations = scene.rotations()

    async def rotate(name: str) -> None:
        done = await rotations.do(wish(name))
        assert not isinstance(done, Denied)
        assert done[0].outcome is RotationOutcome.ROTATED
        assert name in scene.rotated()

    async with asyncio.timeout(10):
        await asyncio.gather(*(rotate(name) for name in NAMES))
    assert scene.rotated() == NAMES


async def test_data_that_cannot_be_had_costs_only_its_own_rotation(scene: Scene) -> None:
    """It is denied without a rotation; the others of the group go on, each with its own data."""

    def query(user_id: str) -> dict[str, Any] | None:
        if user_id == "user of s3":
            message = "no such row"
            raise LookupError(message)
        return None if user_id == "user of s4" else {"of": user_id}

    rotations = scene.rotations(query)
    asked = Found({"asked": True})
    async with asyncio.timeout(10):
        done = await asyncio.gather(
            *(rotations.do(wish(name, asked if name == "s5" else None)) for name in NAMES)
        )

    assert isinstance(done[3], Denied)
    data = [each if isinstance(each, Denied) else each[1].data for each in done]
    assert data[2] == {"of": "user of s2"}
    assert data[4] is None
    assert data[5] == {"asked": True}
    assert scene.rotated() == [name for name in NAMES if name != "s3"]


async def test_session_that_cannot_be_written_harms_no_other(scene: Scene) -> None:
    """The commit of the group fails in the middle, and all but that one are kept and told (I2)."""
    trigger = (
        "CREATE TRIGGER broken BEFORE UPDATE ON _sync_sessions WHEN NEW.id = 's4'"
        " BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END"
    )
    await scene.thread.run(scene.connection.execute, trigger)
    rotations = scene.rotations()

    async with asyncio.timeout(10):
        done = await asyncio.gather(
            *(rotations.do(wish(name)) for name in NAMES), return_exceptions=True
        )

    assert isinstance(done[4], sqlite3.IntegrityError)
    assert [isinstance(each, tuple) for each in done] == [name != "s4" for name in NAMES]
    assert scene.rotated() == [name for name in NAMES if name != "s4"]
