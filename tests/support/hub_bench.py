"""A running hub over real stores in a file, without any socket."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from syncauth.sansio.messages import ServerMessage
from syncauth.server.accounts.issuer import Claims, Issuer
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.clock import SystemClock, SystemRandomness
from syncauth.server.hub.driver import HubDriver, Watch
from syncauth.server.operations.metrics import Metrics
from syncauth.server.operations.tracing import NoTracing, Tracing
from syncauth.server.settings.config import ServedTable, ServerConfig
from syncauth.server.stores.interface import NewUser, SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.stores.thread import StoreThread

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

    config: ServerConfig
    driver: HubDriver
    accounts: SqliteAccounts
    thread: StoreThread
    connection: sqlite3.Connection
    issuer: Issuer
    clock: SystemClock
    session: SessionRecord
    metrics: Metrics

    def open(self) -> tuple[int, Messages]:
        """Open a socket of ann's session."""
        messages = Messages()
        claims = Claims("ann", self.session.session_id, self.clock.wall() + 60)
        return self.driver.open(messages, claims), messages


@contextmanager
def open_bench(directory: Path, tracing: Tracing | None = None) -> Iterator[Bench]:
    """Make a driver over stores in a file, with one user and one session."""
    thread, clock = StoreThread(), SystemClock()
    connection = open_server_file(directory / "server.db", SCHEMA)
    accounts = SqliteAccounts(connection)
    config = ServerConfig("app", directory, tables=(ServedTable("notes"),))
    issuer = Issuer(SigningKeys(directory), config.app_id)
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
    metrics = Metrics()
    driver = HubDriver(
        config.limits,
        rows=SqliteRows(connection, config, accounts),
        accounts=accounts,
        thread=thread,
        issuer=issuer,
        clock=clock,
        randomness=SystemRandomness(),
        watch=Watch(metrics, tracing or NoTracing()),
    )
    try:
        yield Bench(config, driver, accounts, thread, connection, issuer, clock, session, metrics)
    finally:
        driver.end()
        thread.close()
        connection.close()
