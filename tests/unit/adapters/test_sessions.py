"""The credential store: durable in one transaction, sealed, compared before it is set, erased for good."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import SessionStore
from syncauth.errors import FileCorrupt, FileFull, FileTooNew
from syncauth.interfaces import StaleWrite
from syncauth.models import (
    Identity,
    Login,
    Profile,
    ReloginReason,
    Secret,
    SessionState,
    TokenPair,
)
from syncauth.sansio.effects import (
    DropRevocation,
    PutExpired,
    PutLogin,
    PutLogout,
    PutMark,
    PutRevocation,
    PutTokens,
    StoreWrite,
)

Open = Callable[[], SessionStore]
PROFILE = Profile("normal", (Identity("id-1", "local-userpass"),), {"email": "ann@example.com"})


def pair(name: str) -> TokenPair:
    return TokenPair(Secret(f"access token {name}"), Secret(f"refresh token {name}"), 1800.0)


def login(name: str = "1", user: str = "ann", epoch: int = 1) -> PutLogin:
    return PutLogin(Login(user, "d" * 24, pair(name), PROFILE), epoch, 1000.0)


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


def test_a_login_is_there_after_a_restart(reopen: Open) -> None:
    """User, tokens and profile are as they were given; the one who logged in last is current."""
    reopen().commit([login()])
    store = reopen()
    store.commit([login("2", "bob")])
    ann, bob = reopen().load()
    assert (ann.user_id, ann.current, bob.current) == ("ann", False, True)
    assert (ann.tokens, ann.profile, ann.device_id) == (pair("1"), PROFILE, "d" * 24)
    assert (ann.state, ann.epoch, ann.received_at) == (SessionState.ACTIVE, 1, 1000.0)


def test_a_refresh_leaves_its_mark_until_the_new_pair_is_there(reopen: Open) -> None:
    """The mark survives a restart, and goes with the pair that it was for."""
    store = reopen()
    store.commit([login()])
    store.commit([PutMark("ann", 1, pair("1").refresh, "refresh id")])
    store = reopen()
    assert store.load()[0].refresh_id == "refresh id"
    store.commit([PutTokens("ann", 1, pair("1").refresh, pair("2"), 2000.0)])
    (ann,) = reopen().load()
    assert (ann.tokens, ann.refresh_id, ann.received_at) == (pair("2"), None, 2000.0)


def test_an_end_begins_an_episode(reopen: Open) -> None:
    """Both tokens are erased; reason, since and episode stay until the next login."""
    store = reopen()
    store.commit([login()])
    ended = PutExpired("ann", 1, pair("1").refresh, "episode", ReloginReason.REVOKED, 5.0)
    store.commit([ended])
    (ann,) = reopen().load()
    assert (ann.state, ann.tokens, ann.current) == (SessionState.REFRESH_EXPIRED, None, True)
    assert (ann.episode, ann.reason, ann.since) == ("episode", ReloginReason.REVOKED, 5.0)
    reopen().commit([login("2", epoch=2)])
    (ann,) = reopen().load()
    assert (ann.state, ann.episode, ann.reason) == (SessionState.ACTIVE, None, None)


@pytest.mark.parametrize(
    "stale",
    [
        PutTokens("ann", 1, pair("other").refresh, pair("2"), 0.0),
        PutTokens("ann", 9, pair("1").refresh, pair("2"), 0.0),
        PutTokens("nobody", 1, pair("1").refresh, pair("2"), 0.0),
        PutMark("ann", 1, pair("other").refresh, "id"),
        PutExpired("ann", 9, pair("1").refresh, "e", ReloginReason.EXPIRED, 0.0),
    ],
)
def test_what_was_overtaken_writes_nothing(reopen: Open, stale: StoreWrite) -> None:
    """A compare-and-set that fails undoes the whole commit."""
    store = reopen()
    store.commit([login()])
    before = store.load()
    with pytest.raises(StaleWrite):
        store.commit([PutRevocation(Secret("late")), stale])
    assert store.load() == before
    assert store.waiting_revocations() == []


def test_a_logout_keeps_the_refresh_token_to_be_revoked(reopen: Open) -> None:
    """It moves in the same commit, and goes when the server has confirmed."""
    store = reopen()
    store.commit([login()])
    store.commit([PutLogout("ann", 2, forget=False)])
    ((number, token),) = reopen().waiting_revocations()
    assert token == pair("1").refresh
    (ann,) = reopen().load()
    assert (ann.state, ann.tokens, ann.current) == (SessionState.LOGGED_OUT, None, False)
    reopen().commit([DropRevocation(number)])
    assert reopen().waiting_revocations() == []


def test_a_logout_may_forget_the_token(reopen: Open) -> None:
    """With `forget` nothing is kept to be revoked."""
    store = reopen()
    store.commit([login()])
    store.commit([PutLogout("ann", 2, forget=True)])
    assert store.waiting_revocations() == []


def test_a_login_revokes_the_session_that_it_replaces(reopen: Open) -> None:
    """The older refresh token of the same user waits to be revoked."""
    store = reopen()
    store.commit([login()])
    store.commit([login("2", epoch=2)])
    assert [token for _, token in store.waiting_revocations()] == [pair("1").refresh]


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


def test_a_newer_file_is_not_touched(reopen: Open, tmp_path: Path) -> None:
    """Its format is higher than what this version knows."""
    reopen().close()
    path = tmp_path / "sessions.db"
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(FileTooNew):
        reopen()
    assert path.read_bytes() == before


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
