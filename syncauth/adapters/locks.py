"""
Locks between processes: the one door to `filelock`.

A lock is a file of its own beside what it guards, never the guarded file itself: opening and
closing a database file a second time in a process drops SQLite's own locks on it. The kernel frees
a lock when its process dies, however it dies; no lock ever ends by time. This module must never
remove a lock file: another process may be about to lock it. It waits for one lock alone, that of a
data directory, which is held while its credential store is opened.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from syncauth.errors import FileInUse, StorageError

DIRECTORY_LOCK: Final = "syncauth.lock"
"""The name of the lock file inside a data directory."""

LOCKS: Final = "locks"
"""The directory of the users' refresh locks inside a data directory."""

OPENING_SECONDS: Final = 60.0
"""How long the store of a data directory may take to be opened by others, in seconds."""

_OWNER_ONLY: Final = 0o600
_DIRECTORY_MODE: Final = 0o700
_HASH_DIGITS: Final = 32


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
    return _hold(file_lock_of(path), path)


def file_lock_of(path: str) -> str:
    """Return the lock file of the file at `path`."""
    return f"{path}.lock"


def refresh_lock_of(directory: str, user_id: str) -> str:
    """Return the lock file of a user's refreshes; a hash: an id of a foreign issuer is never a path."""
    name = hashlib.sha256(user_id.encode()).hexdigest()[:_HASH_DIGITS]
    return str(Path(directory) / LOCKS / f"{name}.refresh")


def is_held(lock_file: str) -> bool:
    """Tell whether another process or App holds a lock, by trying it without waiting; it makes no file.

    A lock that is free is ours for that instant, in which another one who tries it fails.

    Raises:
        StorageError: it cannot be tried.
    """
    if not Path(lock_file).exists():
        return False
    try:
        _hold(lock_file, lock_file).release()
    except FileInUse:
        return True
    return False


def hold_directory(path: str, seconds: float = OPENING_SECONDS) -> HeldLock:
    """Take the lock of a data directory, which must be there; blocks while others open its store.

    Raises:
        FileInUse: another process or another App in this one holds it for so many seconds.
        StorageError: the lock file cannot be made or locked here.
    """
    return _hold(os.path.join(path, DIRECTORY_LOCK), path, seconds)  # noqa: PTH118 - a path stays a str


class FileRefreshLocks:
    """The `RefreshLocks` of one data directory, which must be there."""

    def __init__(self, directory: str) -> None:
        """Touch nothing yet."""
        self._directory = Path(directory) / LOCKS

    def try_hold(self, user_id: str) -> HeldLock | None:
        """Take the user's lock without waiting; None if another process or App holds it."""
        lock_file = refresh_lock_of(str(self._directory.parent), user_id)
        try:
            self._directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            return _hold(lock_file, str(self._directory))
        except FileInUse:
            return None
        except OSError as error:
            raise StorageError(
                "the directory of the locks cannot be made",
                path=str(self._directory),
                why=error.strerror or str(error),
                remedy="Use a local directory that this user may write to",
            ) from error


def _hold(lock_file: str, guarded: str, seconds: float = 0.0) -> HeldLock:
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
        lock.acquire(timeout=seconds)
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
