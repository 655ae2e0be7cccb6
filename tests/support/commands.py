"""The command line as its own process, on a data directory that a test knows from the inside as well."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import SessionStore
from syncauth.models import ReloginReason
from syncauth.sansio.effects import PutExpired
from tests.support.processes import ROOT

SECONDS = 40
APP = "test"


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document that is all of stdout."""
        return json.loads(self.out)


def run(*arguments: str | Path, stdin: str = "", **environment: str) -> Ended:
    """Run one command to its end; the environment names no server and no data."""
    known = {name: text for name, text in os.environ.items() if not name.startswith("SYNCAUTH_")}
    ended = subprocess.run(
        [sys.executable, "-m", "syncauth.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        cwd=ROOT,
        check=False,
        env={**known, "SYNCAUTH_KEY_STORAGE": "file", **environment},
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@contextmanager
def opened_store(data: Path, url: str) -> Iterator[SessionStore]:
    """Open the credential store as an App of this server does."""
    store = SessionStore(
        data, scope=f"{url} {APP}", key_storage="file", randomness=SystemRandomness()
    )
    try:
        yield store
    finally:
        store.close()


def tokens_in(data: Path, url: str) -> list[str]:
    """Return the text of every token in the store, those that wait to be revoked included."""
    with opened_store(data, url) as store:
        pairs = [user.tokens for user in store.load() if user.tokens is not None]
        waiting = [token for _, token in store.waiting_revocations()]
    kept = [token for pair in pairs for token in (pair.access, pair.refresh)]
    return [token.reveal() for token in (*kept, *waiting)]


def end_session(data: Path, url: str) -> str:
    """Write down that the current user's session was revoked; returns the user."""
    with opened_store(data, url) as store:
        (user,) = [each for each in store.load() if each.current]
        assert user.tokens is not None
        gone = PutExpired(
            user.user_id, user.epoch, user.tokens.refresh, "episode", ReloginReason.REVOKED, 1000.0
        )
        store.commit([gone])
        assert store.finish_erasing()
        return user.user_id


def change_store(data: Path, statement: str) -> None:
    """Run a statement on `sessions.db`, as nobody should."""
    with closing(sqlite3.connect(data / "sessions.db")) as connection, connection:
        connection.execute(statement)


def contents(data: Path) -> dict[str, str]:
    """Return a digest of every file below a directory."""
    return {
        path.relative_to(data).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(data.rglob("*"))
        if path.is_file()
    }
