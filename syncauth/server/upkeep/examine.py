"""
What can be read in a server's data directory while a server runs on it, or after one has died.

For programs that only look, such as `syncauth server doctor`. The file is opened to be read alone; the schema file is
run in memory, to be compared. This module must never write, never judge, and never read a row of the team.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from syncauth.errors import InvalidConfig
from syncauth.server.stores.sqlite import BACKED_UP_AT
from syncauth.server.upkeep import copies

_ATTACH: Final = 24  # SQLITE_ATTACH, which the module sqlite3 does not name
_DAY: Final = 24 * 3600.0


@dataclass(slots=True)
class FileSeen:
    """A server's file as it stands.

    `size`, `log` and `free` are bytes: of the file, of the log beside it, of the disk. `unswept` are sessions that
    ended by time more than a day ago; `newest` is the latest wall clock that stands in the accounts; `restores`
    counts the restores. `faults` are the first that the integrity check finds; `orphans` counts, by their table,
    rows that name a row which is not there; `missing` names what the schema file makes and the file has not, or has
    otherwise.
    """

    path: Path
    size: int
    log: int
    free: int
    format: int | None = None
    users: dict[str, int] = field(default_factory=dict)
    active: int = 0
    unswept: int = 0
    devices: int = 0
    newest: float | None = None
    restores: int = 0
    is_backup: bool = False
    faults: list[str] = field(default_factory=list)
    orphans: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def examine(connection: sqlite3.Connection, path: Path, schema: str | None, now: float) -> FileSeen:
    """Read all of it through a connection that cannot write; `schema` is the schema file's text, if known.

    Raises:
        FileCorrupt, FileNotOurs, FileTooNew, StorageError: it cannot be read.
        InvalidConfig: the schema file cannot be run.
    """
    with copies.told(path):
        log = Path(f"{path}-wal")
        seen = FileSeen(
            path,
            size=path.stat().st_size,
            log=log.stat().st_size if log.exists() else 0,
            free=shutil.disk_usage(path.parent).free,
        )
        seen.faults = copies.faults_of(connection)
        if seen.faults:
            return seen
        copies.check_ours(connection, path)
        with _snapshot(connection):
            _count(connection, seen, now)
        _find_orphans(connection, seen)
        if schema is not None:
            seen.missing += _compare(_shape_of(connection), _shape_of_text(schema))
    return seen


@contextlib.contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    yield
    connection.execute("ROLLBACK")


def _count(connection: sqlite3.Connection, seen: FileSeen, now: float) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    there = {name for (name,) in tables.fetchall()}
    mark = connection.execute("SELECT 1 FROM _sync_meta WHERE key = ?", (BACKED_UP_AT,))
    seen.is_backup = mark.fetchone() is not None
    seen.format = connection.execute(
        "SELECT value FROM _sync_meta WHERE key = 'format'"
    ).fetchone()[0]
    users = connection.execute("SELECT state, count(*) FROM _sync_users GROUP BY state")
    seen.users = dict(users.fetchall())
    (seen.newest,) = connection.execute("SELECT max(created_at) FROM _sync_users").fetchone()
    if "_sync_sessions" in there:
        seen.active, seen.unswept, newest = connection.execute(
            "SELECT count(*) FILTER (WHERE ended_at IS NULL AND expires_at > ?1),"
            " count(*) FILTER (WHERE expires_at < ?1 - ?2), max(created_at) FROM _sync_sessions",
            (now, _DAY),
        ).fetchone()
        seen.newest = max(filter(None, (seen.newest, newest)), default=None)
    if "_sync_devices" in there:
        (seen.devices,) = connection.execute("SELECT count(*) FROM _sync_devices").fetchone()
    if "_sync_histories" in there:
        (histories,) = connection.execute("SELECT count(*) FROM _sync_histories").fetchone()
        seen.restores = max(0, histories - 1)


def _find_orphans(connection: sqlite3.Connection, seen: FileSeen) -> None:
    try:
        for row in connection.execute("PRAGMA foreign_key_check"):
            seen.orphans[row[0]] = seen.orphans.get(row[0], 0) + 1
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        seen.missing.append(f"what a foreign key names: {error}")  # it names no unique columns


_Shape = dict[tuple[str, str], object]


def _shape_of_text(schema: str) -> _Shape:
    """Return what the schema file makes, by running it in memory; other files it cannot reach."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == _ATTACH else sqlite3.SQLITE_OK
        )
        try:
            connection.executescript(schema)
        except sqlite3.Error as error:
            raise InvalidConfig(
                "the schema file cannot be run",
                setting="server.schema",
                why=str(error),
                remedy="Correct its SQL",
            ) from error
        return _shape_of(connection)


def _shape_of(connection: sqlite3.Connection) -> _Shape:
    """Return tables with their columns, and everything else with its SQL, but for what is ours or SQLite's."""
    objects = connection.execute(
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE name NOT LIKE '\\_sync\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    shape: _Shape = {}
    for kind, name, sql in objects:
        if kind == "table":
            columns = connection.execute("SELECT name, type FROM pragma_table_xinfo(?)", (name,))
            shape[kind, name] = dict(columns.fetchall())
        else:
            shape[kind, name] = " ".join(str(sql).split()).casefold()
    return shape


def _compare(there: _Shape, wanted: _Shape) -> list[str]:
    """Name what is wanted and is not there, or otherwise there."""
    missing = []
    for (kind, name), shape in wanted.items():
        found = there.get((kind, name))
        if found is None:
            missing.append(f"{kind} {name} is missing")
        elif isinstance(shape, dict) and isinstance(found, dict):
            missing += [f"column {name}.{each} is missing" for each in shape if each not in found]
            missing += [
                f"column {name}.{each} has the type {found[each] or 'none'}, not {shape[each] or 'none'}"
                for each in shape
                if each in found and found[each].casefold() != shape[each].casefold()
            ]
        elif found != shape:
            missing.append(f"{kind} {name} is another one")
    return missing
