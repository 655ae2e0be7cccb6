"""
A data directory as it stands on the disk, read while other processes may have it open.

Works offline and without the keys of the credential store. A file of a user is found by itself and tells its owner, so
that no server or app needs to be named. This module must never write, and never open anything as an App does.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from syncauth.adapters.locks import DIRECTORY_LOCK, file_lock_of, refresh_lock_of
from syncauth.adapters.locks_holders import Holder, holder_of
from syncauth.adapters.sessions import STORE_FILE
from syncauth.adapters.sessions_schema import storage_errors
from syncauth.adapters.sessions_seen import StoreSeen, UserSeen, read_store
from syncauth.cli.readonly import read
from syncauth.errors import FileCorrupt, StorageError
from syncauth.replica import schema
from syncauth.replica.files import DIRECTORY, path_of
from syncauth.replica.seen import ReplicaSeen, read_replica


@dataclass(frozen=True, slots=True)
class UserFile:
    """A user's file, or why it cannot be read; `holder` is the App that has it open."""

    path: str
    seen: ReplicaSeen | None
    trouble: StorageError | None
    holder: Holder | None

    @property
    def misplaced(self) -> bool:
        """Whether it lies under the name of another owner's file, where no App finds it."""
        if self.seen is None or self.seen.owner is None:
            return False
        path = Path(self.path)
        return path.name != Path(path_of(path.parent.parent, self.seen.owner)).name


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of what is there is asked for; None for all."""

    server: str | None = None
    app: str | None = None
    user: str | None = None

    def takes(self, file: UserFile) -> bool:
        """Tell whether a user's file is among it; one that cannot be read may be anybody's."""
        owner = None if file.seen is None else file.seen.owner
        if owner is None:
            return True
        return (
            (self.server is None or self.server.rstrip("/") == owner.server)
            and (self.app is None or self.app == owner.app)
            and (self.user is None or self.user == owner.user)
        )


class DataDirectory:
    """One data directory; every method reads the disk anew."""

    def __init__(self, path: Path) -> None:
        """Touch nothing."""
        self.path = path

    def check(self) -> None:
        """Raise `StorageError` unless the directory is there."""
        try:
            there = self.path.is_dir()
        except OSError as error:
            raise _unreadable(str(self.path), error) from error
        if not there:
            raise StorageError(
                "there is no data directory",
                path=str(self.path),
                why=str(self.path),
                remedy="Check --data; `syncauth login` makes one",
            )

    def store(self) -> StoreSeen:
        """Read the credential store; nobody is known where there is none.

        Raises:
            FileTooNew, FileNotOurs, FileCorrupt, StorageError: it cannot be read.
        """
        self.check()
        path = str(self.path / STORE_FILE)
        if not _exists(path):
            return StoreSeen()
        with storage_errors(path):
            return read(path, read_store)

    def files(self, wanted: Wanted) -> list[UserFile]:
        """Read the users' files, those of an owner in the order of server, app and user, the others last."""
        self.check()
        found = [_user_file(str(path)) for path in sorted((self.path / DIRECTORY).glob("*.db"))]
        return sorted((file for file in found if wanted.takes(file)), key=_order)

    def opening(self) -> Holder | None:
        """Return who is opening the credential store at this moment; raises `StorageError`."""
        return holder_of(str(self.path / DIRECTORY_LOCK))

    def refreshing(self, user: UserSeen) -> Holder | None:
        """Return who holds the lock of a user's refreshes; raises `StorageError`."""
        return holder_of(refresh_lock_of(str(self.path), user.user_id))


def _user_file(path: str) -> UserFile:
    seen, trouble, holder = None, None, None
    try:
        holder = holder_of(file_lock_of(path))
        seen = _read_replica(path)
    except StorageError as error:
        trouble = error
    return UserFile(path, seen, trouble, holder)


def _read_replica(path: str) -> ReplicaSeen:
    try:
        with schema.storage_errors(path):
            return read(path, read_replica)
    except sqlite3.Error as error:
        remedy = "Keep a copy and restore a backup; the file was left as it is"
        what, why = "the file cannot be read", str(error)
        raise FileCorrupt(what, path=path, why=why, remedy=remedy) from error


def _order(file: UserFile) -> tuple[str, ...]:
    owner = None if file.seen is None else file.seen.owner
    return ("1", file.path) if owner is None else ("0", owner.server, owner.app, owner.user or "")


def _exists(path: str) -> bool:
    try:
        return Path(path).stat().st_size >= 0
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> StorageError:
    return StorageError(
        "the data directory cannot be read",
        path=path,
        why=error.strerror or type(error).__name__,
        remedy="Check the data directory and its permissions",
    )
