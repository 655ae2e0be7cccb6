"""Whatever stands in a file that is ours, it is read or told by a typed error, and nothing of a token with it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import STORE_FILE, SessionStore
from syncauth.adapters.sessions_rows import read_profile
from syncauth.adapters.sessions_seen import read_store
from syncauth.errors import (
    FileCorrupt,
    FileNotOurs,
    FileTooNew,
    InvalidConfig,
    StorageError,
)
from syncauth.models import Profile
from syncauth.sansio.records import StoredUser
from syncauth.server.settings.config import ServerConfig, parse_config, read_config
from syncauth.server.stores.sqlite import open_server_file
from tests.support.odd_input import DEEP, SECRET, altered, judge, names, texts, to_bytes
from tests.support.source import ROOT

FIRST_FORMAT = (ROOT / "fixtures" / "databases" / "sessions-v1.sql").read_text("utf-8")
COLUMNS = {
    "users": "device_id state epoch current profile received_at data_key access refresh life refresh_id episode"
    " reason since fence refresh_life refresh_ends_at",
    "revocations": "refresh",
    "history": "at before after trigger reason",
    "meta": "value",
    "removals": "discard",
}
places = st.sampled_from(
    [(table, column) for table, names_ in COLUMNS.items() for column in names_.split()]
)
PROFILE = {"user_type": "normal", "identities": [["i", "p"]], "data": {"email": SECRET}}
profiles = altered(PROFILE).map(lambda document: to_bytes(document).decode())
cells = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=70)
    | profiles
)
CLOSED = (FileCorrupt, FileNotOurs, FileTooNew, StorageError)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A credential store with users in all states, and something in every table."""
    directory = tmp_path_factory.mktemp("store")
    (directory / "sessions.key").write_bytes(bytes(range(64)))
    connection = sqlite3.connect(directory / STORE_FILE, isolation_level=None)
    connection.executescript(FIRST_FORMAT)
    connection.close()
    open_store(directory).close()
    connection = sqlite3.connect(directory / STORE_FILE, isolation_level=None)
    connection.execute(
        "INSERT INTO history (user_id, at, before, after, trigger) VALUES ('ann', 1, 'active', 'active', 't')"
    )
    connection.execute("INSERT INTO removals VALUES ('eve', 1)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return directory


def open_store(directory: Path) -> SessionStore:
    """Open the store, with the key of the fixture."""
    return SessionStore(
        directory, scope="server app", key_storage="file", randomness=SystemRandomness()
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(places, cells, st.booleans())
@example(("users", "profile"), "[" * DEEP, False)
@example(("users", "profile"), '{"user_type": 1, "identities": [[1, 2]], "data": []}', False)
@example(("history", "before"), "no state", False)
@example(("revocations", "refresh"), 7, False)
@example(("revocations", "refresh"), b"", False)
@example(("meta", "value"), b"\xff", True)
def test_any_credential_store_is_read_or_corrupt(
    written: Path, tmp_path: Path, place: tuple[str, str], cell: Any, as_text: bool
) -> None:
    """A row that somebody altered is a user, or the file is told to be damaged; no token is in the text."""
    directory = tmp_path / "store"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(written, directory)
    table, column = place
    value = "CAST(? AS TEXT)" if as_text else "?"
    connection = sqlite3.connect(directory / STORE_FILE, isolation_level=None)
    try:
        connection.execute(f"UPDATE {table} SET {column} = {value}", (cell,))
    except (sqlite3.IntegrityError, UnicodeEncodeError):
        return  # SQLite itself lets nobody write that
    finally:
        connection.close()
    store = judge(lambda: open_store(directory), *CLOSED)
    if store is not None:
        users = judge(store.load, *CLOSED)
        assert all(isinstance(user, StoredUser) for user in users or [])
        judge(store.history, *CLOSED)
        judge(store.waiting_revocations, *CLOSED)
        judge(store.waiting_removals, *CLOSED)
        store.close()
    connection = sqlite3.connect(directory / STORE_FILE)
    connection.row_factory = sqlite3.Row
    judge(lambda: read_store(connection, "path"), *CLOSED)
    connection.close()


@given(profiles | texts)
@example("[" * DEEP)
@example('{"user_type": 1, "identities": [], "data": {}}')
def test_any_profile_is_one_or_refused(text: str) -> None:
    """What is no profile is a ValueError, which the store tells as a damaged file."""
    found = judge(lambda: read_profile(text), ValueError)

    assert found is None or isinstance(found, Profile)
    if found is not None:
        assert isinstance(found.data, dict)
        assert all(isinstance(each.id, str) for each in found.identities)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(st.binary(max_size=300), st.integers(0, 8192))
@example(b"", -1)
def test_any_file_is_a_credential_store_or_not(
    written: Path, tmp_path: Path, noise: bytes, at: int
) -> None:
    """Bytes that changed on the disk are told as a damaged or foreign file, or do not matter."""
    directory = tmp_path / "store"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(written, directory)
    spoil(directory / STORE_FILE, noise, at)
    connection = sqlite3.connect(directory / STORE_FILE)
    judge(lambda: read_store(connection, "path"), *CLOSED, sqlite3.Error)
    connection.close()
    store = judge(lambda: open_store(directory), *CLOSED)
    if store is not None:
        judge(store.load, *CLOSED)
        store.close()


def spoil(path: Path, noise: bytes, at: int) -> None:
    """Write over a part of a file; -1 spoils a statement in the schema, which SQLite then quotes in its error."""
    content = path.read_bytes()
    if at < 0:
        path.write_bytes(content.replace(b"CREATE TABLE", b"CREATE \x80ABLE"))
        return
    with path.open("r+b") as file:
        file.seek(at)
        file.write(noise)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None
)
@given(st.binary(max_size=300), st.integers(0, 8192))
@example(b"", -1)
def test_any_bytes_are_a_server_file_or_not(tmp_path: Path, noise: bytes, at: int) -> None:
    """Bytes of the server's file that changed on the disk are told, or do not matter."""
    path = tmp_path / "server.db"
    for each in tmp_path.glob("server.db*"):
        each.unlink()
    open_server_file(path, "").close()
    spoil(path, noise, at)
    opened = judge(lambda: open_server_file(path, ""), *CLOSED)
    if opened is not None:
        opened.close()


meta = st.none() | st.integers(-(2**63), 2**63 - 1) | names | st.binary(max_size=9) | st.floats()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(
    meta, st.sampled_from(["_sync_meta (key TEXT PRIMARY KEY, value)", "_sync_meta (x)", "t (x)"])
)
def test_any_server_file_is_opened_or_refused(tmp_path: Path, value: Any, table: str) -> None:
    """What stands as the format of the server's file is one that is known, or the file is refused."""
    path = tmp_path / "server.db"
    for each in tmp_path.glob("server.db*"):
        each.unlink()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute(f"CREATE TABLE {table}")
    if "key" in table:
        connection.execute("INSERT INTO _sync_meta VALUES ('format', ?)", (value,))
    connection.close()
    opened = judge(lambda: open_server_file(path, ""), *CLOSED, InvalidConfig)
    if opened is not None:
        opened.close()


HIDDEN = "\x00never-there"
"""The file holds no secrets: a refusal may show what it refuses."""

SETTINGS = {
    "server": {"app_id": "app", "schema": "schema.sql", "test_mode": True},
    "lifetimes": {"access_seconds": 60, "refresh_seconds": 3600},
    "tables": {"notes": {"partition": "column", "partition_column": "team", "counters": ["n"]}},
    "rules": {"read": "SELECT 1"},
    "limits": {"batch_rows": 10},
    "login": {"anonymous": False, "password_cost": "low"},
    "email": {"confirmation": "mail", "confirm_url": "https://a.example/"},
    "mail": {"sender": "console"},
    "issuers": {"id": {"issuer": "i", "audience": ["a"], "key_env": "KEY", "fields": {"a": "b"}}},
    "hooks": {"reset": "m:f"},
    "functions": {"f": {"call": "m:f", "process": True, "seconds": 5}, "g": "m:g"},
    "custom_data": {"query": "SELECT 1"},
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(altered(SETTINGS), st.dictionaries(names, st.integers(), max_size=2))
def test_any_settings_are_read_or_refused(
    tmp_path: Path, document: Any, more: dict[str, int]
) -> None:
    """A document of settings is a whole configuration, or `InvalidConfig` names the setting."""
    (tmp_path / "schema.sql").write_text("")
    for each in (document, SETTINGS | more, {**SETTINGS, "server": {**SETTINGS["server"], **more}}):
        if isinstance(each, dict):
            found = judge(
                lambda d=each: parse_config(d, folder=tmp_path), InvalidConfig, hides=HIDDEN
            )  # type: ignore[misc]
            assert found is None or isinstance(found, ServerConfig)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=100) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"a = " + b"[" * 5000)
@example(b"a = " + b"{a=" * 5000)
@example(b"a" + b".a" * 5000 + b" = 1")
def test_any_settings_file_is_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, the command tells what is wrong with it."""
    path = tmp_path / "syncauth.toml"
    path.write_bytes(content)
    judge(lambda: read_config(path), InvalidConfig)


def test_settings_of_the_fuzz_test_are_good(tmp_path: Path) -> None:
    """What the test alters is a configuration that can be used."""
    (tmp_path / "schema.sql").write_text("")
    assert parse_config(dict(SETTINGS), folder=tmp_path).app_id == "app"
