"""Every SQLite value survives the whole way: device, wire, server, wire, device, bit for bit."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from syncauth.sansio.messages import Changes
from syncauth.server.settings.config import ServedTable
from tests.support.replica_bench import ReplicaBench
from tests.support.row_store import NOW, StoreBench

DEVICE_SCHEMA = (
    "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, plain, txt TEXT, num REAL, whole INTEGER)"
)
SERVER_SCHEMA = """CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL,
    plain, txt TEXT, num REAL, whole INTEGER, PRIMARY KEY (_partition, id))"""
COLUMNS = ("plain", "txt", "num", "whole")

_texts = st.text(st.characters(codec="utf-8"), max_size=30)
_integers = st.integers(-(2**63), 2**63 - 1)
_doubles = st.floats(allow_nan=False)
_blobs = st.binary(max_size=30)
_values = st.none() | _texts | _integers | _doubles | _blobs
_broken = st.binary(min_size=1, max_size=20).filter(lambda data: not _is_utf8(data))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Journey:
    """Two replicas and a server's store, on three files, for one property after the other."""

    def __init__(self, directory: Path) -> None:
        for name in ("one", "other"):
            (directory / name).mkdir()
        self.one = ReplicaBench(directory / "one", DEVICE_SCHEMA)
        self.other = ReplicaBench(directory / "other", DEVICE_SCHEMA)
        tables = [ServedTable("notes")]
        self.store = StoreBench(directory / "server.db", SERVER_SCHEMA, tables)
        for bench in (self.one, self.other):
            bench.app.text_factory = bytes
        self.store.welcome("A")
        self.store.welcome("B")
        self.cursors = {"user:ann": 0}

    def travel(self) -> None:
        """Send what was written on one device until it is on the other."""
        batch = self.one.replica.cut(rows=1000, size=1_000_000).batch
        assert batch is not None
        judged = self.store.judged("A", now=NOW, sections=batch.sections, batch=batch.number)
        assert judged.result.refused == []
        self.one.replica.acknowledge([judged.result])
        page, _ = self.store.page("B", self.cursors)
        # Through JSON, as on the socket.
        frame = msgspec.json.decode(msgspec.json.encode(page.changes), type=Changes)
        self.other.replica.apply(frame)
        self.cursors = dict(page.changes.cursors)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Any:
    journey = Journey(tmp_path_factory.mktemp("journey"))
    yield journey
    journey.one.close()
    journey.other.close()
    journey.store.connection.close()


def _bits(connection: sqlite3.Connection, key: str) -> list[tuple[Any, ...]]:
    """Return type and bits of every column of a row; texts as bytes, doubles as their 64 bits."""
    terms = ", ".join(f"typeof({name}), {name}" for name in COLUMNS)
    row = connection.execute(f"SELECT {terms} FROM notes WHERE id = ?", (key,)).fetchone()
    values = [struct.pack(">d", each) if isinstance(each, float) else each for each in row]
    return list(zip(values[::2], values[1::2], strict=True))


def _compared(connection: sqlite3.Connection, key: str) -> list[tuple[Any, ...]]:
    """As `_bits`, but with one zero: SQLite has no function that tells 0.0 from -0.0."""
    zero, minus = struct.pack(">d", 0.0), struct.pack(">d", -0.0)
    return [
        (kind, zero if (kind, value) == (b"real", minus) else value)
        for kind, value in _bits(connection, key)
    ]


_numbers = iter(range(10**9))


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(row=st.tuples(_values, _values, _values, _values), edited=st.tuples(_values, _values))
@example(row=(0.0, "a", -0.0, 1), edited=(-0.0, "b"))
@example(row=(-0.0, "a", 2.5, 1), edited=(0.0, "a"))
def test_values_arrive_as_they_were_written(
    journey: Journey, row: tuple[Any, ...], edited: tuple[Any, ...]
) -> None:
    """Whatever a column of any type holds, inserted or updated, the other file holds the same bits."""
    key = f"row {next(_numbers)}"
    journey.one.app.execute("INSERT INTO notes VALUES (?, ?, ?, ?, ?)", (key, *row))
    journey.travel()
    assert _bits(journey.other.app, key) == _bits(journey.one.app, key)
    before = _compared(journey.one.app, key)
    journey.one.app.execute("UPDATE notes SET plain = ?, txt = ? WHERE id = ?", (*edited, key))
    if _compared(journey.one.app, key) != before:
        journey.travel()
    assert _compared(journey.other.app, key) == _compared(journey.one.app, key)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=_broken)
def test_a_text_that_is_no_utf_8_stays_that_text(journey: Journey, data: bytes) -> None:
    """Python cannot read it as text (seen); it arrives as TEXT with the same bytes."""
    key = f"row {next(_numbers)}"
    journey.one.app.execute(
        "INSERT INTO notes VALUES (?, CAST(? AS TEXT), CAST(? AS TEXT), NULL, NULL)",
        (key, data, data),
    )
    journey.travel()
    arrived = _bits(journey.other.app, key)
    assert arrived == _bits(journey.one.app, key)
    assert arrived[0] == (b"text", data)
