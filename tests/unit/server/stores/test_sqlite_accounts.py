"""What the SQLite account store alone promises: its part in a transaction, and what it keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.server.stores.interface import NewUser, SessionRecord, SessionStatus
from syncauth.server.stores.sqlite_accounts import SqliteAccounts

USER = NewUser("u", "i", "local-userpass", "a@example.com", "argon2-hash", {})
SESSION = SessionRecord("s", "u", "d", "i", "local-userpass", True, 100.0, None, None)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as the opener of the server's file makes it."""
    connection = sqlite3.connect(tmp_path / "server.db", isolation_level=None)
    yield connection
    connection.close()


def test_status_is_read_inside_the_callers_transaction(connection: sqlite3.Connection) -> None:
    """The session is read in the transaction that commits a batch, which goes on after it (I3)."""
    store = SqliteAccounts(connection)
    store.add_user(USER, 0.0)
    store.open_session(SESSION, token_hash=b"t", now=0.0)

    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE _sync_sessions SET ended_at = 1")
    assert store.session_status("s", 1.0) is SessionStatus.REVOKED
    assert connection.in_transaction
    connection.execute("ROLLBACK")

    assert store.session_status("s", 1.0) is SessionStatus.ACTIVE


def test_reads_hold_no_lock(connection: sqlite3.Connection) -> None:
    """After a read nothing is left open that would hold back another writer."""
    store = SqliteAccounts(connection)
    store.add_user(USER, 0.0)
    store.find_login("local-userpass", "a@example.com")
    store.user("u")
    store.session_status("s", 0.0)

    assert not connection.in_transaction
    other = sqlite3.connect(
        connection.execute("PRAGMA database_list").fetchone()[2], timeout=0, isolation_level=None
    )
    other.execute("BEGIN EXCLUSIVE")
    other.execute("ROLLBACK")
    other.close()


def test_end_of_a_session_erases_its_hashes(connection: sqlite3.Connection) -> None:
    """Of an ended session not even the hash of a token stays in the table."""
    store = SqliteAccounts(connection)
    store.add_user(USER, 0.0)
    store.open_session(SESSION, token_hash=b"token", now=0.0)
    store.rotate("s", presented=b"token", refresh_id=b"id", successor=b"next", now=1.0)

    store.revoke_session("s", 2.0)

    kept = connection.execute("SELECT token, spent, refresh_id FROM _sync_sessions").fetchall()
    assert kept == [(b"", None, None)]


def test_tables_are_made_once(connection: sqlite3.Connection) -> None:
    """Opening a file again keeps what is in it."""
    SqliteAccounts(connection).add_user(USER, 0.0)

    assert SqliteAccounts(connection).user("u") is not None
