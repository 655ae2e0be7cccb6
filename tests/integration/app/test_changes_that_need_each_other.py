"""Changes of one transaction that need each other arrive, also where no single batch carries them all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

import syncauth
from tests.support.app_bench import ANN, OpenApp
from tests.support.processes import EMAIL, PASSWORD, Server, configure

ROWS_PER_BATCH = 20
SERVER_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL, parent TEXT, place INTEGER,
    PRIMARY KEY (_partition, id), UNIQUE (_partition, place),
    FOREIGN KEY (_partition, parent) REFERENCES notes (_partition, id));
"""
TABLE = """
CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, parent TEXT REFERENCES notes (id),
    place INTEGER UNIQUE);
"""
COUNT = 30


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    limits = f"[limits]\nbatch_rows = {ROWS_PER_BATCH}"
    configure(tmp_path / "server", SERVER_SCHEMA, "[tables.notes]", limits)
    with Server(tmp_path / "server") as running:
        yield running


async def _open(app: syncauth.App) -> syncauth.OpenReplica:
    return await app.open_replica(await app.log_in(ANN), tables=["notes"], create=TABLE)


def _plant(db: Database) -> None:
    """Insert rows without parents, and then make each a child of one inserted later."""
    db["notes"].insert_all({"id": f"{n:02}", "place": n} for n in range(COUNT))
    db.execute("UPDATE notes SET parent = printf('%02d', id + 10) WHERE id < '20'")


def _turn_round(db: Database) -> None:
    """Give the rows' places to each other, back to front, as an app would."""
    db.execute("UPDATE notes SET place = -1 - place")
    db.execute("UPDATE notes SET place = ? + place", [COUNT])


def _cut_down(db: Database) -> None:
    """Delete all rows, parents before their children."""
    for parent in range(COUNT - 1, -1, -1):
        db.execute("DELETE FROM notes WHERE id = printf('%02d', ?)", [parent])


async def test_children_before_parents_and_places_that_are_exchanged(
    server: Server, open_app: OpenApp
) -> None:
    """Nothing is rejected, and both devices end with the rows that the first one had (I1)."""
    one, other = await open_app(server.url, "one"), await open_app(server.url, "other")
    await one.register(EMAIL, PASSWORD)
    here = await _open(one)
    there = await _open(other)
    for write in (_plant, _turn_round, _cut_down):
        await here.write(write)
        rows = list(here.db.query("SELECT * FROM notes ORDER BY id"))
        await here.wait_uploaded(15)
        await there.wait_synced(15)
        assert list(here.db.query("SELECT * FROM notes ORDER BY id")) == rows
        assert list(there.db.query("SELECT * FROM notes ORDER BY id")) == rows
        assert here.status.dead_letters == 0
    assert rows == []
