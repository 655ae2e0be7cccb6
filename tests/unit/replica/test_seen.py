"""What waits in a user's file can be counted from outside, while it is open and afterwards."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.adapters.clock import SystemClock
from syncauth.errors import FileNotOurs, FileTooNew
from syncauth.replica.files import Owner
from syncauth.replica.seen import ReplicaSeen, read_replica
from tests.support.opened_file import ALICE, LIMIT, insert, open_notes


def seen(path: str) -> ReplicaSeen:
    """Read the file as somebody from outside."""
    uri = f"{Path(path).as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        return read_replica(connection, path)


def test_outbox_and_flight_are_told_apart(tmp_path: Path) -> None:
    """A change counts in the outbox until it is cut, then in flight; both are what the engine counts."""
    opened = open_notes(tmp_path)
    before = SystemClock().wall()
    opened.write(insert).result(LIMIT)
    waiting = seen(opened.path)
    opened.worker.submit(lambda: opened.replica.cut(rows=10, size=1000)).result(LIMIT)
    flying = seen(opened.path)
    state = opened.worker.submit(opened.replica.state).result(LIMIT)
    opened.close()

    assert (waiting.owner, waiting.tables) == (ALICE, ("notes",))
    assert (waiting.outbox, waiting.in_flight) == (1, 0)
    assert (flying.outbox, flying.in_flight) == (state.pending, state.in_flight_changes) == (0, 1)
    assert flying.pending == 1
    assert waiting.oldest_at is not None
    assert abs(waiting.oldest_at - before) < LIMIT
    assert seen(opened.path) == flying


def test_guest_is_no_user(tmp_path: Path) -> None:
    """The guest's file has an owner without a user; a user whose id is 0 is a user."""
    for user in (None, "0"):
        owner = Owner("https://sync.example.com", "field-notes", user)
        opened = open_notes(tmp_path, owner)
        opened.close()
        assert seen(opened.path).owner == owner


def test_files_that_are_not_ours(tmp_path: Path) -> None:
    """An empty file is being made; one without our tables, or of a newer format, is refused."""
    empty, foreign = tmp_path / "empty.db", tmp_path / "foreign.db"
    empty.touch()
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE t (a)")
    opened = open_notes(tmp_path)
    opened.close()
    with closing(sqlite3.connect(opened.path)) as connection, connection:
        connection.execute("UPDATE _sync_meta SET value = 'x' WHERE key = 'format'")

    assert seen(str(empty)) == ReplicaSeen(str(empty), None)
    with pytest.raises(FileNotOurs):
        seen(str(foreign))
    with pytest.raises(FileTooNew):
        seen(opened.path)
