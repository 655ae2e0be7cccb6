"""Rows that wait for a unique value: they end by being placed, replaced by news, or removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.sansio.messages import Refused, Section
from tests.support.replica_bench import OTHER, ReplicaBench, gone, leave, remote

LIFE = f"{1 << 40:016x}{OTHER}"
SECOND = f"{2 << 40:016x}{OTHER}"


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[ReplicaBench]:
    """Hand out a replica where remote row 2 waits for the title that our edit of row 1 holds."""
    (tmp_path / "waiting").mkdir()
    bench = ReplicaBench(
        tmp_path / "waiting", "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE)"
    )
    bench.apply(remote(["1", "x"], columns=["title"]))
    bench.run("UPDATE notes SET title = 'taken'")
    bench.apply(remote(["2", "taken"], columns=["title"], hlc=2 << 40))
    assert bench.table() == [("1", "taken")]
    yield bench
    bench.close()


def test_news_of_a_waiting_row_takes_its_place(waiting: ReplicaBench) -> None:
    """The older state is never placed after the newer one."""
    waiting.apply(remote(["2", "free"], columns=["title"], hlc=3 << 40, life=SECOND))
    assert waiting.table() == [("1", "taken"), ("2", "free")]
    waiting.settle()
    assert waiting.table() == [("1", "taken"), ("2", "free")]


@pytest.mark.parametrize("end", [gone("2", SECOND), leave("2")], ids=["gone", "exit"])
def test_a_waiting_row_that_is_removed_never_comes(waiting: ReplicaBench, end: object) -> None:
    """A tombstone or an exit ends its waiting."""
    waiting.apply(end)  # type: ignore[arg-type]
    waiting.run("UPDATE notes SET title = 'other'")
    waiting.settle()
    assert waiting.table() == [("1", "other")]


def test_an_exit_of_another_partition_is_none_of_its_business(waiting: ReplicaBench) -> None:
    """It waits on, and comes in when the value is free and a page brings the next chance."""
    waiting.apply(leave("2", partition="red"))
    waiting.run("UPDATE notes SET title = 'other'")
    waiting.apply()
    assert waiting.table() == [("1", "other"), ("2", "taken")]


def test_a_local_row_with_the_key_of_a_waiting_one_joins_it(waiting: ReplicaBench) -> None:
    """What the app inserts under that key meanwhile is merged with it, not lost (I1)."""
    waiting.run("INSERT INTO notes VALUES ('2', 'ours')")
    waiting.apply()
    assert waiting.table() == [("1", "taken"), ("2", "ours")]
    assert [(each.kind, each.key, each.life) for each in waiting.cut()] == [
        ("update", ("1",), LIFE),
        ("update", ("2",), SECOND),
    ]


PLACES = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, place INTEGER UNIQUE, body TEXT)"


@pytest.fixture
def places(tmp_path: Path) -> Iterator[ReplicaBench]:
    """Hand out a replica of rows that each have a place of their own."""
    (tmp_path / "places").mkdir()
    bench = ReplicaBench(tmp_path / "places", PLACES)
    bench.apply(put(("x", 1), ("y", 9), ("z", 8)))
    yield bench
    bench.close()


def put(*rows: tuple[str, int], hlc: int = 1 << 40) -> Section:
    """Make a section of rows that all have one life."""
    made = [(key, place, "theirs") for key, place in rows]
    return remote(*made, columns=["place", "body"], hlc=hlc, life=LIFE)


def test_the_old_state_of_an_edited_row_that_waits_never_vanishes(places: ReplicaBench) -> None:
    """The row that would take its place waits with it; its edit is sent, and all come in at last (I1)."""
    places.run("UPDATE notes SET body = 'ours' WHERE id = 'x'")
    places.run("UPDATE notes SET place = 2 WHERE id = 'z'")
    places.apply(put(("x", 2), ("y", 1), hlc=2 << 40))
    assert places.table() == [("x", 1, "ours"), ("y", 9, "theirs"), ("z", 2, "theirs")]
    assert [each.key for each in places.cut()] == [("x",), ("z",)]
    (batch,) = places.replica.batches_in_flight(0)
    (entry,) = (each.entry for each in places.read(batch.sections) if each.key == ("z",))
    places.acknowledge(
        Refused(entry, "unique_conflict", "taken"), rows=[put(("z", 8), hlc=1 << 40)]
    )
    assert [row[:2] for row in places.table()] == [("x", 2), ("y", 1), ("z", 8)]


def test_values_are_swapped_over_the_border_of_two_pages(places: ReplicaBench) -> None:
    """The row that waits and the news of its holder are placed in one step."""
    places.apply(put(("x", 9), hlc=2 << 40), complete=False)
    assert places.table()[:2] == [("x", 1, "theirs"), ("y", 9, "theirs")]
    places.apply(put(("y", 1), hlc=3 << 40))
    assert places.table()[:2] == [("x", 9, "theirs"), ("y", 1, "theirs")]


def test_values_are_swapped_between_two_partitions_of_one_page(places: ReplicaBench) -> None:
    """Whatever section a row comes in, all of a table are placed in one step."""
    red = remote(("x", 9, "theirs"), columns=["place", "body"], life=LIFE, partition="red")
    places.apply(red, put(("y", 1), hlc=3 << 40))
    assert places.table()[:2] == [("x", 9, "theirs"), ("y", 1, "theirs")]


def test_a_partial_index_concerns_only_rows_that_it_holds(tmp_path: Path) -> None:
    """An unsent insert gives way only in the index that a remote row needs (I1)."""
    bench = ReplicaBench(
        tmp_path,
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, u INTEGER UNIQUE, v INTEGER, active INTEGER);"
        "CREATE UNIQUE INDEX active_v ON notes (v) WHERE active = 1;",
    )
    bench.run("INSERT INTO notes VALUES ('taken', 1, 100, 0), ('innocent', 7, 5, 1)")
    refused = bench.apply(remote(("r", 1, 5, 0), columns=["u", "v", "active"])).refused
    assert [letter.key for letter in refused] == [("taken",)]
    assert [row[0] for row in bench.table()] == ["innocent", "r"]
    bench.close()
