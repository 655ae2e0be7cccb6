"""
Which file is whose: the place, the owner, the modes and the first transactions of a user's file.

A file's name is a hash, so that an id from a foreign issuer is never a path; its owner is written
inside and compared before anything else happens to it. The caller holds the file's lock. This
module must never open a file in a way that may change it before its owner and format are known.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from syncauth.errors import FileNotOurs, FileTooNew, InvalidConfig, StorageError
from syncauth.models import TableSpec
from syncauth.replica import schema
from syncauth.rows.tables import introspect
from syncauth.rows.trackable import check_trackable

DIRECTORY: Final = "replicas"
"""The directory of the users' files inside a data directory."""

_HASH_DIGITS: Final = 32
_DIRECTORY_MODE: Final = 0o700
_FILE_MODE: Final = 0o600

_OURS: Final = "_sync_"

_GUEST: Final = 0
"""What is written in the place of a guest's id: a number, which no id is."""

_WRITES: Final = (
    sqlite3.SQLITE_ALTER_TABLE,
    sqlite3.SQLITE_CREATE_TABLE,
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_DROP_TABLE,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_UPDATE,
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a file is: the server's URL, the app's id there, and the user's.

    `user` None is the guest: whoever uses the app before the first login. No id of a user is None, and one guest's
    file belongs to each server and app.
    """

    server: str
    app: str
    user: str | None


def path_of(data_dir: str | os.PathLike[str], owner: Owner) -> str:
    """Return the path of the owner's file; the same on every start, and of no other owner."""
    text = json.dumps(astuple(owner))
    name = hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
    return str(Path(data_dir) / DIRECTORY / f"{name}.db")


def make_directory(path: str) -> None:
    """Make the directory of the file at `path`, for this user of the machine alone.

    Raises:
        StorageError: it cannot be made.
    """
    directory = Path(path).parent
    with _system_errors(str(directory)):
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        directory.chmod(_DIRECTORY_MODE)


def check_owner(path: str, owner: Owner) -> None:
    """Read whose file this is and which format it has, without touching it.

    A file that is not there, or that has nothing of ours in it yet, is everybody's.

    Raises:
        FileNotOurs: it belongs to another user, app or server, or does not tell to whom.
        FileTooNew: a newer version of syncauth wrote it.
        FileCorrupt, StorageError: it cannot be read.
    """
    if not Path(path).exists():
        return
    with schema.storage_errors(path), _read_only(path) as connection:
        stored = _stored(connection)
        if not stored:
            return
        found = tuple(stored.get(key) for key in ("server", "app", "user"))
        if found != _written(owner) and (any(found) or _has_tables(connection)):
            raise FileNotOurs(
                "the file belongs to another user, app or server",
                path=path,
                why="the owner written in it is not the one it was opened for",
                remedy="Put it back where it came from; it was not touched",
            )
    number = stored.get("format", schema.FORMAT)
    if not isinstance(number, int) or number > schema.FORMAT:
        raise FileTooNew(
            "the file was written by a newer version of syncauth",
            path=path,
            why=f"its format is {number!r}, this version knows {schema.FORMAT}",
            remedy="Install the newer version; the file was not touched",
        )


def _written(owner: Owner) -> tuple[str, str, str | int]:
    """Return the owner as it is written in a file."""
    return owner.server, owner.app, _GUEST if owner.user is None else owner.user


def claim(connection: sqlite3.Connection, path: str, owner: Owner) -> int:
    """Write the owner and durably raise the fencing number; returns it.

    Whoever opens the file later has a higher number, by which the server knows the later one.
    """
    with schema.transaction(connection, path):
        for key, value in zip(("server", "app", "user"), _written(owner), strict=True):
            schema.write_meta(connection, key, value)
        fencing = schema.read_number(connection, "fencing", 0) + 1
        schema.write_meta(connection, "fencing", fencing)
        return fencing


def make_file(path: str) -> None:
    """Make an empty file for this user of the machine alone, and narrow the mode of an older one.

    SQLite gives its log and its shared memory the mode of the file.

    Raises:
        StorageError: it cannot be made.
    """
    with _system_errors(path):
        try:
            # Only where none is: opening and closing a database would drop SQLite's locks on it.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))
        except FileExistsError:
            Path(path).chmod(_FILE_MODE)


def make_new_file(path: str) -> None:
    """Make an empty file for this user of the machine alone; raises `StorageError`, also where there is one."""
    with _system_errors(path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, _FILE_MODE))


