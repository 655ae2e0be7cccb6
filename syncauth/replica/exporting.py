"""
The export: what the server does not have, written into a new SQLite file that any program can read.

The file has three tables; `docs/reference/export.md` describes them. All of it is one snapshot, and is on the disk when
`export` returns. Values keep their types bit for bit: unsent ones go from file to file inside SQLite, those in flight
and the refused ones are decoded from what was sent. This module must never change the user's file, and never write
over a file that is there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from syncauth.replica import dead_letters, files, inflight, schema
from syncauth.replica.table import Table
from syncauth.rows.sqltext import quote
from syncauth.rows.values import decode_rows, parameters, split_raw
from syncauth.sansio.messages import decode_sections

EXPORT_FORMAT: Final = 1

_TO: Final = "_sync_export"

_TABLES: Final = (
    f"CREATE TABLE {_TO}.about (name TEXT PRIMARY KEY, value)",
    f"""CREATE TABLE {_TO}.changes (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    table_name TEXT NOT NULL,
    kind TEXT NOT NULL,
    code TEXT,
    reason TEXT
)""",
    f"""CREATE TABLE {_TO}.cells (
    change INTEGER NOT NULL REFERENCES changes (number),
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    value
)""",
    f"CREATE INDEX {_TO}.cells_of_change ON cells (change)",
)


def export(
    connection: sqlite3.Connection,
    tables: Mapping[str, Table],
    target: str,
    *,
    user: str | None,
) -> int:
    """Write everything unsent, in flight and refused into a new file, and return how many changes that is.

    Raises:
        StorageError: there is a file of this name, or it cannot be made; nothing was written over.
        FileFull, FileCorrupt: it could not be written, and is not there.
    """
    place = Path(target).absolute()
    files.make_new_file(str(place))
    try:
        with schema.storage_errors(str(place)):
            connection.execute(f"ATTACH DATABASE ? AS {_TO}", (str(place),))
            try:
                connection.execute(f"PRAGMA {_TO}.synchronous = EXTRA")
                count = _write(connection, tables, user)
            finally:
                connection.execute(f"DETACH DATABASE {_TO}")
        files.sync_directory(str(place))
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    return count


def _write(connection: sqlite3.Connection, tables: Mapping[str, Table], user: str | None) -> int:
    """Fill the file in one transaction, whose first statement fixes what it reads of the user's."""
    connection.execute("BEGIN")
    try:
        for statement in _TABLES:
            connection.execute(statement)
        about = {"format": EXPORT_FORMAT, "user": user}
        connection.executemany(f"INSERT INTO {_TO}.about VALUES (?, ?)", about.items())
        last = _add(connection, 0, _in_flight(connection, tables))
        last = _unsent(connection, tables, last)
        last = _add(connection, last, _refused(connection, tables))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return last


_Cells = list[tuple[str, str, Any]]
_Change = tuple[tuple[str, str, str, str | None, str | None], _Cells]
"""State, table, kind, code and reason of a change, and role, name and value of its cells."""


def _add(connection: sqlite3.Connection, last: int, changes: Iterator[_Change]) -> int:
    for number, (head, cells) in enumerate(changes, last + 1):
        connection.execute(f"INSERT INTO {_TO}.changes VALUES (?, ?, ?, ?, ?, ?)", (number, *head))
        for raw, group in split_raw([(number, *cell) for cell in cells]):
            connection.executemany(
                f"INSERT INTO {_TO}.cells VALUES ({', '.join(parameters(4, raw))})", group
            )
        last = number
    return last


def _in_flight(connection: sqlite3.Connection, tables: Mapping[str, Table]) -> Iterator[_Change]:
    """Yield the changes of each batch in flight, in the order in which the server judges them."""
    for batch in inflight.batches_after(connection, 0):
        for section in decode_sections(batch.sections):
            names = [*section.columns, *section.deltas]
            roles = ["value"] * len(section.columns) + ["delta"] * len(section.deltas)
            width = len(section.rows[0])
            head = width - len(names)  # the key, then entry, stamp and life
            for row in decode_rows(section.rows, width):
                cells = _key_cells(tables.get(section.table), row[: head - 3])
                cells += zip(roles, names, row[head:], strict=True)
                yield ("in flight", section.table, section.kind, None, None), cells


def _refused(connection: sqlite3.Connection, tables: Mapping[str, Table]) -> Iterator[_Change]:
    for letter in dead_letters.read(connection):
        cells = _key_cells(tables.get(letter.table), letter.key)
        cells += [("value", name, value) for name, value in letter.values.items()]
        yield ("refused", letter.table, letter.kind, letter.code, letter.reason), cells


def _key_cells(table: Table | None, key: Sequence[Any]) -> _Cells:
    """Name the columns of a key; of a table that is gone only their places are known."""
    known = () if table is None else table.tracked.info.key_names
    names = known if len(known) == len(key) else [f"key {place + 1}" for place in range(len(key))]
    return [("key", name, value) for name, value in zip(names, key, strict=True)]


def _unsent(connection: sqlite3.Connection, tables: Mapping[str, Table], last: int) -> int:
    """Copy the unsent entries with what their rows hold now; their order is that of their numbers."""
    connection.execute("CREATE TEMP TABLE _sync_order (entry INTEGER PRIMARY KEY, number INTEGER)")
    if tables:
        entries = " UNION ALL ".join(
            f"SELECT entry FROM {table.capture} WHERE batch IS NULL" for table in tables.values()
        )
        connection.execute(
            "INSERT INTO temp._sync_order SELECT entry, ? + row_number() OVER (ORDER BY entry)"
            f" FROM ({entries})",
            (last,),
        )
    for table in tables.values():
        _copy_entries(connection, table)
    (last,) = connection.execute(
        "SELECT ifnull(max(number), ?) FROM temp._sync_order", (last,)
    ).fetchone()
    connection.execute("DROP TABLE temp._sync_order")
    return int(last)


def _copy_entries(connection: sqlite3.Connection, table: Table) -> None:
    entries = f"{table.capture} AS c JOIN temp._sync_order AS o ON o.entry = c.entry"
    rows = f"{entries} CROSS JOIN main.{table.app} AS a ON {table.app_key_is('c')}"
    connection.execute(
        f"INSERT INTO {_TO}.changes SELECT o.number, 'unsent', ?, c.kind, NULL, NULL FROM {entries}",
        (table.name,),
    )
    cell = f"INSERT INTO {_TO}.cells SELECT o.number, ?, ?,"
    keys = zip(table.tracked.info.key_names, table.tracked.key_names, strict=True)
    for name, ours in keys:
        connection.execute(f"{cell} c.{ours} FROM {entries}", ("key", name))
    for name in table.columns:
        word, bit = table.bit(name)
        connection.execute(
            f"{cell} a.{quote(name)} FROM {rows}"
            f" WHERE c.kind = 'insert' OR c.kind = 'update' AND c.m{word} & {bit}",
            ("value", name),
        )
    for name in table.tracked.counters:
        delta = table.delta(name)
        connection.execute(
            f"{cell} c.{delta} FROM {entries} WHERE c.kind = 'update' AND c.{delta} IS NOT NULL",
            ("delta", name),
        )
