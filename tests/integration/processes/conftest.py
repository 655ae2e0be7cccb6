"""A real server as its own process behind a counting proxy, and Apps as processes on one data directory."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.app_bench import SERVER_SCHEMA
from tests.support.counting_proxy import CountingProxy
from tests.support.processes import EMAIL, PASSWORD, Server, configure
from tests.support.token_process import TokenProcess


@dataclass
class Scene:
    """The server, the proxy before it, and the one data directory."""

    server: Server
    proxy: CountingProxy
    directory: Path
    _stack: contextlib.ExitStack

    def begin(self, **settings: Any) -> TokenProcess:
        """Start a process and do not wait for it."""
        process = TokenProcess(self.proxy.url, self.directory, **settings)
        return self._stack.enter_context(process)

    def open(self, **settings: Any) -> TokenProcess:
        """Start a process and wait until its App is open."""
        process = self.begin(**settings)
        process.wait_ready()
        return process

    def logged_in(self, **settings: Any) -> TokenProcess:
        """Start a process that makes the one account and logs in."""
        process = self.open(**settings)
        process.do("register", email=EMAIL, password=PASSWORD)
        process.log_in()
        return process

    def living_sessions(self) -> int:
        """Count the sessions that the server has not ended."""
        query = "SELECT count(*) FROM _sync_sessions WHERE ended_at IS NULL"
        with contextlib.closing(sqlite3.connect(self.server.file)) as connection:
            (count,) = connection.execute(query).fetchone()
        return int(count)


Start = Callable[..., Scene]


@pytest.fixture
def start_scene(tmp_path: Path) -> Iterator[Start]:
    """Start a scene with these lives of tokens; everything is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(lifetimes: str = "") -> Scene:
            configure(tmp_path / "server", SERVER_SCHEMA, "[tables.notes]", lifetimes)
            server = stack.enter_context(Server(tmp_path / "server"))
            proxy = stack.enter_context(CountingProxy(server.port))
            processes = stack.enter_context(contextlib.ExitStack())
            return Scene(server, proxy, tmp_path / "device", processes)

        yield start


@pytest.fixture
def scene(start_scene: Start) -> Scene:
    """Start a scene with the usual lives."""
    return start_scene()
