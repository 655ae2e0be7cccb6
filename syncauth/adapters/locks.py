"""
Locks between processes: the one door to `filelock`.

A lock is a file of its own beside what it guards, never the guarded file itself: opening and
closing a database file a second time in a process drops SQLite's own locks on it. The kernel frees
a lock when its process dies, however it dies; no lock ever ends by time. This module must never
wait for a lock, and never remove a lock file: another process may be about to lock it.
"""

from __future__ import annotations

import os
from typing import Final

from filelock import FileLock, Timeout

from syncauth.errors import FileInUse, StorageError

DIRECTORY_LOCK: Final = "syncauth.lock"
"""The name of the lock file inside a data directory."""

_OWNER_ONLY: Final = 0o600


class HeldLock:
    """A lock that is held until `release` or the end of the process.

    It belongs to the process that took it: in a child made by `fork`, `release` does nothing, and
    the child must open everything anew.
    """

    def __init__(self, lock: FileLock) -> None:
        """Made by `hold_file` and `hold_directory` alone."""
        self._lock = lock
        self._process = os.getpid()

    def release(self) -> None:
        """Give the lock back; idempotent, from any thread."""
        if os.getpid() == self._process:
            self._lock.release(force=True)


def hold_file(path: str) -> HeldLock:
    """Take the lock of one file, `<path>.lock`, without waiting; the file itself is not opened.

    Raises:
        FileInUse: another process or another App in this one holds it.
        StorageError: the lock file cannot be made or locked here.
    """
    return _hold(f"{path}.lock", path)


def hold_directory(path: str) -> HeldLock:
    """Take the lock of a data directory, which must be there, without waiting.

    Raises:
        FileInUse: another process or another App in this one holds it.
        StorageError: the lock file cannot be made or locked here.
    """
    return _hold(os.path.join(path, DIRECTORY_LOCK), path)  # noqa: PTH118 - a path stays a str


def _hold(lock_file: str, guarded: str) -> HeldLock:
    directory = os.path.dirname(lock_file)  # noqa: PTH120 - as above
    if directory and not os.path.isdir(directory):  # noqa: PTH112 - filelock would make it, for all to read
        raise StorageError(
            "the lock cannot be taken",
            path=lock_file,
            why="its directory is not there",
            remedy="Make the directory first",
        )
    # Not thread-local: it is taken in one thread and given back in another. No soft lock: such a
    # one outlives its process.
    lock = FileLock(lock_file, thread_local=False, mode=_OWNER_ONLY, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise FileInUse(
            "another App or process has this open",
            path=guarded,
            remedy="Close it there first: one at a time may have it",
        ) from None
    except OSError as error:
        raise StorageError(
            "the lock cannot be taken",
            path=lock_file,
            why=error.strerror or str(error),
            remedy="Use a local directory that this user may write to",
        ) from error
    return HeldLock(lock)
