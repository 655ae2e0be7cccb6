"""A row store on a real file, spoken to as the hub does; shared by the tests of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from syncauth.sansio.messages import (
    BatchMark,
    Hello,
    Section,
    decode_sections,
    digest_of,
    encode_sections,
)
from syncauth.server.settings.config import Rules, ServedTable, ServerConfig, ServerLimits
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import Greeting, Judged, Page, PageLimits
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_rows import SqliteRows

NOW = 1_700_000_000.0
HLC = int(NOW * 1000) << 16
NOTES = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT, likes INTEGER,
    PRIMARY KEY (_partition, id));"""
COLUMNS = ["title", "body", "likes"]
DEVICES = {"A": "a" * 16, "B": "b" * 16, "C": "c" * 16}


class SetSessions:
    """Sessions as a test sets them; active unless it says otherwise."""

    def __init__(self) -> None:
        self.status = SessionStatus.ACTIVE

    def session_status(self, session_id: str, now: float) -> SessionStatus:
        return self.status


class StoreBench:
    """The store, with what a device keeps of itself: batch and entry numbers, cursors."""

    def __init__(
        self,
        path: Path,
        schema: str = NOTES,
        tables: Sequence[ServedTable] = (ServedTable("notes", counters=("likes",)),),
        rules: Rules | None = None,
        limits: ServerLimits | None = None,
    ) -> None:
        self.connection = open_server_file(path, schema)
        config = ServerConfig(
            "app",
            path,
            tables=tuple(tables),
            rules=rules or Rules(),
            limits=limits or ServerLimits(),
        )
        self.sessions = SetSessions()
        self.store = SqliteRows(self.connection, config, self.sessions)
        self.batches: dict[str, int] = {}
        self.digests: dict[tuple[str, int], str] = {}
        self.received: dict[str, dict[str, int]] = {}
        self.entry = 0

    def greet(self, device: str, user: str = "ann", **changes: Any) -> Any:
        """Say hello as a device that has no history, or as `changes` say."""
        fields: dict[str, Any] = {
            "device": DEVICES[device],
            "incarnation": f"incarnation {device}",
            "fencing": 1,
            "connection": 1,
            "acked": None,
            "highest": None,
            "checkpoints": {},
            "tables": list(self.store.shapes),
        }
        hello = Hello(**{**fields, **changes})
        return self.store.greet(user, "session", hello, new_device="f" * 16, now=NOW)

    def welcome(self, device: str, user: str = "ann", **changes: Any) -> Greeting:
        """Say hello and be taken in."""
        greeting = self.greet(device, user, **changes)
        assert isinstance(greeting, Greeting), greeting
        return greeting

    def mark(self, device: str, batch: int) -> BatchMark:
        """Return a batch that was pushed, by number and digest."""
        return BatchMark(batch, self.digests[device, batch])

    def push(self, device: str, *parts: Section, user: str = "ann", **changes: Any) -> Any:
        """Push the device's next batch, or as `changes` say."""
        number = changes.pop("batch", self.batches.get(device, 0) + 1)
        raw = changes.get("sections") or encode_sections(list(parts))
        received = self.received.get(device, {})
        arguments: dict[str, Any] = {
            "batch": number,
            "acked": 0,
            "sections": raw,
            "received": received,
            "now": NOW,
        }
        tables = changes.pop("tables", self.store.shapes)
        given = {**arguments, **changes}
        answer = self.store.push(user, "session", DEVICES[device], tables, **given)
        if isinstance(answer, Judged):
            self.batches[device] = max(number, self.batches.get(device, 0))
            self.digests[device, number] = digest_of(raw)
        return answer

    def judged(self, device: str, *parts: Section, user: str = "ann", **changes: Any) -> Judged:
        """Push and be judged."""
        answer = self.push(device, *parts, user=user, **changes)
        assert isinstance(answer, Judged), answer
        return answer

    def next_entry(self) -> int:
        """Return the next entry number."""
        self.entry += 1
        return self.entry

    def insert(
        self,
        *rows: Sequence[Any],
        hlc: int = HLC,
        ends: str | None = None,
        columns: Sequence[str] = tuple(COLUMNS),
        table: str = "notes",
    ) -> Section:
        """Make a section of inserts from rows (id, values…)."""
        made = [[row[0], self.next_entry(), hlc, ends, *row[1:]] for row in rows]
        return Section(table, "insert", made, list(columns))

    def update(
        self,
        key: str,
        values: Mapping[str, Any],
        *,
        life: str,
        hlc: int,
        deltas: Mapping[str, int] | None = None,
        partition: str = "",
        table: str = "notes",
    ) -> Section:
        """Make a section of one update."""
        added = deltas or {}
        row = [key, self.next_entry(), hlc, life, *values.values(), *added.values()]
        return Section(table, "update", [row], [*values], [*added], partition)

    def delete(
        self, key: str, *, life: str, hlc: int, partition: str = "", table: str = "notes"
    ) -> Section:
        """Make a section of one deletion."""
        row = [key, self.next_entry(), hlc, life]
        return Section(table, "delete", [row], partition=partition)

    def page(
        self,
        device: str,
        cursors: Mapping[str, int] | None = None,
        limits: PageLimits | None = None,
        compared: Mapping[str, int] | None = None,
    ) -> tuple[Page, list[Section]]:
        """Read a page from the cursors, from the start of ann's partition if none are given."""
        page = self.store.page(
            DEVICES[device],
            self.store.shapes,
            {"user:ann": 0} if cursors is None else cursors,
            limits or PageLimits(),
            compared=compared or {},
        )
        assert isinstance(page, Page), page
        self.received[device] = {**self.received.get(device, {}), **page.changes.cursors}
        return page, decode_sections(page.changes.sections)

    def rows(self, table: str = "notes") -> list[Any]:
        """Read the served table in the order of its key."""
        return self.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()


def life(device: str, hlc: int = HLC) -> str:
    """Return the life that a device's insert at an HLC begins."""
    return f"{hlc:016x}{DEVICES[device]}"
