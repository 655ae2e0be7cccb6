"""The server's file: what cannot be used is refused by name, and left as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from syncauth.errors import FileCorrupt, FileTooNew, InvalidConfig
from syncauth.server.stores.interface import LinkOutcome, LoginRecord, NewUser
from syncauth.server.stores.sqlite import FORMAT, is_of_the_file, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS notes (p TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (p, id));"
)


@pytest.mark.parametrize("newer", [str(FORMAT + 1), "'next'"])
def test_a_file_of_a_newer_version_is_not_touched(tmp_path: Path, newer: str) -> None:
    """Its tables may mean something else: not even the schema file is run."""
    path = tmp_path / "server.db"
    made = open_server_file(path, SCHEMA)
    made.execute(f"UPDATE _sync_meta SET value = {newer}")
    made.close()
    before = path.read_bytes()
    with pytest.raises(FileTooNew) as raised:
        open_server_file(path, "CREATE TABLE more (a);")
    assert raised.value.path == str(path)
    assert path.read_bytes() == before


def test_a_file_of_this_version_opens_again(tmp_path: Path) -> None:
    """The schema file runs at every start, and the format stays."""
    for _ in range(2):
        connection = open_server_file(tmp_path / "server.db", SCHEMA)
        found = connection.execute("SELECT key, value FROM _sync_meta").fetchall()
        assert found == [("format", FORMAT)]
        connection.close()


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    """It may be anything, and somebody's."""
    path = tmp_path / "server.db"
    path.write_bytes(b"a letter, and no database" * 100)
    with pytest.raises(FileCorrupt):
        open_server_file(path, SCHEMA)
    assert path.read_bytes() == b"a letter, and no database" * 100


def test_a_schema_file_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """One transaction: the statements before the wrong one are not kept either."""
    path = tmp_path / "server.db"
    with pytest.raises(InvalidConfig):
        open_server_file(path, f"{SCHEMA} CREATE TABLE broken (;")
    with sqlite3.connect(path) as file:
        assert file.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    file.close()


OLD_FORMAT = """
    CREATE TABLE _sync_meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    INSERT INTO _sync_meta VALUES ('format', 1);
    CREATE TABLE _sync_users (
        id TEXT PRIMARY KEY NOT NULL, state TEXT NOT NULL, created_at REAL NOT NULL,
        data TEXT NOT NULL, custom_data TEXT) WITHOUT ROWID;
    CREATE TABLE _sync_identities (
        provider_type TEXT NOT NULL, provider_id TEXT NOT NULL, id TEXT NOT NULL,
        user_id TEXT NOT NULL, password_hash TEXT, PRIMARY KEY (provider_type, provider_id)) WITHOUT ROWID;
    INSERT INTO _sync_users VALUES ('u', 'enabled', 5.0, '{}', NULL);
    INSERT INTO _sync_identities VALUES ('local-userpass', 'a@example.com', 'i', 'u', 'hash');
"""


@pytest.mark.parametrize("marked", [True, False])
def test_a_file_of_the_first_format_is_brought_to_this_one(tmp_path: Path, marked: bool) -> None:
    """Its accounts stay, count as confirmed and used, and nobody can take them by a link."""
    old = sqlite3.connect(tmp_path / "server.db", isolation_level=None)
    old.executescript(OLD_FORMAT)
    if not marked:
        old.execute("DROP TABLE _sync_meta")
    old.close()

    for _ in range(2):
        connection = open_server_file(tmp_path / "server.db", SCHEMA)
        store = SqliteAccounts(connection)
        found = connection.execute("SELECT key, value FROM _sync_meta").fetchall()
        assert found == [("format", FORMAT)]
        assert store.find_login("local-userpass", "a@example.com") == LoginRecord(
            "u", "i", "hash", None
        )
        store.add_user(NewUser("v", "j", "anon-user", "j", None, {}), 6.0)
        mine = NewUser("", "k", "local-userpass", "a@example.com", None, {})
        assert store.link("v", mine, single=True) is LinkOutcome.TAKEN
        connection.close()


def test_a_file_of_the_second_format_is_marked_as_this_one(tmp_path: Path) -> None:
    """What is new in this format are tables alone, which are made where they are missing."""
    made = open_server_file(tmp_path / "server.db", SCHEMA)
    SqliteAccounts(made)
    made.execute("UPDATE _sync_meta SET value = 2 WHERE key = 'format'")
    made.close()

    connection = open_server_file(tmp_path / "server.db", SCHEMA)

    found = connection.execute("SELECT value FROM _sync_meta WHERE key = 'format'").fetchall()
    assert found == [(FORMAT,)]
    connection.close()


def test_what_is_of_the_file_is_told_from_what_is_of_a_row(tmp_path: Path) -> None:
    """A lock, a full disk and damage concern whatever is written; a constraint concerns one row alone."""
    path = tmp_path / "server.db"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE t (key PRIMARY KEY)")
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as locked:
        other.execute("BEGIN IMMEDIATE")
    holder.execute("ROLLBACK")
    holder.execute("INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError) as taken:
        holder.execute("INSERT INTO t VALUES (1)")
    holder.close()
    other.close()

    assert is_of_the_file(locked.value)
    assert not is_of_the_file(taken.value)
    assert not is_of_the_file(OSError())
