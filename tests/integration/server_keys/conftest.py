"""Real servers on the same data, whose keys are changed while they run."""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import Ended, run
from tests.support.processes import Server, configure

SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id)
);
"""
BASE = "/api/client/v2.0"
SEEN_WITHIN = 15.0
"""Seconds, on a machine that does much else; how soon a process looks is shown by the tests of `signing_keys`."""

Start = Callable[[], Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers on the same data; what still runs at the end of the test is killed."""
    servers: list[Server] = []
    configure(tmp_path, SCHEMA, "[tables.notes]")

    def start_server() -> Server:
        servers.append(Server(tmp_path))
        return servers[-1]

    yield start_server
    for server in servers:
        server.stop(signal.SIGKILL)


def rotate(folder: Path, *arguments: str) -> Ended:
    """Rotate the keys of the server in that folder, as an operator does."""
    ended = run("server", "rotate-key", "--data", folder / "data", "--json", *arguments)
    assert ended.code == 0, ended
    return ended


def key_of(token: str) -> str:
    """Return the id of the key that signed a token."""
    header = json.loads(base64.urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))
    return str(header["kid"])


def published(server: Server) -> dict[str, Any]:
    """Return the public keys."""
    found: dict[str, Any] = httpx.get(f"{server.url}/.well-known/jwks.json").json()
    return found


def is_access(server: Server, token: str) -> bool:
    """Tell whether a server takes an access token."""
    header = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}{BASE}/auth/profile", headers=header).status_code == 200


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + SEEN_WITHIN
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
