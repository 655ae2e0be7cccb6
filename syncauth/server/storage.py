"""
The server's file with its stores, opened: the schema read, the directory held, one connection for all.

Runs in the store thread, where everything made here is used. This module must never know what the stores are for.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncauth.errors import InvalidConfig
from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.custom_data import Query, prepare_query
from syncauth.server.accounts.signing_keys import forget_spent_keys
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.sqlite import DATABASE, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.stores.thread import StoreThread

HISTORY_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Storage:
    """Both stores on one connection, and the query of custom data if there is one."""

    accounts: SqliteAccounts
    rows: SqliteRows
    query: Query | None


def open_storage(
    config: ServerConfig,
    data_dir: Path,
    thread: StoreThread,
    undo: contextlib.ExitStack,
    clock: Clock,
    randomness: Randomness,
    connection_class: type[sqlite3.Connection],
) -> Storage:
    """Open the file of `data_dir`; `undo` closes it, in `thread`.

    Signing keys of which no session has a token any more are let go.

    Raises:
        InvalidConfig: the schema file, a served table, a rule or the query cannot be used.
        FileCorrupt, FileInUse, FileTooNew, StorageError: the file or the directory cannot be used.
    """
    connection = open_server_file(data_dir / DATABASE, read_schema(config), connection_class)
    undo.callback(thread.run_blocking, connection.close)
    accounts = SqliteAccounts(connection)
    rows = SqliteRows(connection, config, accounts)
    now = clock.wall()
    forget_spent_keys(
        data_dir, now=now, alive=lambda opened: accounts.lives_from_before(opened, now)
    )
    rows.begin_history(randomness.token(HISTORY_BYTES).hex(), now)
    sql = config.custom_data.query
    return Storage(accounts, rows, None if sql is None else prepare_query(connection, sql))


def read_schema(config: ServerConfig) -> str:
    """Return the SQL of the schema file.

    Raises:
        InvalidConfig: it cannot be read.
    """
    try:
        return config.schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            "the schema file cannot be read",
            setting="server.schema",
            why=str(error),
            remedy="Give the path of an SQL file in UTF-8",
        ) from error
