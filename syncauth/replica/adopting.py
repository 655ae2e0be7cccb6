"""
The adoption: every row of the guest's file becomes a change of the user who has logged in, once and for all.

Two files cannot be written in one transaction, so that the order makes it safe. First the guest's file is claimed for
the user; from then on nobody opens it as the guest's, and no other user adopts it. Then one transaction in the user's
file copies the rows and records the incarnation of the guest's file. At last the guest's file is marked as done. Cut
off anywhere, the same call does what is missing and nothing twice. Meanwhile no program can write to the guest's
file. Rows become ordinary inserts, which the triggers capture. This module must never change a row that was there
before, in either file.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from syncauth.errors import FileNotOurs, TableNotTrackable
from syncauth.replica import dead_letters, files, schema
from syncauth.replica.files import Owner
from syncauth.replica.table import Table
from syncauth.rows.sqltext import quote
from syncauth.rows.tables import Column, TableInfo, introspect
from syncauth.rows.values import RawText, equal_to, parameters, read_portions

_ADOPTER: Final = "adopter"
_DONE: Final = "adopted"
_RECORD: Final = "adopted "
"""Begins the key under which a user's file records a guest's incarnation."""
_PORTION: Final = 500
"""Rows that are read at once."""
_UNIQUE: Final = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID)


class Counts(NamedTuple):
    """What became of a table's rows in an adoption.

    `adopted` are changes of the user's now. `kept` had a key that the user's file has already, whose row was left as it
    is. `refused` could not be placed beside the user's rows and are dead letters (`unique_conflict`, `constraint`).
    """

    adopted: int
    kept: int
    refused: int


class _Lock(Protocol):
    def release(self) -> None: ...


def check_not_adopted(connection: sqlite3.Connection, path: str) -> None:
    """Refuse to open a guest's file whose rows are a user's, or are becoming so (I12); raises `FileNotOurs`."""
    if schema.read_meta(connection, _ADOPTER) is not None:
        raise _not_ours(path)


def unfinished(path: str) -> str | None:
    """Return the id of the user whose adoption of this guest's file was begun and not finished, or None.

    That user's replica should be opened and adopt it once more. Raises `FileCorrupt`, `StorageError`.
    """
    if not Path(path).exists():
        return None
    stored = files.read_stored(path)
    adopter = stored.get(_ADOPTER)
    return str(adopter) if adopter is not None and _DONE not in stored else None


@contextlib.contextmanager
def open_guest(path: str, owner: Owner, hold: Callable[[str], _Lock]) -> Iterator[Guest | None]:
    """Open the guest's file for its adoption, None if there is none; nobody else may have it open as the guest's.

    Raises:
        FileInUse: an App has it open.
        FileNotOurs, FileTooNew, FileCorrupt, StorageError: it cannot be used; it was not touched.
    """
    lock = hold(path)
    try:
        files.check_owner(path, owner)
        if not Path(path).exists() or "incarnation" not in files.read_stored(path):
            yield None
            return
        with contextlib.closing(schema.open_connection(path)) as connection:
            yield Guest(connection, path)
    finally:
        lock.release()


class Guest:
    """A guest's file that is being adopted; used by `FileReplica.adopt` in the order of its methods."""

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        """Read what the file holds; made by `open_guest` alone."""
        self._connection = connection
        self._path = path
        with schema.reading(connection, path):
            self._incarnation = str(schema.read_meta(connection, "incarnation"))
            names = connection.execute(
                "SELECT t.name FROM _sync_tables AS t JOIN main.sqlite_master AS m"
                " ON m.type = 'table' AND m.name = t.name ORDER BY t.id"
            ).fetchall()
            self._infos = {name: introspect(connection, name) for (name,) in names}

    def counts_in(self, connection: sqlite3.Connection) -> dict[str, Counts] | None:
        """Return what the adoption did, if the user's file or this one says that it was done; else None."""
        record = schema.read_meta(connection, f"{_RECORD}{self._incarnation}")
        told = record or schema.read_meta(self._connection, _DONE)
        if told is None:
            return None
        return {name: Counts(*counts) for name, counts in json.loads(str(told)).items()}

    def check(self, tables: Mapping[str, Table]) -> None:
        """Refuse rows for which the user's tables have no place; raises `TableNotTrackable`."""
        for name, info in self._infos.items():
            found = self._connection.execute(f"SELECT 1 FROM {quote(name)} LIMIT 1").fetchone()
            if found is not None:
                _check_shape(info, tables.get(name))

    def claim(self, user: str) -> None:
        """Durably give the file to the user, before a row of it is anywhere else; raises `FileNotOurs`."""
        with schema.transaction(self._connection, self._path):
            adopter = schema.read_meta(self._connection, _ADOPTER)
            if adopter not in (None, user):
                raise _not_ours(self._path)
            schema.write_meta(self._connection, _ADOPTER, user)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Let nobody write to the file: what came after the copy would be nobody's."""
        with schema.transaction(self._connection, self._path):
            yield

    def copy_into(
        self, connection: sqlite3.Connection, tables: Mapping[str, Table]
    ) -> dict[str, Counts]:
        """Copy the rows and record it, within the transaction of the user's file; does nothing if that was done."""
        done = self.counts_in(connection)
        if done is not None:
            return done
        self.check(tables)
        counts = {
            name: self._copy(connection, table, self._infos[name])
            for name, table in tables.items()  # parents before those that refer to them
            if name in self._infos
        }
        schema.write_meta(connection, f"{_RECORD}{self._incarnation}", json.dumps(counts))
        return counts

    def _copy(self, connection: sqlite3.Connection, table: Table, info: TableInfo) -> Counts:
        names = (*info.key_names, *info.value_names)
        order = info.rowid_name or ", ".join(map(quote, info.key_names))
        sql = f"SELECT {', '.join(map(quote, names))} FROM {quote(info.name)} ORDER BY {order}"
        counts = dict.fromkeys(Counts._fields, 0)
        for rows in read_portions(self._connection, sql, portion=_PORTION):
            for row in rows:
                counts[_copy_one(connection, table, info, row)] += 1
        return Counts(**counts)

    def finish(self, counts: Mapping[str, Counts]) -> None:
        """Durably mark the file as done, once the user's file has the rows."""
        with schema.transaction(self._connection, self._path):
            schema.write_meta(self._connection, _DONE, json.dumps(counts))


