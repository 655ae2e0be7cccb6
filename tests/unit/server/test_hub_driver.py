"""The hub's driver over real stores: order, answers, failures, and what it logs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from syncauth.sansio.messages import (
    Checkpoint,
    ClientMessage,
    Error,
    Goodbye,
    Push,
    PushResult,
    Renew,
    Renewed,
    Section,
    ServerMessage,
    encode_sections,
)
from syncauth.server import hub_inputs as inputs
from syncauth.server.clock import SystemClock, SystemRandomness
from syncauth.server.config import ServedTable, ServerConfig
from syncauth.server.hub_driver import HubDriver
from syncauth.server.issuer import Claims, Issuer, open_key
from syncauth.server.stores.interface import NewUser, SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.stores.thread import StoreThread
from tests.support.hub_story import hello

SCHEMA = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id));"""
SECONDS = 10.0


class Messages:
    """What was sent to one socket; a test waits for more."""

    def __init__(self) -> None:
        self.sent: list[ServerMessage] = []
        self.closed: int | None = None
        self._more = asyncio.Event()

    def send(self, message: ServerMessage) -> None:
        self.sent.append(message)
        self._more.set()

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closed = code
        self._more.set()

    async def wait(self, kind: type[ServerMessage]) -> ServerMessage:
        """Wait for a message of a kind."""
        async with asyncio.timeout(SECONDS):
            while not (found := [each for each in self.sent if isinstance(each, kind)]):
                self._more.clear()
                await self._more.wait()
        return found[0]

    async def wait_closed(self) -> int:
        """Wait for the end, and return its code."""
        async with asyncio.timeout(SECONDS):
            while self.closed is None:
                self._more.clear()
                await self._more.wait()
        return self.closed


@dataclass
class Bench:
    """A driver with its parts."""

    driver: HubDriver
    accounts: SqliteAccounts
    thread: StoreThread
    connection: sqlite3.Connection
    issuer: Issuer
    clock: SystemClock
    session: SessionRecord

    def open(self) -> tuple[int, Messages]:
        """Open a socket of ann's session."""
        messages = Messages()
        claims = Claims("ann", self.session.session_id, self.clock.wall() + 60)
        return self.driver.open(messages, claims), messages


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A driver over stores in a file, with one user and one session."""
    thread, clock = StoreThread(), SystemClock()
    connection = open_server_file(tmp_path / "server.db", SCHEMA)
    accounts = SqliteAccounts(connection)
    config = ServerConfig("app", tmp_path, tables=(ServedTable("notes"),))
    issuer = Issuer(open_key(tmp_path), config.app_id)
    now = clock.wall()
    accounts.add_user(NewUser("ann", "i", "anon-user", "i", password_hash=None, data={}), now)
    session = SessionRecord(
        session_id="session",
        user_id="ann",
        device_id="d" * 24,
        identity_id="i",
        provider_type="anon-user",
        rotates=True,
        expires_at=now + 3600,
        end_reason=None,
        custom_data=None,
    )
    assert accounts.open_session(session, token_hash=b"hash", now=now)
    driver = HubDriver(
        config.limits,
        rows=SqliteRows(connection, config, accounts),
        accounts=accounts,
        thread=thread,
        issuer=issuer,
        clock=clock,
        randomness=SystemRandomness(),
    )
    yield Bench(driver, accounts, thread, connection, issuer, clock, session)
    driver.end()
    thread.close()
    connection.close()


def batch(text: str) -> Push:
    """Return a first batch with one insert."""
    section = Section("notes", "insert", [["1", 1, 1, None, text]], ["text"])
    return Push(1, 0, msgspec.Raw(encode_sections([section])))


def say(bench: Bench, socket: int, *said: ClientMessage) -> None:
    """Let a device say several things at once."""
    for message in said:
        bench.driver.post(inputs.MessageReceived(socket, message))


async def greeted(bench: Bench) -> tuple[int, Messages]:
    """Open a socket and wait until hello is answered."""
    socket, messages = bench.open()
    say(bench, socket, hello())
    await messages.wait(Checkpoint)
    return socket, messages


async def test_calls_are_answered(bench: Bench) -> None:
    """Hello, a batch and renewals go to the real stores and the issuer and come back."""
    socket, messages = await greeted(bench)
    token = bench.issuer.access_token(bench.session, now=bench.clock.wall(), life=90)

    say(bench, socket, batch("a"), Renew("no token"), Renew(token.text.reveal()))
    result = await messages.wait(PushResult)
    error = await messages.wait(Error)
    renewed = await messages.wait(Renewed)

    assert isinstance(result, PushResult)
    assert result.result.refused == []
    assert isinstance(error, Error)
    assert error.code == "token_invalid"
    assert isinstance(renewed, Renewed)
    assert 60_000 < renewed.life <= 91_000
    assert bench.connection.execute("SELECT text FROM notes").fetchall() == [("a",)]


async def test_revocation_is_looked_at_at_once(bench: Bench) -> None:
    """A session that this process ends closes its sockets, without waiting for a recheck."""
    _, messages = await greeted(bench)

    await bench.thread.run(bench.accounts.revoke_session, "session", bench.clock.wall())
    bench.driver.revoked(["session"])

    assert await messages.wait_closed() == 4401
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "session_revoked"


async def test_session_ended_elsewhere_is_noticed(bench: Bench) -> None:
    """Without being told, the driver rechecks sessions by itself."""
    _, messages = await greeted(bench)

    await bench.thread.run(bench.accounts.disable_user, "ann", bench.clock.wall())

    assert await messages.wait_closed() == 4401
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "user_disabled"


async def test_failed_call_is_logged_without_values(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that raises is told as `internal`; the log says which and where, no value (I10)."""
    socket, messages = await greeted(bench)
    trigger = (
        "CREATE TRIGGER fail BEFORE INSERT ON notes WHEN NEW.text = 'very secret'"
        " BEGIN SELECT json_extract('{}', NEW.text); END"  # bad JSON path: 'very secret'
    )
    await bench.thread.run(bench.connection.execute, trigger)

    say(bench, socket, batch("very secret"))

    assert await messages.wait_closed() == 1011
    assert not any(isinstance(each, PushResult) for each in messages.sent)
    assert "PushBatch failed" in caplog.text
    assert "sqlite_rows.py" in caplog.text
    assert "very secret" not in caplog.text


