"""A replica on a real file, an app that writes to it by plain sqlite3, and a server that is played by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from syncauth.interfaces import Acknowledged
from syncauth.models import TableSpec
from syncauth.replica.replica import FileReplica
from syncauth.sansio.messages import (
    BatchResult,
    Changes,
    CutStamps,
    Refused,
    Section,
    Superseded,
    decode_sections,
    encode_sections,
)

DEVICE, OTHER = "a" * 16, "b" * 16
OWN = "user:ann"
NOTES = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT, likes INTEGER)"
VALUES = ("title", "body", "likes")


class Sent(NamedTuple):
    """One change of a batch, as the server reads it."""

    table: str
    kind: str
    key: tuple[Any, ...]
    entry: int
    hlc: int
    life: str | None
    values: dict[str, Any]
    deltas: dict[str, int]


class ReplicaBench:
    """See the module."""

    def __init__(
        self,
        directory: Path,
        schema: str = NOTES,
        *specs: TableSpec,
        pragmas: Sequence[str] = (),
        rows: Sequence[str] = (),
    ) -> None:
        self.path = str(directory / "app.db")
        self.app = sqlite3.connect(self.path, isolation_level=None)
        self.app.execute("PRAGMA journal_mode = WAL")
        self.app.executescript(schema)
        for pragma in pragmas:
            self.app.execute(f"PRAGMA {pragma}")
        for sql in rows:
            self.app.execute(sql)
        self.specs = specs or (TableSpec("notes"),)
        self.replica = self.open()
        self.version = 0

    def open(self) -> FileReplica:
        """Open the replica, as at the start of a process."""
        return FileReplica.open(self.path, tables=self.specs, device=DEVICE, incarnation="first")

    def close(self) -> None:
        """Close both."""
        self.replica.close()
        self.app.close()

    def run(self, *statements: str) -> None:
        """Run statements of the app, each in a transaction of its own."""
        for sql in statements:
            self.app.execute(sql)

    def table(self, name: str = "notes") -> list[Any]:
        """Return the rows of a table in the order of its key."""
        return self.app.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall()

    @property
    def uncertain(self) -> tuple[str, ...]:
        """The tables that wait to be compared with the server's."""
        names = self.app.execute("SELECT name FROM _sync_tables WHERE uncertain ORDER BY name")
        return tuple(name for (name,) in names.fetchall())

    # --- the outbox ------------------------------------------------------------------------------

    def cut(self, rows: int = 1000, size: int = 1_000_000) -> list[Sent]:
        """Cut a batch and read it, on a new connection if one is owed; an empty list if there was nothing to send."""
        if self.replica.state().again:
            self.replica.begin_connection()
        batch = self.replica.cut(rows=rows, size=size).batch
        return [] if batch is None else self.read(batch.sections)

    def read(self, raw: bytes) -> list[Sent]:
        """Read the changes of a batch in the order in which they are judged."""
        shapes = {shape.table: shape for shape in self.replica.state().tables}
        found = []
        for section in decode_sections(raw):
            width = len(shapes[section.table].key)
            for row in section.rows:
                entry, hlc, life = row[width : width + 3]
                values = dict(zip(section.columns, row[width + 3 :], strict=False))
                deltas = dict(
                    zip(section.deltas, row[width + 3 + len(section.columns) :], strict=True)
                )
                found.append(
                    Sent(
                        section.table,
                        section.kind,
                        tuple(row[:width]),
                        entry,
                        hlc,
                        life,
                        values,
                        deltas,
                    )
                )
        return found

    def sent(self) -> list[tuple[str, tuple[Any, ...], dict[str, Any], dict[str, int]]]:
        """Cut everything; kind, key, values and deltas of each change."""
        return [(each.kind, each.key, each.values, each.deltas) for each in self.cut()]

    def acknowledge(
        self,
        *refused: Refused,
        superseded: Sequence[Superseded] = (),
        rows: Sequence[Section] = (),
        cut: CutStamps | None = None,
    ) -> Acknowledged:
        """Let the server judge the oldest batch in flight."""
        mark = self.replica.state().in_flight[0]
        result = BatchResult(
            mark.batch,
            mark.digest,
            refused=list(refused),
            superseded=list(superseded),
            rows=list(rows),
            cut=cut,
        )
        return self.replica.acknowledge([result])

    def settle(self) -> None:
        """Send everything and have it applied."""
        while self.cut():
            self.acknowledge()

    # --- pages -----------------------------------------------------------------------------------

    def apply(self, *sections: Section, through: int = 0, complete: bool = True) -> Acknowledged:
        """Apply a page that brings the user's partition one version on."""
        self.version += 1
        raw = msgspec.Raw(encode_sections(list(sections)))
        page = Changes({OWN: self.version}, through, self.version, complete, raw)
        return self.replica.apply(page)


def remote(
    *rows: Sequence[Any],
    columns: Sequence[str] = VALUES,
    table: str = "notes",
    hlc: int = 1 << 40,
    life: str | None = None,
    stamps: str | None = None,
    partition: str = OWN,
) -> Section:
    """Make a section of rows (id, values…) that another device began at an HLC, or of a known life."""
    stamp = f"{hlc:016x}{OTHER}"
    made = [[row[0], life or stamp, stamp, stamps, *row[1:]] for row in rows]
    return Section(table, "row", made, list(columns), partition=partition)


def gone(key: str, life: str, *, hlc: int = 1 << 62, table: str = "notes") -> Section:
    """Make a section of one tombstone."""
    return Section(table, "gone", [[key, life, f"{hlc:016x}{OTHER}"]], partition=OWN)


def leave(key: str, *, partition: str = OWN, table: str = "notes") -> Section:
    """Make a section of one row that has left a partition."""
    return Section(table, "exit", [[key]], partition=partition)


def life_of(sent: Sent) -> str:
    """Return the life that an insert of this device begins."""
    return f"{sent.hlc:016x}{DEVICE}"
