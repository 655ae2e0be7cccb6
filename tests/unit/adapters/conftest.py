"""Odd servers on loopback, and the settings to reach them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePath
from typing import Any

import pytest

from syncauth.config import AppConfig
from tests.support.certificates import make_contexts
from tests.support.odd_server import OddServer

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
