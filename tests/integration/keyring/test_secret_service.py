"""
The credential store with a real Secret Service: GNOME's keyring daemon on a session bus of its own.

Each bus, its daemon and the program between them are processes of one test, with a home directory of their own: the
keyring of whoever runs the tests is never touched.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import JsonProcess

PASSWORD = "the keyring's password"
PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")


class Desktop:
    """What a test does on one desktop, from its start to its end."""

    def __init__(self, process: JsonProcess, data: Path) -> None:
        self._process = process
        self._data = data

    def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and return what came of it."""
        self._process.write({"do": what, **arguments})
        return self._process.hear(limit=40)

    def kept(self) -> list[str]:
        """Return what the store holds, down to the last byte of a sealed token."""
        with closing(sqlite3.connect(self._data / "sessions.db")) as connection:
            return list(connection.iterdump())

    def files(self) -> dict[str, bytes]:
        """Return the files of the data directory."""
        return {path.name: path.read_bytes() for path in self._data.iterdir()}

    def log_off(self) -> None:
        """End program, daemon and bus, each by whoever started it; idempotent."""
        assert self._process.close_input() == 0


Start = Callable[..., Desktop]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start desktops of the same home directory, one after another."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    assert not missing, f"{', '.join(missing)} cannot be found: run `make services`"
    data, home = tmp_path / "data", tmp_path / "home"
    data.mkdir()
    (home / "run").mkdir(parents=True, mode=0o700)
    own = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}
    with ExitStack() as desktops:

        def begin(password: str = PASSWORD) -> Desktop:
            program = ("tests.support.keyring_program", str(data))
            process = JsonProcess(*program, under=("dbus-run-session", "--"), environment=own)
            desktop = Desktop(desktops.enter_context(process), data)
            desktops.callback(desktop.log_off)
            desktop.do("start", password=password)
            return desktop

        yield begin


def refused(told: dict[str, Any]) -> str:
    """Return why the store could not be opened; it must say what to do."""
    assert told["error"] == "KeyringUnavailable", told
    assert told["remedy"]
    return str(told["why"])


def test_the_keyring_keeps_the_key(start: Start) -> None:
    """It is made once, found by the next opening and after a new start, and stands in no file (I10)."""
    desktop = start()
    assert desktop.do("open") == {"protection": "keyring", "users": 0, "same_tokens": True}
    desktop.do("log_in")
    known = {"protection": "keyring", "users": 1, "same_tokens": True}
    assert desktop.do("open") == known
    keys = desktop.do("keys")
    assert keys["keys"] == 1
    assert not any(name.endswith((".key", ".new")) for name in desktop.files())
    assert not any(b"refresh token" in content for content in desktop.files().values())
    desktop.log_off()
    again = start()
    assert again.do("open") == known
    assert again.do("keys") == keys


def test_a_locked_keyring_erases_nothing_and_makes_nothing(start: Start) -> None:
    """The store is not opened, its files stay as they are, and after the unlocking all is there."""
    desktop = start()
    desktop.do("log_in")
    keys, before = desktop.do("keys"), desktop.kept()
    desktop.do("lock")
    refused(desktop.do("open"))
    refused(desktop.do("open"))
    assert desktop.kept() == before
    desktop.log_off()
    unlocked = start()
    assert unlocked.do("keys") == keys
    assert unlocked.do("open") == {"protection": "keyring", "users": 1, "same_tokens": True}


def test_a_new_store_waits_for_a_locked_keyring(start: Start) -> None:
    """Where the machine has a keyring, no weaker place is taken because it is locked."""
    start().log_off()  # makes the keyring
    desktop = start("a wrong password")
    refused(desktop.do("open"))
    assert "sessions.key" not in desktop.files()
    desktop.log_off()
    unlocked = start()
    assert unlocked.do("keys")["keys"] == 0
    assert unlocked.do("open") == {"protection": "keyring", "users": 0, "same_tokens": True}


@pytest.mark.parametrize("gone", ["delete_keys", "delete_keyring"])
def test_a_key_that_is_gone_is_not_made_anew(start: Start, gone: str) -> None:
    """A new one would open nothing: it is told, and the tokens wait for the old one."""
    desktop = start()
    desktop.do("log_in")
    before = desktop.kept()
    desktop.do(gone)
    refused(desktop.do("open"))
    assert desktop.kept() == before
    desktop.log_off()
    again = start()
    refused(again.do("open"))
    assert again.kept() == before
    assert again.do("keys")["keys"] == 0
