"""A device made of nothing but sync messages, and its account: for tests of the server's socket."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from syncauth.sansio.messages import (
    SUBPROTOCOL,
    BatchMark,
    BatchResult,
    Changes,
    Checkpoint,
    ClientMessage,
    Error,
    Goodbye,
    Hello,
    Push,
    PushResult,
    Received,
    Section,
    ServerMessage,
    TableShape,
    Welcome,
    decode_from_server,
    decode_sections,
    encode,
    encode_sections,
)

SECONDS = 15.0
BASE = "/api/client/v2.0"
APP = f"{BASE}/app/test"
NOTES = TableShape("notes", ["id"], ["text"])

_Kind = TypeVar("_Kind")


@dataclass
class Account:
    """A logged-in user at a server."""

    url: str
    user: str
    access: str
    refresh: str

    @classmethod
    def log_in(cls, url: str, name: str) -> Account:
        """Register if needed and open a session."""
        account = {"email": f"{name}@example.com", "password": "correct horse"}
        provider = f"{url}{APP}/auth/providers/local-userpass"
        httpx.post(f"{provider}/register", json=account)
        body = {"username": account["email"], "password": account["password"]}
        answer = httpx.post(f"{provider}/login", json={**body, "options": {"rotate": True}})
        login = answer.raise_for_status().json()
        return cls(url, login["user_id"], login["access_token"], login["refresh_token"])

    @classmethod
    def log_in_anonymously(cls, url: str) -> Account:
        """Open a session of a new user without a name."""
        place = f"{url}{APP}/auth/providers/anon-user/login"
        login = httpx.post(place, json={"options": {"rotate": True}}).raise_for_status().json()
        return cls(url, login["user_id"], login["access_token"], login["refresh_token"])

    @classmethod
    def log_in_with_token(
        cls, url: str, token: str, *, provider: str = "custom-token", name: str = "token"
    ) -> Account:
        """Open a session of this server with a token of another issuer, sent under that name."""
        body = {name: token, "options": {"rotate": True}}
        answer = httpx.post(f"{url}{APP}/auth/providers/{provider}/login", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text
        login = answer.json()
        return cls(url, login["user_id"], login["access_token"], login["refresh_token"])

    @property
    def partition(self) -> str:
        """The user's own partition."""
        return f"user:{self.user}"

    def renew(self) -> Self:
        """Refresh the session."""
        header = {"Authorization": f"Bearer {self.refresh}"}
        answer = httpx.post(f"{self.url}{BASE}/auth/session", headers=header).raise_for_status()
        self.access = answer.json()["access_token"]
        self.refresh = answer.json()["refresh_token"]
        return self

    def log_out(self, url: str | None = None) -> None:
        """End the session, at another server of the same data if one is named."""
        header = {"Authorization": f"Bearer {self.refresh}"}
        httpx.delete(f"{url or self.url}{BASE}/auth/session", headers=header).raise_for_status()


def open_socket(
    url: str,
    token: str | None,
    *,
    app: str = "test",
    query: str = "",
    subprotocol: str | None = SUBPROTOCOL,
) -> connect:
    """Return the upgrade of a sync socket, to be awaited or entered."""
    return connect(
        f"{url.replace('http', 'ws', 1)}{BASE}/app/{app}/sync{query}",
        additional_headers={"Authorization": f"Bearer {token}"} if token is not None else {},
        subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
        compression=None,
        max_size=None,
        proxy=None,
    )


