"""Every key that SQLite holds is found again on the whole way: device, server, other device, and back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings, strategies as st

from syncauth.server.settings.config import ServedTable
from tests.support.replica_bench import OWN, ReplicaBench
from tests.support.row_store import DEVICES, NOW, StoreBench

COLUMNS = "t TEXT NOT NULL, b BLOB NOT NULL, n NUMERIC NOT NULL, v TEXT"
DEVICE_SCHEMA = f"CREATE TABLE notes ({COLUMNS}, PRIMARY KEY (n, t, b))"
SERVER_SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, {COLUMNS},"
    " PRIMARY KEY (_partition, n, t, b))"
)

_texts = st.text(st.characters(codec="utf-8"), max_size=10)
_raw = st.binary(max_size=6)
_numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
_any = _texts | _raw | _numbers


class Journey:
    """Two replicas, whose clocks show the server's time, and a store."""

    def __init__(self, directory: Path) -> None:
        self.store = StoreBench(directory / "server.db", SERVER_SCHEMA, [ServedTable("notes")])
        self.benches = {}
        for name in "AB":
            (directory / name).mkdir()
            bench = ReplicaBench(directory / name, DEVICE_SCHEMA)
            bench.app.text_factory = bytes
            bench.app.execute("UPDATE _sync_clock SET fixed_ms = ?", (round(NOW * 1000),))
            bench.replica.adopt_device(DEVICES[name])
            self.store.welcome(name)
            self.benches[name] = bench

    def sync(self, name: str) -> None:
        """Send what a device has and give it what there is."""
        replica = self.benches[name].replica
        while batch := replica.cut(rows=100, size=1_000_000).batch:
            judged = self.store.judged(name, now=NOW, batch=batch.number, sections=batch.sections)
            assert judged.result.refused == []
            replica.acknowledge([judged.result])
        page, _ = self.store.page(name, replica.state().checkpoints or {OWN: 0})
        replica.apply(page.changes)

    def tables(self) -> list[list[Any]]:
        """Read both tables with the types of all values."""
        select = "SELECT typeof(t), t, typeof(b), b, typeof(n), n, v FROM notes"
        return [bench.app.execute(select).fetchall() for bench in self.benches.values()]

    def close(self) -> None:
        """Close all files."""
        for bench in self.benches.values():
            bench.close()
        self.store.connection.close()


@settings(max_examples=40, deadline=None)
@example(text=b"\xff", raw=b"\xff", blob=b"\xff", number="1e3")
@example(text=b"\x00", raw=b"a\x00", blob="", number=-0.0)
@example(text=b"1", raw=b"1.0", blob=1.0, number=2**63 - 1)
@example(text=b"", raw=b"", blob=float("inf"), number=float("-inf"))
@given(text=_raw | _texts.map(str.encode), raw=_raw, blob=_any, number=_any)
def test_a_row_is_found_by_its_key(text: bytes, raw: bytes, blob: object, number: object) -> None:
    """Inserted here, edited there while edited here, deleted there: every step finds the very row (I9)."""
    with tempfile.TemporaryDirectory() as directory:
        journey = Journey(Path(directory))
        here, there = journey.benches["A"].app, journey.benches["B"].app
        for data, value in ((text, "one"), (text + raw + b"x", "two")):
            here.execute(
                "INSERT INTO notes VALUES (CAST(? AS TEXT), ?, ?, ?)", (data, blob, number, value)
            )
        journey.sync("A")
        journey.sync("B")
        assert journey.tables()[0] == journey.tables()[1]
        assert len(journey.tables()[0]) == 2
        there.execute("UPDATE notes SET v = v || ' there'")
        here.execute("UPDATE notes SET v = v || ' here' WHERE v = 'two'")
        for name in "ABA":
            journey.sync(name)
        assert journey.tables()[0] == journey.tables()[1]
        assert len({row[-1] for row in journey.tables()[0]} & {b"one there"}) == 1
        there.execute("DELETE FROM notes")
        here.execute("UPDATE notes SET v = 'late' WHERE v = 'one there'")
        journey.sync("B")
        journey.sync("A")
        assert journey.tables() == [[], []]
        assert journey.benches["A"].replica.state().pending == 0
        journey.close()
