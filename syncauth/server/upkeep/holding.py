"""
Who has a server's data directory open: a lock of the kernel on a file beside the database.

Servers share it, a restore has it alone. The kernel frees it when a process dies, however it dies. The lock file is
never removed (another process may be about to lock it), and it is never the database itself, whose locks are
SQLite's. This module must never wait: who cannot have the directory is told so.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final, Self

from syncauth.errors import FileInUse, StorageError

LOCK_FILE: Final = "server.lock"


class Held:
    """A lock that is held until `release` or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        """Made by `share` and `hold_alone` alone."""
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Give the lock back; idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # A process that was forked meanwhile has the descriptor too: closing alone would leave it the lock.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __enter__(self) -> Self:
        """Hold on."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()


def share(data_dir: Path) -> Held:
    """Have the directory open as a server, beside other servers.

    Raises:
        FileInUse: a restore has it.
        StorageError: the lock file cannot be made.
    """
    return _hold(data_dir, fcntl.LOCK_SH, "the data directory is being restored")


def hold_alone(data_dir: Path) -> Held:
    """Have the directory alone.

    Raises:
        FileInUse: a server, or another restore, has it open.
        StorageError: the lock file cannot be made.
    """
    return _hold(data_dir, fcntl.LOCK_EX, "a server has the data directory open")


def _hold(data_dir: Path, kind: int, taken: str) -> Held:
    path = data_dir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _cannot(path, error) from error
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise _cannot(path, error) from error
        remedy = "End it first, then try again"
        raise FileInUse(taken, path=str(data_dir), remedy=remedy) from None
    return Held(descriptor)


def _cannot(path: Path, error: OSError) -> StorageError:
    return StorageError(
        "the data directory cannot be locked",
        path=str(path),
        why=str(error),
        remedy="Check the directory and its permissions, and keep it on a local disk",
    )
