"""Real servers on the same data, and a user of one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.processes import Server, configure
from tests.support.socket_device import Account

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id)
);
"""
Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers on the same data; what still runs at the end of the test is killed."""
    servers: list[Server] = []

    def start_server(access_seconds: int = 1800, limits: str = "") -> Server:
        lifetimes = f"[lifetimes]\naccess_seconds = {access_seconds}\n[limits]\n{limits}"
        configure(tmp_path, SCHEMA, "[tables.notes]", lifetimes)
        servers.append(Server(tmp_path))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture
def ann(start: Start) -> Account:
    """A user of one server with the usual lifetimes."""
    return Account.log_in(start().url, "ann")
