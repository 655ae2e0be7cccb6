"""
A backup of a server's file while the server runs.

The backup is one file: an SQLite database that any tool can look at, marked with the time it was made. It holds the
accounts with their password hashes, and all rows, but not the signing key, which stands in a file of its own and with
which anybody could make tokens. This module must never write to the server's file.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from syncauth.errors import StorageError
from syncauth.server.stores.sqlite import BACKED_UP_AT, DATABASE
from syncauth.server.upkeep import copies, restore

LAST_BACKUP: Final = "last-backup.json"
"""The file in the data directory that tells of the last backup made of it."""


class LastBackup(msgspec.Struct, frozen=True):
    """When the last backup was made (wall-clock seconds), and where it was put."""

    at: float
    file: str


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made: where it is, how many bytes it has, and of when it is."""

    path: Path
    size: int
    at: float


def backup(data_dir: Path, target: Path, *, now: float) -> BackedUp:
    """Write a checked backup of the server's file, as it is at one instant; `now` is wall-clock seconds.

    The file appears whole or not at all. It may be called from any thread, in the server's own process too, and
    blocks for as long as the copy and its check take.

    Raises:
        FileInUse: a restore was interrupted and is to be finished first.
        FileCorrupt: the server's file is damaged; no backup was made.
        StorageError: the target exists already, or a file cannot be read or written.
    """
    if restore.is_unfinished(data_dir):
        raise restore.unfinished(data_dir)
    if target.exists():
        raise _exists(target)
    source, draft = data_dir / DATABASE, target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with copies.told(source), contextlib.closing(copies.open_reading(source)) as connection:
            copies.copy(connection, draft)
        with copies.told(draft):
            _finish(draft, now)
            _publish(draft, target)
    finally:
        draft.unlink(missing_ok=True)
    _tell(data_dir, LastBackup(now, str(target.absolute())))
    return BackedUp(target, target.stat().st_size, now)


def last_backup(data_dir: Path) -> LastBackup | None:
    """Return when the last backup was made, if that is known."""
    try:
        return msgspec.json.decode((data_dir / LAST_BACKUP).read_bytes(), type=LastBackup)
    except (OSError, msgspec.MsgspecError):
        return None


def _finish(draft: Path, now: float) -> None:
    """Check the copy, and mark it, so that it cannot be mistaken for a file to be served."""
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        copies.check(connection, draft)
        connection.execute(
            "INSERT OR REPLACE INTO _sync_meta (key, value) VALUES (?, ?)", (BACKED_UP_AT, now)
        )
    copies.sync(draft)


def _publish(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)  # unlike a rename it fails if somebody was faster
    except FileExistsError:
        raise _exists(target) from None
    draft.unlink()
    copies.sync(target.absolute().parent)


def _tell(data_dir: Path, last: LastBackup) -> None:
    """Leave word for the doctor; that it cannot be left makes the backup no worse."""
    draft = data_dir / f"{LAST_BACKUP}.{os.getpid()}"
    with contextlib.suppress(OSError):
        draft.write_bytes(msgspec.json.encode(last))
        draft.replace(data_dir / LAST_BACKUP)


def _exists(target: Path) -> StorageError:
    return StorageError(
        "the backup was not made",
        path=str(target),
        why="the file exists already, and no backup is ever overwritten",
        remedy="Name another file",
    )
