"""The two tables that are measured, their rows, and what is done to them, with syncauth and without."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRAGMAS = {"journal_mode": "wal", "synchronous": 2}


@dataclass(frozen=True)
class Shape:
    """A table by its columns besides the key `id`."""

    name: str
    columns: tuple[tuple[str, str], ...]

    @property
    def definitions(self) -> str:
        """The columns as they stand in CREATE TABLE."""
        return ", ".join(f"{name} {kind}" for name, kind in self.columns)

    @property
    def device_schema(self) -> str:
        """The device's table."""
        return f"CREATE TABLE IF NOT EXISTS {self.name} (id TEXT NOT NULL PRIMARY KEY, {self.definitions});"

    @property
    def server_schema(self) -> str:
        """The server's table."""
        return (
            f"CREATE TABLE IF NOT EXISTS {self.name} (_partition TEXT NOT NULL, id TEXT NOT NULL,"
            f" {self.definitions}, PRIMARY KEY (_partition, id));"
        )

    def rows(self, count: int) -> list[tuple[Any, ...]]:
        """Make rows of mixed types; the same at every call."""
        made = {
            "TEXT": lambda n, c: f"text {c} of row {n}, long enough to be one",
            "REAL": lambda n, c: n * 1.1 + c,
            "INTEGER": lambda n, c: n * 7 + c,
        }
        kinds = [made[kind] for _, kind in self.columns]
        return [(f"{n:032x}", *(make(n, c) for c, make in enumerate(kinds))) for n in range(count)]

    @property
    def insert(self) -> str:
        """The statement that inserts a row on a device."""
        return f"INSERT INTO {self.name} VALUES ({', '.join('?' * (len(self.columns) + 1))})"

    @property
    def update(self) -> str:
        """The statement that updates two columns: text and number."""
        return f"UPDATE {self.name} SET c0 = c0 || ' edited', c1 = c1 + 1 WHERE id = ?"

    @property
    def delete(self) -> str:
        """The statement that deletes a row."""
        return f"DELETE FROM {self.name} WHERE id = ?"


def _columns(count: int) -> tuple[tuple[str, str], ...]:
    kinds = ("TEXT", "REAL", "INTEGER", "TEXT", "REAL")
    return tuple((f"c{place}", kinds[place % len(kinds)]) for place in range(count))


NARROW = Shape("narrow", _columns(5))
WIDE = Shape("wide", _columns(30))


def connect(path: Path | str) -> sqlite3.Connection:
    """Open a file as the baseline is measured: WAL, synchronous=FULL, autocommit."""
    connection = sqlite3.connect(path, isolation_level=None)
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != value:
            message = f"PRAGMA {name} is {found}, not {value}"
            raise SystemExit(message)
    return connection


def run(connection: sqlite3.Connection, sql: str, rows: Iterable[Any]) -> None:
    """Do the work in one executemany and one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(sql, rows)
    connection.execute("COMMIT")