def _check_shape(guest: TableInfo, table: Table | None) -> None:
    """Every column of the guest's must be there and store values alike; new ones get their defaults."""
    if table is None:
        raise _no_place(guest.name, "unknown_table", "this replica does not synchronise it")
    own = table.tracked.info
    if guest.key_names != own.key_names:
        raise _no_place(guest.name, "shape_changed", f"its key here is {list(own.key_names)}")
    columns = {column.name: column for column in (*own.key, *own.columns)}
    for column in (*guest.key, *_travelling(guest)):
        here = columns.get(column.name)
        if here is None or here.generated or here.affinity != column.affinity:
            why = f"its column {column.name!r} is not there or stores other values"
            raise _no_place(guest.name, "shape_changed", why)


def _travelling(info: TableInfo) -> list[Column]:
    return [column for column in info.columns if not column.generated]


def _no_place(table: str, reason: str, why: str) -> TableNotTrackable:
    remedy = "Open the user's replica with the tables of the guest's; nothing was adopted"
    return TableNotTrackable(table=table, reason=reason, why=why, remedy=remedy)


def _copy_one(
    connection: sqlite3.Connection, table: Table, info: TableInfo, row: tuple[Any, ...]
) -> str:
    """Insert a row if its key is not there, or hand it to the dead letters; returns the field of `Counts`.

    A clause of the table's own, such as ON CONFLICT REPLACE, does not count: no row of the user's gives way.
    """
    names = (*info.key_names, *info.value_names)
    key = row[: len(info.key)]
    raw = {place for place, value in enumerate(row) if type(value) is RawText}
    at_key = equal_to([quote(name) for name in info.key_names], key)
    try:
        done = connection.execute(
            f"INSERT OR ABORT INTO {table.app} ({', '.join(map(quote, names))})"
            f" SELECT {', '.join(parameters(len(row), raw))}"
            f" WHERE NOT EXISTS (SELECT 1 FROM {table.app} WHERE {at_key})",
            (*row, *key),
        )
    except sqlite3.IntegrityError as error:
        unique = error.sqlite_errorcode in _UNIQUE
        dead_letters.add(
            connection,
            table=table.name,
            kind="insert",
            key=key,
            values=dict(zip(info.value_names, row[len(key) :], strict=True)),
            code="unique_conflict" if unique else "constraint",
            reason=f"the guest's row does not fit beside the user's: {error}",
        )
        return "refused"
    return "adopted" if done.rowcount else "kept"


def _not_ours(path: str) -> FileNotOurs:
    return FileNotOurs(
        "the guest's file belongs to a user",
        path=path,
        why="its rows were adopted, or their adoption has begun",
        remedy="Open that user's replica; remove the file to begin a new guest's",
    )
