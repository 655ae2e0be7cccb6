"""Apps as processes of their own on one data directory: a `token_program` each, told and ended by its handle."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

from tests.support.processes import EMAIL, PASSWORD, JsonProcess

SECONDS = 30.0


class TokenProcess(JsonProcess):
    """A `token_program`; make several, and then `wait_ready` for each."""

    def __init__(self, url: str, data: Path, *, step: str = "", **settings: Any) -> None:
        arguments = (url, str(data), json.dumps(settings), step)
        super().__init__("tests.support.token_program", *arguments)
        self._kept: list[dict[str, Any]] = []

    def wait_ready(self) -> None:
        """Wait until the App is open."""
        self.hear_for(happened="ready")

    def hear_for(self, limit: float = SECONDS, **wanted: Any) -> dict[str, Any]:
        """Return the first line with all these values that was not returned yet; others are kept."""
        end = time.monotonic() + limit
        for line in self._kept:
            if wanted.items() <= line.items():
                self._kept.remove(line)
                return line
        while True:
            line = self.hear(max(0.01, end - time.monotonic()))
            if wanted.items() <= line.items():
                return line
            self._kept.append(line)

    def start(self, command: str, **arguments: Any) -> None:
        """Give a command without waiting."""
        self.write({"do": command, **arguments})

    def finish(self, command: str) -> dict[str, Any]:
        """Return what came of a command, `done` or `failed`."""
        return self.hear_for(do=command)

    def do(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and return its answer; the test fails if it failed."""
        self.start(command, **arguments)
        told = self.finish(command)
        assert told["happened"] == "done", told
        return told

    def wait_stopped(self) -> None:
        """Wait until the process has been stopped, by itself or by a signal (proc_pid_stat(5))."""
        end = time.monotonic() + SECONDS
        while self._state() != "T":
            assert time.monotonic() < end, self._state()
            time.sleep(0.001)

    def _state(self) -> str:
        text = Path(f"/proc/{self.pid}/stat").read_text()
        return text.rpartition(")")[2].split()[0]

    def go_on(self) -> None:
        """Let a stopped process go on."""
        self.wait_stopped()
        self.send_signal(signal.SIGCONT)

    def log_in(self) -> str:
        """Log the one user in and return its id."""
        return str(self.do("log_in", email=EMAIL, password=PASSWORD)["user"])

    def event(self, name: str, **wanted: Any) -> dict[str, Any]:
        """Wait for an event of this name."""
        return self.hear_for(happened="event", event=name, **wanted)

    def wait_who(self, **wanted: Any) -> dict[str, Any]:
        """Ask who is there until it is so."""
        end = time.monotonic() + SECONDS
        while not wanted.items() <= (told := self.do("who")).items():
            assert time.monotonic() < end, told
        return told
