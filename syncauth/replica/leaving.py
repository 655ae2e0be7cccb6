"""
What is done with a user's file that is not open here: counting what is unsent in it, and deleting it.

This module must never open a file in a way that changes it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from syncauth.errors import StorageError
from syncauth.replica import schema
from syncauth.rows.capture_tables import capture_table

_COMPANIONS: Final = ("", "-wal", "-shm", "-journal")
"""The database and what SQLite keeps beside it. The lock file stays: another may be about to lock it."""


def unsent(path: str) -> int:
    """Count the changes in the file that the server does not have; 0 if there is no file.

    Raises:
        FileCorrupt, StorageError: it cannot be read.
    """
    if not Path(path).exists():
        return 0
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    with (
        schema.storage_errors(path),
        contextlib.closing(sqlite3.connect(uri, uri=True)) as connection,
    ):
        there = {
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        if "_sync_tables" not in there:
            return 0
        numbers = connection.execute("SELECT id FROM _sync_tables").fetchall()
        captures = [capture_table(number) for (number,) in numbers]
        return sum(
            connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in captures
            if name in there
        )


def delete(path: str) -> None:
    """Delete the file and what belongs to it, durably; the caller holds its lock. Idempotent.

    Raises:
        StorageError: it could not be deleted whole.
    """
    try:
        for companion in _COMPANIONS:
            Path(f"{path}{companion}").unlink(missing_ok=True)
        if os.name == "posix" and Path(path).parent.exists():
            folder = os.open(Path(path).parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise StorageError(
            "the user's file could not be deleted",
            path=path,
            why=error.strerror or type(error).__name__,
            remedy="Delete it by hand, or open the App again",
        ) from error
