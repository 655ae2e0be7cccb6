"""
The processes of the demonstration: one server, several devices, spoken to through pipes.

Every process that is started here is ended here, by its handle. This module must never know the
story.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ANSWER_SECONDS: Final = 120.0
END_SECONDS: Final = 20.0

Listener = Callable[[str, dict[str, Any]], None]


class Ended(Exception):
    """A process has ended while something was expected of it."""


async def start_server(config: Path, data: Path) -> tuple[Process, str]:
    """Start `syncauth serve` on a free port; returns the process and the URL of its ready line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "syncauth.cli", "serve", "--config", str(config)),
        *("--data", str(data), "--port", "0", "--log-level", "warning"),
        stdout=PIPE,
    )
    line = await asyncio.wait_for(_lines(process).readline(), ANSWER_SECONDS)
    if not line:
        message = "the server did not start"
        raise Ended(message)
    return process, json.loads(line)["url"]


async def end(process: Process) -> None:
    """Ask a process to end with SIGTERM, and wait for it; kill it only if it does not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


class DeviceProcess:
    """One device: commands go in, what happens comes out; transitions are told at once."""

    def __init__(self, name: str, process: Process, listener: Listener) -> None:
        """Take a running `syncauth.demo.device`."""
        self.name = name
        self._process = process
        self._listener = listener
        self._heard: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    @classmethod
    async def start(cls, name: str, url: str, data: Path, listener: Listener) -> DeviceProcess:
        """Start a device with its own data directory."""
        command = (sys.executable, "-m", "syncauth.demo.device", url, str(data))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
        return cls(name, process, listener)

    async def listen(self) -> None:
        """Read until the device ends."""
        output = _lines(self._process)
        while line := await output.readline():
            told = json.loads(line)
            self._listener(self.name, told)
            if told["happened"] != "transition":
                self._heard.put_nowait(told)
        self._heard.put_nowait(None)

    async def do(self, command: str, answer: str, **data: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        if self._process.stdin is None:
            raise Ended(self.name)
        self._process.stdin.write(json.dumps({"do": command, **data}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear(answer)

    async def hear(self, happened: str) -> dict[str, Any]:
        """Wait until the device tells that something has happened; what it told before is passed over."""
        while True:
            told = await asyncio.wait_for(self._heard.get(), ANSWER_SECONDS)
            if told is None:
                message = f"{self.name} has ended before {happened!r}"
                raise Ended(message)
            if told["happened"] == happened:
                return told

    async def end(self) -> None:
        """Close its standard input, which ends it, and wait."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), END_SECONDS)
        except TimeoutError:
            await end(self._process)


def _lines(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        message = "the process was started without a pipe"
        raise Ended(message)
    return process.stdout
