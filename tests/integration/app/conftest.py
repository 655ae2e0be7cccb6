"""A real server as its own process, and Apps against it, closed at the end of each test."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import syncauth
from tests.support.app_bench import SERVER_SCHEMA, OpenApp
from tests.support.processes import Server, configure

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers of notes on the same data; what still runs at the end is ended."""
    with contextlib.ExitStack() as stack:

        def start_server(lifetimes: str = "", port: int = 0) -> Server:
            configure(tmp_path / "server", SERVER_SCHEMA, "[tables.notes]", lifetimes)
            return stack.enter_context(Server(tmp_path / "server", port))

        yield start_server


@pytest.fixture
def server(start: Start) -> Server:
    """Serve with the usual lifetimes."""
    return start()


@pytest.fixture
async def open_app(tmp_path: Path) -> AsyncIterator[OpenApp]:
    """Open Apps by URL and the name of their data directory."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_app(url: str, name: str = "device", **settings: Any) -> syncauth.App:
            given = {
                "app_id": "test",
                "data_dir": tmp_path / name,
                "key_storage": "file",
                **settings,
            }
            return await stack.enter_async_context(syncauth.App(url, **given))

        yield open_app


@pytest.fixture
def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
