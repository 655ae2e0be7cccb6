"""The answer of a push is lost and the row edited before it is sent again: nothing is lost or counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.models import TableSpec
from syncauth.server.settings.config import ServedTable
from tests.simulation.clockwork import Clockwork
from tests.simulation.device import SimulatedDevice
from tests.simulation.server import LIMITS, SimulatedServer

DEVICE_SCHEMA = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, likes INTEGER)"
SERVER_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL,
    title TEXT CHECK (title <> 'forbidden'), likes INTEGER, PRIMARY KEY (_partition, id));
CREATE TABLE IF NOT EXISTS log (id TEXT, title TEXT, likes INTEGER);
CREATE TRIGGER IF NOT EXISTS logged_insert AFTER INSERT ON notes
    BEGIN INSERT INTO log VALUES (NEW.id, NEW.title, NEW.likes); END;
CREATE TRIGGER IF NOT EXISTS logged_update AFTER UPDATE ON notes
    BEGIN INSERT INTO log VALUES (NEW.id, NEW.title, NEW.likes); END;
"""


class Pair:
    """Two devices that are in step, and the server."""

    def __init__(self, directory: Path) -> None:
        self.world = Clockwork(7)
        served = ServedTable("notes", counters=("likes",))
        self.server = SimulatedServer(self.world, directory / "server.db", SERVER_SCHEMA, served)
        spec = TableSpec("notes", counters=("likes",))
        self.one, self.other = (
            SimulatedDevice(self.world, self.server, directory / f"{name}.db", DEVICE_SCHEMA, spec)
            for name in ("one", "other")
        )
        self.settle()
        self.one.write(("INSERT INTO notes VALUES ('1', 'first', 0)", ()))
        self.settle()

    def settle(self) -> None:
        """Let everything come to rest."""
        self.world.run(self.world.now + 600)

    def lose(self) -> None:
        """Let time pass until the server has judged and its answer is lost, and no longer."""
        self.one.answers_to_lose = 1
        before = self.one.counts["lost answers"]
        self.world.run_until(lambda: self.one.counts["lost answers"] > before)
        assert self.one.replica.state().in_flight

    def rows(self) -> list[Any]:
        """Return the rows, which are the same everywhere, when nothing waits any more (I1, I9)."""
        self.settle()
        assert self.one.idle and self.other.idle
        select = "SELECT id, title, likes FROM notes ORDER BY id"
        found = [each.app.execute(select).fetchall() for each in (self.one, self.other)]
        at_server = self.server.connection.execute(select).fetchall()
        assert found == [at_server, at_server]
        return at_server

    def log(self) -> list[Any]:
        """Return every write that took effect at the server, in order."""
        return self.server.connection.execute("SELECT * FROM log ORDER BY rowid").fetchall()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(tmp_path)
    yield pair
    pair.one.close()
    pair.other.close()
    pair.server.connection.close()


@pytest.fixture(params=["same process", "restarted"])
def restarted(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "restarted")


def test_an_edit_made_meanwhile_arrives(pair: Pair, restarted: bool) -> None:
    """The resend gets its stored result, and the later edit is a change of its own (I1, I2)."""
    pair.one.write(("UPDATE notes SET title = 'sent'", ()))
    pair.lose()
    pair.one.write(("UPDATE notes SET title = 'meanwhile'", ()))
    if restarted:
        pair.one.restart()
    assert pair.rows() == [("1", "meanwhile", 0)]
    assert [title for _, title, _ in pair.log()] == ["first", "sent", "meanwhile"]


def test_a_counter_counts_every_delta_once(pair: Pair, restarted: bool) -> None:
    """Neither the resent delta nor the one added meanwhile counts twice (I2)."""
    pair.one.write(("UPDATE notes SET likes = likes + 5", ()))
    pair.other.write(("UPDATE notes SET likes = likes + 100", ()))
    pair.lose()
    pair.one.write(("UPDATE notes SET likes = likes + 2", ()))
    if restarted:
        pair.one.restart()
    assert pair.rows() == [("1", "first", 107)]


def test_a_refusal_among_the_results_is_told_once(pair: Pair, restarted: bool) -> None:
    """The stored result brings the refusal and the server's row; an edit of another column stays."""
    pair.one.write(
        ("UPDATE notes SET title = 'forbidden'", ()),
        ("INSERT INTO notes VALUES ('2', 'fine', 1)", ()),
    )
    pair.lose()
    pair.one.write(("UPDATE notes SET likes = likes + 3 WHERE id = '1'", ()))
    if restarted:
        pair.one.restart()
    assert pair.rows() == [("1", "first", 3), ("2", "fine", 1)]
    (letter,) = pair.one.replica.dead_letters()
    assert (letter.code, letter.values) == ("constraint", {"title": "forbidden"})


def test_three_batches_in_the_window_are_each_judged_once(
    pair: Pair,
    restarted: bool,
) -> None:
    """With the answer to the first lost, those behind it are neither lost nor applied twice (I2)."""
    count = 3 * LIMITS.batch_rows
    pair.one.write(
        *(("INSERT INTO notes VALUES (?, 'many', 0)", (f"n{place:04}",)) for place in range(count))
    )
    pair.lose()
    pair.one.write(("UPDATE notes SET title = 'edited' WHERE id IN ('n0000', 'n0149')", ()))
    if restarted:
        pair.one.restart()
    rows = pair.rows()
    assert len(rows) == count + 1
    assert [row[0] for row in rows if row[1] == "edited"] == ["n0000", "n0149"]
    assert len(pair.log()) == 1 + count + 2
    assert pair.one.replica.state().acked is not None
