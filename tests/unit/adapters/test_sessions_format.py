"""The format of the credential store: an older one is brought up to date, a newer one is not touched."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import STORE_FILE, SessionStore
from syncauth.adapters.sessions_schema import FORMAT
from syncauth.errors import FileNotOurs, FileTooNew, StorageError
from syncauth.models import Identity, ReloginReason, SessionState
from syncauth.sansio.effects import PutMark, PutRemoval, PutTokens, Transition
from tests.support.credential_bench import pair

FIRST_FORMAT = Path(__file__).parents[3] / "fixtures" / "databases" / "sessions-v1.sql"
KEY = bytes(range(64))
"""What the key file held when the fixture was written."""


def write_file(directory: Path, sql: str) -> Path:
    """Make a store as another version left it, in the journal mode that it used; return its path."""
    (directory / "sessions.key").write_bytes(KEY)
    path = directory / STORE_FILE
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(sql)
    connection.close()
    return path


def open_store(directory: Path) -> SessionStore:
    """Open it with this version."""
    return SessionStore(
        directory, scope="server app", key_storage="file", randomness=SystemRandomness()
    )


def layout(path: Path) -> tuple[int, dict[str, list[tuple[object, ...]]]]:
    """Return the format and the columns of every table."""
    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    columns = {
        name: connection.execute(f"PRAGMA table_info({name})").fetchall()
        for (name,) in tables.fetchall()
    }
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return number, columns


def test_a_store_of_the_first_format_keeps_its_users(tmp_path: Path) -> None:
    """Each in its state, with tokens, profile, mark, episode and what waits to be revoked."""
    write_file(tmp_path, FIRST_FORMAT.read_text("utf-8"))
    store = open_store(tmp_path)
    ann, bob, cleo, dan = store.load()

    assert (ann.user_id, ann.state, ann.epoch, ann.current) == ("ann", SessionState.ACTIVE, 4, True)
    assert (ann.tokens, ann.received_at, ann.refresh_ends_at) == (pair("ann"), 1000.0, None)
    assert ann.profile.identities == (Identity("id-ann", "local-userpass"),)
    assert ann.profile.data == {"email": "ann@example.com"}
    assert (bob.tokens, bob.epoch, bob.refresh_id) == (pair("bob"), 3, "refresh id")
    assert (cleo.state, cleo.tokens) == (SessionState.REFRESH_EXPIRED, None)
    assert (cleo.episode, cleo.reason, cleo.since) == ("episode 1", ReloginReason.REVOKED, 5.0)
    assert (dan.state, dan.epoch, dan.tokens) == (SessionState.LOGGED_OUT, 2, None)
    assert [token for _, token in store.waiting_revocations()] == [pair("dan").refresh]
    store.close()


def test_a_store_of_the_first_format_has_the_present_layout_afterwards(tmp_path: Path) -> None:
    """Column by column what a new store has, and opened a second time it stays that way."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    path = write_file(old, FIRST_FORMAT.read_text("utf-8"))
    assert layout(path)[0] == 1
    for directory in (old, new, old):
        open_store(directory).close()

    assert layout(path) == layout(new / STORE_FILE)
    assert layout(path)[0] == FORMAT == 2


def test_a_store_of_the_first_format_takes_what_it_could_not_take(tmp_path: Path) -> None:
    """Fences, ends of refresh tokens, removals and a history."""
    write_file(tmp_path, FIRST_FORMAT.read_text("utf-8"))
    store = open_store(tmp_path)
    fence, bob = store.raise_fence("bob")
    assert bob is not None and bob.refresh_id == "refresh id"
    move = Transition("bob", 1.0, SessionState.ACTIVE, SessionState.REFRESHING, "refresh_due")
    old, renewed = pair("bob").refresh, pair("2", refresh_life=9000.0)
    store.commit([PutMark("bob", 3, old, "id", fence)], [move])
    store.commit([PutTokens("bob", 3, old, renewed, 2000.0, fence), PutRemoval("ann", forget=True)])
    store.close()
    store = open_store(tmp_path)

    (bob,) = [each for each in store.load() if each.user_id == "bob"]
    assert (bob.tokens, bob.refresh_ends_at) == (renewed, 11_000.0)
    assert list(store.waiting_removals()) == [("ann", None)]
    assert list(store.history()) == [move]
    store.close()


def test_a_migration_that_fails_leaves_the_first_format(tmp_path: Path) -> None:
    """It is one transaction: a file that is not what its number says is left as it is."""
    sql = FIRST_FORMAT.read_text("utf-8")
    path = write_file(tmp_path, sql + "ALTER TABLE users ADD COLUMN refresh_life REAL;")
    before = layout(path)
    with pytest.raises(StorageError):
        open_store(tmp_path)

    assert layout(path) == before


@pytest.mark.parametrize("number", [FORMAT + 1, 99])
def test_a_newer_format_is_refused_untouched(tmp_path: Path, number: int) -> None:
    """Not a byte of it changes, so that the newer version finds it as it left it."""
    path = write_file(
        tmp_path, FIRST_FORMAT.read_text("utf-8") + f"PRAGMA user_version = {number};"
    )
    before = path.read_bytes()
    with pytest.raises(FileTooNew) as raised:
        open_store(tmp_path)

    assert str(number) in raised.value.why
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} <= {
        STORE_FILE,
        f"{STORE_FILE}-wal",
        f"{STORE_FILE}-shm",
        "sessions.key",
    }


@pytest.mark.parametrize("number", [0, -1])
def test_a_file_without_a_format_of_ours_is_refused_untouched(tmp_path: Path, number: int) -> None:
    """It has tables of somebody else."""
    path = write_file(tmp_path, f"CREATE TABLE users (name); PRAGMA user_version = {number};")
    before = path.read_bytes()
    with pytest.raises(FileNotOurs):
        open_store(tmp_path)

    assert path.read_bytes() == before
