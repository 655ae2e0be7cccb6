"""
The server's file as the commands of `syncauth admin` open it: beside a server that runs, or where none does.

No file is made, and no schema file is run. A server that runs notices what was changed within a second. This module
must never read a token, a password or a key.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from syncauth.adapters.clock import SystemClock
from syncauth.errors import InvalidConfig, StorageError
from syncauth.server.stores.admin_interface import AccountRecord, AdminStore
from syncauth.server.stores.sqlite import DATABASE, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts

DATA: Final = click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="The data folder of the server.",
)


@contextlib.contextmanager
def opened(data: Path) -> Iterator[AdminStore]:
    """Open the accounts of a data folder.

    Raises:
        FileCorrupt, FileTooNew, StorageError: there is no server's file, or it cannot be used.
    """
    path = data / DATABASE
    if not path.is_file():
        raise StorageError(
            "there is no server's file",
            path=str(path),
            why=str(path),
            remedy="Check --data; `syncauth serve` makes the file at its first start",
        )
    with contextlib.closing(open_server_file(path, "")) as connection:
        try:
            yield SqliteAccounts(connection)
        except sqlite3.Error as error:
            raise StorageError(
                "the server's file cannot be used",
                path=str(path),
                why=str(error),
                remedy="Check the disk, and run the command as the user who runs the server",
            ) from error


def now() -> float:
    """Return wall-clock seconds."""
    return SystemClock().wall()


def find_user(store: AdminStore, name: str) -> AccountRecord:
    """Return the user of that id, or whose email account it is.

    Raises:
        InvalidConfig: there is no such user.
    """
    found = store.account(name)
    if found is None:
        login = store.find_login("local-userpass", name)
        found = None if login is None else store.account(login.user_id)
    if found is None:
        remedy = "Give an id that `syncauth admin users list` shows, or an email address"
        raise InvalidConfig("there is no such user", setting="USER", remedy=remedy)
    return found
