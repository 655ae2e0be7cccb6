"""The file of the credential store: sealed, erased for good, and left as it is when it is damaged.

What every store does stands in `tests/conformance`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import SessionStore
from syncauth.errors import FileCorrupt, FileFull
from syncauth.models import (
    Secret,
    SessionState,
)
from syncauth.sansio.effects import (
    PutLogout,
    PutRevocation,
    PutTokens,
)
from tests.support.credential_bench import login, pair

Open = Callable[[], SessionStore]


@pytest.fixture
def reopen(tmp_path: Path) -> Iterator[Open]:
    stores: list[SessionStore] = []

    def reopen() -> SessionStore:
        for store in stores:
            store.close()
        stores.append(
            SessionStore(
                tmp_path, scope="server app", key_storage="file", randomness=SystemRandomness()
            )
        )
        return stores[-1]

    yield reopen
    for store in stores:
        store.close()


def bytes_of(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.iterdir()))


def test_no_token_stands_in_any_file(reopen: Open, tmp_path: Path) -> None:
    """Neither in the database nor in its log nor beside them (I10)."""
    store = reopen()
    store.commit([login()])
    store.commit([PutTokens("ann", 1, pair("1").refresh, pair("2"), 0.0)])
    store.commit([PutLogout("ann", 2, forget=False)])
    assert b"access token" not in bytes_of(tmp_path)
    assert b"refresh token" not in bytes_of(tmp_path)


def test_after_a_logout_not_even_the_sealed_bytes_remain(reopen: Open, tmp_path: Path) -> None:
    """Erased in the file and, once the log is truncated, on the disk (I8)."""
    store = reopen()
    store.commit([login()])
    with sqlite3.connect(tmp_path / "sessions.db") as other:
        sealed = other.execute("SELECT data_key, access, refresh FROM users").fetchone()
    other.close()
    assert all(each in bytes_of(tmp_path) for each in sealed)
    store.commit([PutLogout("ann", 2, forget=True)])
    assert store.finish_erasing()
    assert not any(each in bytes_of(tmp_path) for each in sealed)


def test_a_reader_delays_the_truncation_and_a_start_repeats_it(
    reopen: Open, tmp_path: Path
) -> None:
    """A logout that was interrupted in between is finished when the store is read again."""
    store = reopen()
    store.commit([login()])
    reader = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
    reader.execute("BEGIN")
    sealed = reader.execute("SELECT data_key, access, refresh FROM users").fetchone()
    store.commit([PutLogout("ann", 2, forget=True)])
    assert not store.finish_erasing()
    assert any(each in bytes_of(tmp_path) for each in sealed)
    reader.close()
    reopen().load()
    assert not any(each in bytes_of(tmp_path) for each in sealed)


def test_a_token_under_another_user_s_name_does_not_open(reopen: Open, tmp_path: Path) -> None:
    """What is sealed is bound to whose it is: moved in the file, it asks for a login."""
    store = reopen()
    store.commit([login(), login("2", "bob")])
    store.close()
    with sqlite3.connect(tmp_path / "sessions.db") as thief:
        thief.execute(
            "UPDATE users SET (data_key, access, refresh) ="
            " (SELECT data_key, access, refresh FROM users WHERE user_id = 'ann')"
            " WHERE user_id = 'bob'"
        )
    thief.close()
    ann, bob = reopen().load()
    assert ann.tokens == pair("1")
    assert (bob.tokens, bob.state) == (None, SessionState.REFRESH_EXPIRED)
    assert bob.episode is not None


def test_another_key_asks_for_a_login_and_keeps_the_users(reopen: Open, tmp_path: Path) -> None:
    """A key that is there and does not fit erases nothing."""
    reopen().commit([login()])
    (tmp_path / "sessions.key").write_bytes(b"x" * 64)
    (ann,) = reopen().load()
    assert (ann.user_id, ann.state, ann.tokens) == ("ann", SessionState.REFRESH_EXPIRED, None)
    reopen().commit([login("2", epoch=2)])
    assert reopen().load()[0].tokens == pair("2")


def test_files_are_for_their_owner_alone(reopen: Open, tmp_path: Path) -> None:
    """Mode 0600 for the database, its log and the key."""
    reopen().commit([login()])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert "sessions.key" in modes


def test_a_damaged_file_is_not_touched(reopen: Open, tmp_path: Path) -> None:
    """It is left as it is, for whoever can make something of it."""
    path = tmp_path / "sessions.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(FileCorrupt):
        reopen()
    assert path.read_bytes() == b"no database" * 1000


def test_on_a_full_disk_nothing_is_written(reopen: Open) -> None:
    """The commit that does not fit is undone as a whole."""
    store = reopen()
    store.commit([login()])
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    before = store.load()
    with pytest.raises(FileFull):
        store.commit([PutRevocation(Secret("x" * 100_000)), PutLogout("ann", 2, forget=False)])
    assert store.load() == before
    assert store.waiting_revocations() == []


@pytest.mark.parametrize(
    "damage",
    [
        "life = NULL",
        "received_at = 'noon'",
        "data_key = NULL",
        "epoch = 'two'",
        "profile = '{}'",
        "profile = x'00'",
        "state = 'asleep'",
    ],
)
def test_a_damaged_row_is_told_as_such(reopen: Open, tmp_path: Path, damage: str) -> None:
    """Whatever stands where it should not, it is one error that names the file, and nothing is erased."""
    reopen().commit([login()])
    raw = sqlite3.connect(tmp_path / "sessions.db", isolation_level=None)
    raw.execute("PRAGMA ignore_check_constraints = ON")
    raw.execute(f"UPDATE users SET {damage}")
    before = raw.execute("SELECT * FROM users").fetchall()
    with pytest.raises(FileCorrupt, match=r"sessions\.db|row"):
        reopen().load()
    assert raw.execute("SELECT * FROM users").fetchall() == before
    raw.close()
