"""Odd servers on loopback, and the settings to reach them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from syncauth.adapters.http_accounts import HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.adapters.websocket import WebSocketTransport
from syncauth.config import AppConfig
from tests.support.account_replies import WALL
from tests.support.certificates import make_contexts
from tests.support.odd_server import OddServer
from tests.support.sync_server import SyncServer

Configure = Callable[..., AppConfig]


@pytest.fixture
async def odd() -> AsyncIterator[OddServer]:
    """A server that answers what the test says."""
    server = OddServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def other() -> AsyncIterator[OddServer]:
    """A second one, where nothing may arrive unless the test says so."""
    server = OddServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def configure(odd: OddServer) -> Configure:
    """Make settings for the odd server, with any changes."""

    def make(**changes: Any) -> AppConfig:
        settings = {"base_url": odd.url, "app_id": "field-notes", "data_dir": PurePath("unused")}
        return AppConfig(**(settings | changes))

    return make


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS settings of a server, and of a client that trusts it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    return make_contexts(folder)


class StandingClock:
    """A clock that stands."""

    def now(self) -> float:
        return 0.0

    def wall(self) -> float:
        return WALL


def make_calls(config: AppConfig, **more: Any) -> HttpCalls:
    """Make what makes the calls; the test closes it."""
    return HttpCalls(config, clock=StandingClock(), **more)


def make_provider(config: AppConfig, **more: Any) -> HttpProvider:
    """Make a provider; the test closes it."""
    return HttpProvider(make_calls(config, **more))


@pytest.fixture
async def calls(configure: Configure) -> AsyncIterator[HttpCalls]:
    """Calls of the odd server, whose deadlines a passing test never meets."""
    made = make_calls(configure(token_deadline=5.0, function_deadline=5.0))
    yield made
    await made.aclose()


@pytest.fixture
def provider(calls: HttpCalls) -> HttpProvider:
    """A provider of the odd server."""
    return HttpProvider(calls)


@pytest.fixture
def accounts(calls: HttpCalls) -> HttpAccounts:
    """The account service of the odd server, by the same calls."""
    return HttpAccounts(calls)


@pytest.fixture
async def hasty_calls(configure: Configure) -> AsyncIterator[HttpCalls]:
    """Calls that are given up soon."""
    made = make_calls(configure(token_deadline=0.6, function_deadline=0.6))
    yield made
    await made.aclose()


@pytest.fixture
def hasty(hasty_calls: HttpCalls) -> HttpProvider:
    """A provider that gives up soon."""
    return HttpProvider(hasty_calls)


@pytest.fixture
async def sync() -> AsyncIterator[SyncServer]:
    """A server that keeps sockets open until the other side closes."""
    server = SyncServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def transport(sync: SyncServer, configure: Configure) -> WebSocketTransport:
    """A transport to the real server."""
    return WebSocketTransport(configure(base_url=sync.url))