async def test_failed_recheck_keeps_the_sockets(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions that cannot be looked at now are not ended; they are looked at again."""
    _, messages = await greeted(bench)
    await bench.thread.run(bench.connection.execute, "ALTER TABLE _sync_sessions RENAME TO away")
    bench.driver.revoked(["session"])
    async with asyncio.timeout(SECONDS):
        while "CheckSessions failed" not in caplog.text:
            await bench.thread.run(bench.connection.execute, "SELECT 1")
    assert messages.closed is None

    await bench.thread.run(bench.connection.execute, "ALTER TABLE away RENAME TO _sync_sessions")
    await bench.thread.run(bench.accounts.revoke_session, "session", bench.clock.wall())

    assert await messages.wait_closed() == 4401


async def test_drain_waits_for_the_sockets(bench: Bench) -> None:
    """Draining says goodbye and ends when the last socket has ended, or when its time is up."""
    socket, messages = await greeted(bench)
    draining = asyncio.ensure_future(bench.driver.drain(1.5, SECONDS))  # noqa: TID251
    goodbye = await messages.wait(Goodbye)
    assert not draining.done()

    bench.driver.closed(socket)
    await draining
    _, stuck = bench.open()
    await bench.driver.drain(1.5, 0.01)

    assert isinstance(goodbye, Goodbye)
    assert goodbye.retry_after == 1500
    assert stuck.closed == 1012


async def test_nothing_happens_after_the_end(bench: Bench) -> None:
    """An ended driver takes whatever still comes, and does nothing."""
    socket, messages = await greeted(bench)
    before = len(messages.sent)
    bench.driver.end()

    say(bench, socket, batch("a"))
    bench.driver.revoked(["session"])
    bench.driver.closed(socket)

    assert len(messages.sent) == before
