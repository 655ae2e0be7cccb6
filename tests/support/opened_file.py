"""Users' files opened for real, and wakes that can be waited for; shared by the tests of open files."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import sqlite_utils

from syncauth.adapters.clock import SystemClock
from syncauth.adapters.locks import hold_file
from syncauth.adapters.watching import Watcher
from syncauth.models import TableSpec
from syncauth.replica.opened import OpenedFile, Owner, open_file

LIMIT = 10.0
ALICE = Owner("https://sync.example.com", "field-notes", "alice")
NOTES = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, text TEXT);"


class NoWatcher:
    """A watched directory in which nothing is ever seen: only own notices are left."""

    kind = "events"

    def __init__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


def open_notes(data_dir: Path, owner: Owner = ALICE, **changes: Any) -> OpenedFile:
    arguments: dict[str, Any] = {
        "tables": [TableSpec("notes")],
        "create": NOTES,
        "device": "00000000000000aa",
        "incarnation": "one",
        "hold": hold_file,
        "clock": SystemClock().now,
        "watch": Watcher,
    }
    return open_file(data_dir, owner, **(arguments | changes))


class Wakes:
    """A callback that counts, and whose calls can be waited for."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.count = 0

    def __call__(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait_above(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.count > count, LIMIT)


def settle(opened: OpenedFile) -> None:
    """Wait until the file's thread has done everything that was noticed before."""
    opened.worker.submit(lambda: None).result(LIMIT)


def insert(db: sqlite_utils.Database) -> None:
    db["notes"].insert({"id": "new", "text": "x"})
