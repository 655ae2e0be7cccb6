"""Runs the programs of the how-to page under real ASGI servers, each on a socket that the test keeps."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.processes import ROOT, configure

PAGE = ROOT / "docs" / "how-to" / "embed-the-server.md"
PROGRAM = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = 20.0
SCHEMA = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, text TEXT, PRIMARY KEY (_partition, id));"""
NOTES = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, text TEXT)"
SERVERS = {
    "uvicorn": ("uvicorn", "--fd", "{fd}", "--ws", "websockets-sansio", "--log-level", "warning"),
    "uvicorn without lifespan": ("uvicorn", "--fd", "{fd}", "--lifespan", "off"),
    "hypercorn": ("hypercorn", "--bind", "fd://{fd}"),
    "daphne": ("daphne", "--fd", "{fd}"),
}
"""Name → the module and its arguments before the application."""


def programs() -> dict[str, str]:
    """Return the programs of the page by the name in their first line."""
    return dict(PROGRAM.findall(PAGE.read_text("utf-8")))


def write_project(directory: Path, more: str = "") -> None:
    """Write the page's programs into a folder, with settings beside them; `more` is TOML."""
    configure(directory, SCHEMA, "[tables.notes]\n", more)
    for name, text in programs().items():
        (directory / name).write_text(text)
    for app in ("notes", "tasks"):
        settings = (directory / "syncauth.toml").read_text()
        (directory / f"{app}.toml").write_text(settings)


class Parent:
    """A process that serves an application; its listening socket outlives it."""

    def __init__(self, directory: Path, application: str, under: str = "uvicorn") -> None:
        self.directory = directory
        self._application = application
        self._under = under
        self._door = socket.socket()
        self._door.bind(("127.0.0.1", 0))
        self._door.listen(64)
        self.url = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self.log = directory / "parent.log"
        self.start()

    def start(self) -> None:
        """Start the process and return; what connects waits until it serves."""
        command = [each.format(fd=self._door.fileno()) for each in SERVERS[self._under]]
        path = os.pathsep.join([str(self.directory), str(ROOT)])
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command, self._application],
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": path},
                pass_fds=[self._door.fileno()],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_ready(self, path: str = "/sync/healthz") -> None:
        """Wait until it answers."""
        end = time.monotonic() + SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            try:
                if httpx.get(self.url + path, timeout=SECONDS).status_code == 200:
                    return
            except httpx.HTTPError:
                continue
        raise AssertionError(self.log.read_text())

    def stop(self) -> int:
        """Ask it to end, and return its exit code; the door stays open for the next one."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(SECONDS)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._door.close()
