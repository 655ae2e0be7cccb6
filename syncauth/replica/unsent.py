"""
How much is unsent in a user's file, whoever has it open.

This module must never open a file in a way that changes it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from syncauth.replica import schema
from syncauth.rows.capture_tables import capture_table


def count_unsent(path: str) -> int:
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
