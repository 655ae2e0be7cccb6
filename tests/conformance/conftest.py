"""
The account stores that must pass: each is one more parameter of `open_store`, and nothing else.

Nothing in here may know what a test asks of a store.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncauth.server.stores.admin_interface import AdminStore
from syncauth.server.stores.sqlite_accounts import SqliteAccounts

OpenStore = Callable[[], AdminStore]


@pytest.fixture(params=["sqlite"])
def open_store(tmp_path: Path) -> Iterator[OpenStore]:
    """Open the store again and again, as several processes on one machine do."""
    connections: list[sqlite3.Connection] = []

    def connect() -> AdminStore:
        connection = sqlite3.connect(tmp_path / "server.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connections.append(connection)
        return SqliteAccounts(connection)

    yield connect
    for connection in connections:
        connection.close()


@pytest.fixture
def store(open_store: OpenStore) -> AdminStore:
    """One open store."""
    return open_store()
