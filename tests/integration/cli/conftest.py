"""A real server with one account, and a device whose user has logged in by the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import syncauth
from tests.support.app_bench import SERVER_SCHEMA, TABLE
from tests.support.commands import APP, Ended, run
from tests.support.processes import EMAIL, PASSWORD, Device, Server, configure


@dataclass(frozen=True)
class Place:
    """A data directory, and the server that it belongs to."""

    url: str
    data: Path
    password: Path

    def run(self, command: str, *arguments: str | Path, **environment: str) -> Ended:
        """Run a command that only reads."""
        return run(command, "--data", self.data, *arguments, **environment)

    def ask(self, command: str, *arguments: str | Path, **more: str) -> Ended:
        """Run a command that speaks to the server."""
        return self.run(command, "--server", self.url, "--app-id", APP, *arguments, **more)

    def log_in(self) -> str:
        """Log the one account in, and return its user."""
        ended = self.ask("login", "--email", EMAIL, "--password-file", self.password, "--json")
        assert ended.code == 0, ended
        return str(ended.document["user"])

    def write_offline(self, count: int) -> None:
        """Open the current user's replica and write rows that nobody sends: no server is there."""

        async def write() -> None:
            app = syncauth.App(self.url, app_id=APP, data_dir=self.data, key_storage="file")
            async with app:
                user = app.current_user
                assert user is not None
                replica = await app.open_replica(user, tables=["notes"], create=TABLE)
                rows = [{"id": syncauth.new_id(), "title": "t"} for _ in range(count)]
                await replica.write(lambda db: db["notes"].insert_all(rows))

        asyncio.run(write())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Serve notes, with the one account."""
    configure(tmp_path / "server", SERVER_SCHEMA, "[tables.notes]")
    with Server(tmp_path / "server") as running:

        async def register() -> None:
            app = syncauth.App(
                running.url, app_id=APP, data_dir=tmp_path / "other", key_storage="file"
            )
            async with app:
                await app.register(EMAIL, PASSWORD)

        asyncio.run(register())
        yield running


@pytest.fixture
def place(server: Server, tmp_path: Path) -> Place:
    """Return a data directory that is not there yet."""
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    return Place(server.url, tmp_path / "device", password)


@pytest.fixture
def device(place: Place) -> Iterator[Device]:
    """Run an app beside, logged in and with its replica open and uploaded."""
    with Device(place.url, place.data) as running:
        running.log_in()
        running.do("open", tables=["notes"], create=TABLE)
        yield running
