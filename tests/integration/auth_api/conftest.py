"""
A real server of the account API for each test: uvicorn in a thread, loopback, its own SQLite file.

Only its clock is not the machine's: tests set it, so that months pass in a line.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from syncauth.interfaces import Clock
from syncauth.server.accounts.custom_data import prepare_query
from syncauth.server.accounts.foreign_tokens import ForeignTokens
from syncauth.server.accounts.issuer import Issuer
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.clock import SystemRandomness
from syncauth.server.routes.api import ERROR_HANDLERS, AuthApi
from syncauth.server.services import Parts, open_services
from syncauth.server.settings.config import LoginSettings, ServerConfig
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions
from tests.support.clocks import SetClock

BASE = "/api/client/v2.0"
APP = f"{BASE}/app/field-notes"
PROVIDERS = f"{APP}/auth/providers"
SESSION = f"{BASE}/auth/session"
EMAIL, PASSWORD = "ann@example.com", "correct horse"


class ThreadedServer(uvicorn.Server):
    """Uvicorn that tells the test when it listens."""

    ready: threading.Event

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass
class AuthServer:
    """What a test sees: a client, the clock, the file, and the sessions told as revoked."""

    url: str
    path: Path
    clock: SetClock
    client: httpx.Client
    revoked: list[str] = field(default_factory=list)
    connections: list[sqlite3.Connection] = field(default_factory=list)

    def register(self, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
        """Make an account."""
        body = {"email": email, "password": password}
        return self.client.post(f"{PROVIDERS}/local-userpass/register", json=body)

    def try_login(
        self, email: str = EMAIL, password: str = PASSWORD, **options: Any
    ) -> httpx.Response:
        """Ask for a session."""
        body = {"username": email, "password": password, "options": options}
        return self.client.post(f"{PROVIDERS}/local-userpass/login", json=body)

    def log_in(self, *, rotate: bool = True) -> dict[str, Any]:
        """Register if needed and open a session."""
        self.register()
        answer = self.try_login(rotate=rotate)
        assert answer.status_code == 200, answer.text
        login: dict[str, Any] = answer.json()
        return login

    def refresh(self, token: str, refresh_id: str | None = None) -> httpx.Response:
        """Present a refresh token."""
        body = None if refresh_id is None else {"refresh_id": refresh_id}
        return self.client.post(SESSION, headers=bearer(token), json=body)

    def log_in_with(
        self, provider: str, body: dict[str, Any], *, link: str | None = None
    ) -> httpx.Response:
        """Ask for a session at any provider, or link its identity to the user of a token."""
        headers = {} if link is None else bearer(link)
        params = {} if link is None else {"link": "true"}
        place = f"{PROVIDERS}/{provider}/login"
        return self.client.post(place, json=body, params=params, headers=headers)

    def call(self, token: str, name: str, *arguments: Any, **more: Any) -> httpx.Response:
        """Call a function with Extended JSON arguments."""
        body = {"name": name, "arguments": list(arguments), **more}
        return self.client.post(f"{APP}/functions/call", json=body, headers=bearer(token))

    def email(self, verb: str, **body: Any) -> httpx.Response:
        """Ask for something about an email address."""
        return self.client.post(f"{PROVIDERS}/local-userpass/{verb}", json=body)

    def profile(self, token: str) -> httpx.Response:
        """Present an access token."""
        return self.client.get(f"{BASE}/auth/profile", headers=bearer(token))

    def log_out(self, token: str) -> httpx.Response:
        """End a session."""
        return self.client.delete(SESSION, headers=bearer(token))

    def other_process(self) -> SqliteAccounts:
        """Open the same file with a connection of its own, as another process does."""
        connection = sqlite3.connect(self.path, isolation_level=None)
        self.connections.append(connection)
        return SqliteAccounts(connection)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}


def claims(token: str) -> dict[str, Any]:
    """Read a token as clients do, without checking it."""
    payload = token.split(".")[1]
    content: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return content


def run(app: Starlette) -> tuple[ThreadedServer, threading.Thread, str]:
    """Serve on a free port of loopback; returns when it listens."""
    running = ThreadedServer(
        uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none")
    )
    running.ready = threading.Event()
    worker = threading.Thread(target=running.run)
    worker.start()
    assert running.ready.wait(10)
    port = running.servers[0].sockets[0].getsockname()[1]
    return running, worker, f"http://127.0.0.1:{port}"


StartServer = Callable[..., AuthServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers with any settings; all are stopped at the end of the test."""
    endings: list[Callable[[], None]] = []
    standard = ServerConfig(
        app_id="field-notes",
        schema=tmp_path / "schema.sql",
        test_mode=True,
        login=LoginSettings(password_cost="low"),
    )

    def start(
        extensions: Extensions | None = None, clock: Clock | None = None, **changes: Any
    ) -> AuthServer:
        config = replace(standard, **changes)
        path = tmp_path / "server.db"
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        thread, passwords, set_clock = StoreThread(), Passwords("low"), SetClock()
        server = AuthServer("", path, set_clock, httpx.Client())

        sql = config.custom_data.query
        parts = Parts(
            store=thread.run_blocking(SqliteAccounts, connection),
            thread=thread,
            issuer=Issuer(SigningKeys(tmp_path), config.app_id),
            passwords=passwords,
            clock=clock or set_clock,
            randomness=SystemRandomness(),
            on_revoked=server.revoked.extend,
            foreign=ForeignTokens(config.issuers),
            query=None if sql is None else thread.run_blocking(prepare_query, connection, sql),
        )
        services = open_services(config, extensions or Extensions(), parts)
        app = Starlette(
            routes=AuthApi(config, services).routes(), exception_handlers=dict(ERROR_HANDLERS)
        )
        running, worker, server.url = run(app)
        server.client = httpx.Client(base_url=server.url, timeout=10)

        def end() -> None:
            server.client.close()
            running.should_exit = True
            worker.join(10)
            services.close()
            thread.close()
            passwords.close()
            for opened in (connection, *server.connections):
                opened.close()

        endings.append(end)
        return server

    yield start
    for end in endings:
        end()


@pytest.fixture
def server(start_server: StartServer) -> AuthServer:
    """One server with the standard settings."""
    return start_server()
