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
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.sqlite import DATABASE, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.stores.thread import StoreThread
from syncauth.server.upkeep import restore

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
    """Open the file of `data_dir`; `undo` closes it, in `thread`, and lets go of the directory.

    Raises:
        InvalidConfig: the schema file, a served table, a rule or the query cannot be used.
        FileCorrupt, FileInUse, FileTooNew, StorageError: the file or the directory cannot be used.
    """
    schema = _read_schema(config.schema)
    undo.callback(restore.enter(data_dir).release)
    connection = open_server_file(data_dir / DATABASE, schema, connection_class)
    undo.callback(thread.run_blocking, connection.close)
    accounts = SqliteAccounts(connection)
    rows = SqliteRows(connection, config, accounts)
    rows.begin_history(randomness.token(HISTORY_BYTES).hex(), clock.wall())
    sql = config.custom_data.query
    return Storage(accounts, rows, None if sql is None else prepare_query(connection, sql))


def _read_schema(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            "the schema file cannot be read",
            setting="server.schema",
            why=str(error),
            remedy="Give the path of an SQL file in UTF-8",
        ) from error
