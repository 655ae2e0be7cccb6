"""The example of the README runs as it stands there, against the server that the README configures."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT, Server

LIMIT_SECONDS = 30.0
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHORT_LIVES = (
    "\n[lifetimes]\naccess_seconds = 2\nrefresh_seconds = 2\n[login]\npassword_cost = 'low'\n"
)
TEST_MODE = "[server]\ntest_mode = true\n"


@pytest.fixture
def blocks() -> dict[str, str]:
    """Return the code of the README by language; there is one block of each that is used here."""
    return dict(BLOCK.findall((ROOT / "README.md").read_text("utf-8")))


@pytest.fixture
def server(tmp_path: Path, blocks: dict[str, str]) -> Iterator[Server]:
    """Run the server as the README configures it, but for lives short enough to be outlived."""
    (tmp_path / "schema.sql").write_text(blocks["sql"])
    short = blocks["toml"].replace("[server]\n", TEST_MODE) + SHORT_LIVES
    (tmp_path / "syncauth.toml").write_text(short)
    with Server(tmp_path) as running:
        yield running
        assert running.stop() == 0


def run(example: str, server: Server, directory: Path) -> str:
    """Run the example as a program of its own and return what it printed."""
    program = directory / "example.py"
    program.write_text(example.replace("http://127.0.0.1:8089", server.url))
    # The tests must not touch the keyring of whoever runs them.
    environment = os.environ | {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=directory,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(server: Server, sql: str) -> list[tuple[object, ...]]:
    """Read the server's file."""
    connection = sqlite3.connect(f"file:{server.file}?mode=ro", uri=True)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def outlive_the_session(server: Server) -> None:
    """Wait until the server's only session has ended."""
    limit = time.monotonic() + LIMIT_SECONDS
    while rows(server, f"SELECT 1 FROM _sync_sessions WHERE expires_at > {time.time()}"):
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_example_uploads_and_after_the_end_of_the_session_logs_in(
    server: Server, blocks: dict[str, str], tmp_path: Path
) -> None:
    """The first run registers and uploads; one after the session's end is asked to log in and uploads (I1, I6)."""
    example = blocks["python"]

    first = run(example, server, tmp_path)
    outlive_the_session(server)
    second = run(example, server, tmp_path)

    assert first.endswith(", 1 notes uploaded\n")
    assert "relogin required (expired), 1 changes wait\n" in second
    assert second.endswith(", 2 notes uploaded\n")
    assert rows(server, "SELECT count(*), count(DISTINCT id), max(text) FROM notes") == [
        (2, 2, "buy milk")
    ]


def test_example_is_short(blocks: dict[str, str]) -> None:
    """An example that needs more than some 30 lines of code is no example."""
    code = [line for line in blocks["python"].splitlines() if line.strip()]

    assert len(code) <= 30
