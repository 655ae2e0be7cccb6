"""A server's data directory with a user, sessions of both kinds and a row, as a stopped server leaves it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.server.settings.config import ServedTable, ServerConfig
from syncauth.server.stores.interface import EmailPurpose, EmailToken, NewUser, SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from tests.support.row_store import NOTES

NOW = 1_700_000_000.0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    with closing(open_server_file(directory / "server.db", NOTES)) as connection:
        accounts = SqliteAccounts(connection)
        config = ServerConfig("app", directory, tables=(ServedTable("notes"),))
        SqliteRows(connection, config, accounts).begin_history("1" * 16, NOW)
        accounts.add_user(NewUser("ann", "identity", "local-userpass", "ann@x", None, {}), NOW)
        for name, rotates in (("rotating", True), ("fixed", False)):
            session = SessionRecord(
                session_id=name,
                user_id="ann",
                device_id="d" * 24,
                identity_id="identity",
                provider_type="local-userpass",
                rotates=rotates,
                expires_at=NOW + 1000,
                end_reason=None,
                custom_data=None,
            )
            accounts.open_session(session, token_hash=name.encode(), now=NOW)
        mail = EmailToken(EmailPurpose.RESET, "ann@x", "1", b"hash", NOW + 1000)
        accounts.put_email_token(mail, NOW)
        connection.execute("INSERT INTO notes VALUES ('user:ann', '1', 'before', NULL, 0)")
    return directory


@pytest.fixture
def write(data: Path) -> Callable[..., None]:
    """Write into the server's file."""

    def run(sql: str, *given: object) -> None:
        with closing(sqlite3.connect(data / "server.db", isolation_level=None)) as connection:
            connection.execute(sql, given)

    return run


@pytest.fixture
def read() -> Callable[..., list[tuple[object, ...]]]:
    """Read from a database file."""

    def run(path: Path, sql: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    return run