def sync_directory(path: str) -> None:
    """Make durable that the file at `path` is in its directory, or no longer is; raises `StorageError`."""
    if os.name == "nt":  # directories cannot be opened there, and need not be
        return
    with _system_errors(path):
        directory = os.open(Path(path).parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def run_create(path: str, script: str, tables: Sequence[TableSpec]) -> None:
    """Run the app's SQL on an ordinary connection, in one transaction, if its tables then fit.

    Raises:
        InvalidConfig: SQLite refuses a statement, or it begins or ends a transaction.
        TableNotTrackable: a table cannot be synchronised in the shape that the SQL leaves.
        FileFull, FileCorrupt, FileInUse, StorageError: the file cannot be used now.
            In each case nothing of it was kept.
    """
    try:
        statements = _statements(script)
    except ValueError as error:
        raise _unusable(str(error)) from error
    with (
        schema.storage_errors(path),
        contextlib.closing(sqlite3.connect(path, timeout=schema.BUSY_SECONDS)) as connection,
    ):
        connection.isolation_level = None
        connection.execute("BEGIN IMMEDIATE")  # an exception rolls back by closing
        connection.set_authorizer(_guard)
        for statement in statements:
            _run_one(connection, path, statement)
        connection.set_authorizer(None)
        for spec in tables:
            check_trackable(connection, introspect(connection, spec.name), spec)
        connection.execute("COMMIT")


def _run_one(connection: sqlite3.Connection, path: str, statement: str) -> None:
    try:
        with schema.storage_errors(path):  # the disk is not the script's fault
            connection.execute(statement).fetchall()
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        first_line = statement.strip().partition("\n")[0][:80]
        raise _unusable(f"{error}, in {first_line!r}") from error


def _unusable(why: str) -> InvalidConfig:
    return InvalidConfig(
        "the SQL given as create cannot be run",
        setting="create",
        why=why,
        remedy="Nothing of it was kept; leave out BEGIN and COMMIT, it is one transaction, and tables of ours",
    )


def _guard(action: int, one: str | None, two: str | None, _: str | None, by: str | None) -> int:
    """Refuse the end of the transaction, and writes to our own tables but by our own triggers."""
    if action == sqlite3.SQLITE_TRANSACTION:
        return sqlite3.SQLITE_DENY
    table = two if action == sqlite3.SQLITE_ALTER_TABLE else one
    ours = action in _WRITES and (table or "").lower().startswith(_OURS)
    if ours and not (by or "").startswith(_OURS):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def _statements(script: str) -> list[str]:
    """Cut a script after each semicolon that ends a statement; `executescript` would commit."""
    found = []
    start = 0
    for end, sign in enumerate(script, 1):
        if sign == ";" and sqlite3.complete_statement(script[start:end]):
            found.append(script[start:end])
            start = end
    return [*found, script[start:]]


def owner_in(stored: Mapping[str, object]) -> Owner | None:
    """Return the owner that our notes in a file name; None where the first opening was interrupted."""
    server, app, user = (stored.get(key) for key in ("server", "app", "user"))
    if not server or not app or user is None:
        return None
    return Owner(str(server), str(app), None if user == _GUEST else str(user))


def read_stored(path: str) -> dict[str, object]:
    """Read our notes in a file that is there, without touching it; raises `FileCorrupt`, `StorageError`."""
    with schema.storage_errors(path), _read_only(path) as connection:
        return _stored(connection)


@contextlib.contextmanager
def _read_only(path: str) -> Iterator[sqlite3.Connection]:
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


def _stored(connection: sqlite3.Connection) -> dict[str, object]:
    if not _has_table(connection, "_sync_meta"):
        return {}
    return dict(connection.execute("SELECT key, value FROM _sync_meta").fetchall())


def _has_tables(connection: sqlite3.Connection) -> bool:
    """Tell whether a table is tracked: a file whose first open was interrupted has none."""
    if not _has_table(connection, "_sync_tables"):
        return False
    return connection.execute("SELECT 1 FROM _sync_tables").fetchone() is not None


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    ).fetchone()
    return found is not None


@contextlib.contextmanager
def _system_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "the file or directory cannot be made",
            path=path,
            why=error.strerror or str(error),
            remedy="Check the disk, the directory and its permissions",
        ) from error
