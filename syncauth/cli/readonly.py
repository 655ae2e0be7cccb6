"""
Reading a SQLite file of ours without leaving a trace, while other processes may write to it.

SQLite makes a log and an index beside a file in WAL mode even for a reader. So a file that nobody has open is read as
one that cannot change, and read again in the usual way if it did. This module must never write.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

BUSY_SECONDS: Final = 5.0
_JOURNALS: Final = ("-wal", "-journal")

_Result = TypeVar("_Result")


def read(path: str, work: Callable[[sqlite3.Connection, str], _Result]) -> _Result:
    """Return what `work` reads through a connection that cannot write.

    Raises whatever `work` raises, and `sqlite3.Error`.
    """
    before = _at_rest(path)
    if before is not None:
        try:
            result = _run(path, "immutable=1", work)
        except Exception:
            if _at_rest(path) == before:
                raise
        else:
            if _at_rest(path) == before:
                return result
    return _run(path, "mode=ro", work)


def _at_rest(path: str) -> tuple[int, int, int] | None:
    """Return what shows a change of a file that nobody has open, None if somebody may have it open."""
    if any(Path(f"{path}{journal}").exists() for journal in _JOURNALS):
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _run(path: str, how: str, work: Callable[[sqlite3.Connection, str], _Result]) -> _Result:
    uri = f"{Path(path).absolute().as_uri()}?{how}"
    with contextlib.closing(
        sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    ) as connection:
        return work(connection, path)