class SocketDevice:
    """One open socket; every wait has a limit."""

    def __init__(self, socket: ClientConnection, account: Account, device: str) -> None:
        """Take an open socket; nothing has been said."""
        self.socket = socket
        self.account = account
        self.device = device
        self.heard: list[ServerMessage] = []
        self.batch = 0
        self.entry = 0

    async def say(self, message: ClientMessage) -> None:
        """Send a message."""
        await self.socket.send(encode(message).decode())

    async def hear(self) -> ServerMessage:
        """Wait for the next message."""
        async with asyncio.timeout(SECONDS):
            frame = await self.socket.recv()
        assert isinstance(frame, str)
        self.heard.append(decode_from_server(frame))
        return self.heard[-1]

    async def hear_a(self, kind: type[_Kind]) -> _Kind:
        """Wait for the next message of a kind, passing over others."""
        while True:
            message = await self.hear()
            if isinstance(message, kind):
                return message

    async def hear_end(self) -> tuple[list[str], int | None]:
        """Hear until the socket is closed: the codes of errors and goodbyes, and the close code."""
        codes = []
        try:
            while True:
                message = await self.hear()
                if isinstance(message, Error | Goodbye):
                    codes.append(message.code)
        except ConnectionClosed as end:
            return codes, end.rcvd.code if end.rcvd else None

    async def greet(
        self,
        *,
        connection: int = 1,
        checkpoints: Mapping[str, int] | None = None,
        highest: BatchMark | None = None,
    ) -> Welcome:
        """Say hello and be welcomed, under the device id that the server gives."""
        await self.say_hello(connection, checkpoints, highest)
        welcome = await self.hear()
        assert isinstance(welcome, Welcome), welcome
        self.device = welcome.device
        return welcome

    async def greet_refused(self, *, connection: int) -> tuple[list[str], int | None]:
        """Say hello and be refused: the codes heard, and the close code."""
        await self.say_hello(connection)
        return await self.hear_end()

    async def say_hello(
        self,
        connection: int,
        checkpoints: Mapping[str, int] | None = None,
        highest: BatchMark | None = None,
    ) -> None:
        """Say hello without waiting."""
        hello = Hello(
            device=self.device,
            incarnation="1" * 16,
            fencing=1,
            connection=connection,
            acked=None,
            highest=highest,
            checkpoints=dict(checkpoints or {}),
            tables=[NOTES],
        )
        await self.say(hello)

    async def confirm_page(self) -> None:
        """Hear a page and confirm it."""
        page = await self.hear_a(Changes)
        await self.say(Received(page.cursors, 0))

    async def catch_up(self) -> list[Section]:
        """Hear and confirm pages until the next checkpoint; returns their sections."""
        sections: list[Section] = []
        while True:
            message = await self.hear()
            if isinstance(message, Changes):
                sections += decode_sections(message.sections)
                await self.say(Received(message.cursors, 0))
            elif isinstance(message, Checkpoint):
                return sections

    async def push(self, *sections: Section, batch: int | None = None) -> None:
        """Push the next batch, or the one that is named, without waiting."""
        if batch is None:
            self.batch += 1
        raw = msgspec.Raw(encode_sections(list(sections)))
        await self.say(Push(batch or self.batch, 0, raw))

    async def judged(self, *sections: Section) -> BatchResult:
        """Push the next batch and wait for its result."""
        await self.push(*sections)
        return (await self.hear_a(PushResult)).result

    def insert(self, *rows: tuple[str, str], hlc: int = 1) -> Section:
        """Make a section of inserts from ids and texts."""
        return Section(
            "notes", "insert", [self._row(key, hlc, None, text) for key, text in rows], ["text"]
        )

    def update(self, key: str, text: str, *, life: str, hlc: int, partition: str = "") -> Section:
        """Make a section of one update."""
        row = self._row(key, hlc, life, text)
        return Section("notes", "update", [row], ["text"], partition=partition)

    def delete(self, key: str, *, life: str, hlc: int, partition: str = "") -> Section:
        """Make a section of one deletion."""
        return Section("notes", "delete", [self._row(key, hlc, life)], partition=partition)

    def _row(self, key: str, hlc: int, life: str | None, *values: str) -> list[Any]:
        self.entry += 1
        return [key, self.entry, hlc, life, *values]


@asynccontextmanager
async def device(
    account: Account, name: str = "a", *, url: str | None = None
) -> AsyncIterator[SocketDevice]:
    """Open a socket of a device whose id is one letter repeated."""
    async with open_socket(url or account.url, account.access) as socket:
        yield SocketDevice(socket, account, name * 16)


def rows_of(directory: Path) -> list[tuple[str, str, str]]:
    """Read the served table as another program does."""
    connection = sqlite3.connect(directory / "data" / "server.db")
    try:
        return connection.execute("SELECT _partition, id, text FROM notes ORDER BY 1, 2").fetchall()
    finally:
        connection.close()
