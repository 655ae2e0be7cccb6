"""Real servers that offer the admin API, keys made in the shell, and whoever calls with them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import Ended, run
from tests.support.processes import JsonProcess, configure
from tests.support.socket_device import Account

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id)
);
"""
TEAM = """
import asyncio

async def ticks(_context):
    yield "first"
    await asyncio.sleep(600)

def who(context):
    return context.user_id
"""
BASE = "/api/admin/v3.0"
APP = f"{BASE}/groups/any/apps/test"
NOBODY = "0" * 24


class AdminServer(JsonProcess):
    """`syncauth serve` with its log in a file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / f"log{len(list(directory.glob('log*')))}"
        arguments = ["--config", str(directory / "syncauth.toml"), "--data", str(self.data)]
        super().__init__("syncauth.cli", "serve", *arguments, "--port", "0", log=self.log)
        self.url = self.hear()["url"]


@dataclass
class Admin:
    """Whoever calls the admin API with a token."""

    client: httpx.Client
    key: str
    secret: str

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call under the app."""
        return self.client.request(method, f"{APP}{path}", **more)


Start = Callable[..., AdminServer]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers on the same data; what still runs at the end of the test is killed."""
    servers: list[AdminServer] = []
    (tmp_path / "team.py").write_text(TEAM)

    def start_server(
        settings: str = "[admin]\nenabled = true", *, test_mode: bool = True
    ) -> AdminServer:
        more = f'[functions]\nticks = "team:ticks"\nwho = "team:who"\n{settings}'
        configure(tmp_path, SCHEMA, "[tables.notes]", more)
        if not test_mode:
            config = tmp_path / "syncauth.toml"
            text = config.read_text().replace("test_mode = true", "test_mode = false")
            config.write_text(text.replace('password_cost = "low"', ""))
        servers.append(AdminServer(tmp_path))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture
def server(start: Start) -> AdminServer:
    """One server that offers the admin API."""
    return start()


def shell(server: AdminServer, *arguments: str, stdin: str = "") -> Ended:
    """Run a command of `syncauth admin` on the server's data."""
    group, verb, *rest = arguments
    places: list[str | Path] = ["--data", server.data]
    if group == "lifetimes":
        places += ["--config", server.directory / "syncauth.toml"]
    return run("admin", group, verb, *places, *rest, stdin=stdin)


def make_key(server: AdminServer, name: str = "tests") -> tuple[str, str]:
    """Make an admin key in the shell: its id and its secret."""
    made = shell(server, "keys", "create", "--name", name, "--json")
    assert made.code == 0, made
    return made.document["key"], made.document["secret"]


def log_in(client: httpx.Client, key: str, secret: str) -> httpx.Response:
    """Exchange a key for a token."""
    path = f"{BASE}/auth/providers/mongodb-cloud/login"
    return client.post(path, json={"username": key, "apiKey": secret})


@pytest.fixture
def admin(server: AdminServer) -> Iterator[Admin]:
    """Return an administrator of the one server."""
    key, secret = make_key(server)
    with httpx.Client(base_url=server.url, timeout=20) as client:
        answer = log_in(client, key, secret)
        assert answer.status_code == 200, answer.text
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield Admin(client, key, secret)


@pytest.fixture
def ann(server: AdminServer) -> Account:
    """A user who is logged in."""
    return Account.log_in(server.url, "ann")
