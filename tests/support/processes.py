"""Processes of tests and benchmarks: a real server, devices of their own; whoever starts one ends it by its handle."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
SECONDS = 15.0
EMAIL, PASSWORD = "someone@example.com", "correct horse battery staple"


class JsonProcess:
    """A process that prints JSON lines; they are read by a thread as they come."""

    def __init__(
        self,
        *arguments: str,
        under: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        with contextlib.nullcontext() if log is None else log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*under, sys.executable, "-m", *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                cwd=ROOT,
            )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.told: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._process.stdout or contextlib.nullcontext([]) as lines:
            for line in lines:
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def hear(self, limit: float = SECONDS) -> dict[str, Any]:
        """Return the next line; what came is kept in `told`."""
        told = self._lines.get(timeout=limit)
        if told is None:
            message = f"the process has ended with {self._process.wait()}; it told {self.told[-5:]}"
            raise AssertionError(message)
        self.told.append(told)
        return told

    def hear_until(self, limit: float = SECONDS, **wanted: Any) -> dict[str, Any]:
        """Return the next line that has all these values, passing over others."""
        end = time.monotonic() + limit
        while True:
            told = self.hear(max(0.01, end - time.monotonic()))
            if wanted.items() <= told.items():
                return told

    def write(self, line: dict[str, Any]) -> None:
        """Send one line."""
        if self._process.stdin is None:
            raise AssertionError
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send_signal(self, number: int) -> None:
        """Send it a signal, such as SIGSTOP."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a loss of power would."""
        self._process.kill()
        self._process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end, and return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(SECONDS)
        finally:
            self._close()

    def close_input(self) -> int:
        """End it by the end of its input, and return its exit code."""
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        return self._process.wait(SECONDS)

    def _close(self) -> None:
        if self._process.poll() is None:
            self.kill()
        with contextlib.suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._reader.join(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self.kill()
        self._close()


class Device(JsonProcess):
    """A `device_program`."""

    def __init__(self, url: str, data: Path) -> None:
        super().__init__("tests.support.device_program", url, str(data))
        self.hear_until(happened="ready")

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and return its answer; the test fails if it failed."""
        self.start(command, **arguments)
        return self.finish(command)

    def start(self, command: str, **arguments: Any) -> None:
        """Give a command without waiting."""
        self.write({"do": command, **arguments})

    def finish(self, command: str, limit: float = SECONDS) -> dict[str, Any]:
        """Wait for the answer to a command."""
        while True:
            told = self.hear(limit)
            if told.get("do") == command:
                assert told["happened"] == "done", told
                return told

    def log_in(self) -> dict[str, Any]:
        """Log the one user in."""
        return self.do("log_in", email=EMAIL, password=PASSWORD)


class Server(JsonProcess):
    """`syncauth serve`."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        arguments = ["serve", "--config", str(directory / "syncauth.toml")]
        arguments += ["--data", str(directory / "data"), "--port", str(port)]
        super().__init__("syncauth.cli", *arguments, "--log-level", "warning")
        self.file = directory / "data" / "server.db"
        self.url = self.hear()["url"]

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rpartition(":")[2])


def configure(directory: Path, schema: str, tables: str, lifetimes: str = "") -> None:
    """Write schema file and configuration of a server in test mode."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "schema.sql").write_text(schema)
    (directory / "syncauth.toml").write_text(
        f'[server]\napp_id = "test"\nschema = "schema.sql"\ntest_mode = true\n'
        f'[login]\npassword_cost = "low"\n{lifetimes}\n{tables}\n'
    )


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has had so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(process: int) -> int:
    """Return the memory of a process, shared pages by its share of them."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(process)
