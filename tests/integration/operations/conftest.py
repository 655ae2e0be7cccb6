"""A real server process whose log is kept, with functions that wait for a file, fail, or speak to the log."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.processes import ROOT, configure
from tests.support.watched import lines_of

SECONDS = 20.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id)
);
"""
SETTINGS = """
[functions]
wait = "of_the_team:wait"
fail = "of_the_team:fail"
speak = "of_the_team:speak"
sleep = "of_the_team:sleep"
[hooks]
custom_login = "of_the_team:log_in"
mail = "of_the_team:send"
[email]
confirmation = "mail"
confirm_url = "https://notes.example.com/confirm"
"""
MODULE = """
import asyncio, logging, pathlib, time

async def wait(context, path):
    pathlib.Path(path + ".begun").touch()
    while not pathlib.Path(path).exists():
        await asyncio.sleep(0.02)
    return "waited"

def fail(context, text):
    raise RuntimeError(text)

def speak(context):
    logging.getLogger("of_the_team").warning("a function speaks")

def sleep(context, seconds):
    time.sleep(seconds)

def log_in(payload):
    raise RuntimeError(payload["ticket"])

def send(mail):
    raise RuntimeError(mail.text)
"""
BASE = "/api/client/v2.0"
APP = f"{BASE}/app/test"


class LoggedServer:
    """`syncauth serve` with its log in a file."""

    def __init__(self, directory: Path, *arguments: str, environment: dict[str, str]) -> None:
        self._log = (directory / f"log-{time.monotonic_ns()}").open("w+")
        command = [sys.executable, "-m", "syncauth.cli", "serve", *arguments]
        command += ["--config", str(directory / "syncauth.toml"), "--data", str(directory / "data")]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=ROOT,
            env={**os.environ, **environment},
        )
        if self.process.stdout is None:
            raise AssertionError
        line = self.process.stdout.readline()
        assert line, self.log()
        self.ready: dict[str, Any] = json.loads(line)
        self.url = str(self.ready["url"])

    @property
    def port(self) -> str:
        """The port it listens on."""
        return self.url.rpartition(":")[2]

    def log(self) -> str:
        """Return the log as it is now."""
        return Path(self._log.name).read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Return the log, of which every line must be JSON."""
        return lines_of(self.log())

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def ended(self, within: float = SECONDS) -> int:
        """Wait for its end, and return its exit code."""
        return self.process.wait(within)

    def close(self) -> None:
        """End it whatever it does."""
        self.process.kill()
        self.process.communicate(timeout=10)
        self._log.close()

    def call(self, token: str, name: str, *arguments: Any, **headers: str) -> httpx.Response:
        """Call a function."""
        body = {"name": name, "arguments": list(arguments)}
        named = {"Authorization": f"Bearer {token}", **headers}
        place = f"{self.url}{APP}/functions/call"
        return httpx.post(place, json=body, headers=named, timeout=SECONDS)

    def stream(self, token: str, name: str, *arguments: Any) -> httpx.Response:
        """Call a function in the form that carries everything in the URL."""
        body = json.dumps({"name": name, "arguments": list(arguments)}).encode()
        parameters = {"baas_request": base64.b64encode(body).decode(), "baas_at": token}
        place = f"{self.url}{APP}/functions/call"
        return httpx.get(place, params=parameters, timeout=SECONDS)

    def log_in(self, provider: str = "anon-user", **body: Any) -> httpx.Response:
        """Try to log in."""
        place = f"{self.url}{APP}/auth/providers/{provider}/login"
        return httpx.post(place, json=body, timeout=SECONDS)


Serve = Callable[..., LoggedServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers on the same data; what still runs at the end of the test is killed."""
    servers: list[LoggedServer] = []
    (tmp_path / "of_the_team.py").write_text(MODULE)

    def start(
        *arguments: str, settings: str = "", port: str = "0", **environment: str
    ) -> LoggedServer:
        configure(tmp_path, SCHEMA, "[tables.notes]", SETTINGS + settings)
        server = LoggedServer(tmp_path, "--port", port, *arguments, environment=environment)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it does not come to hold"
        time.sleep(0.02)
