"""A table whose capture was interrupted: nothing is sent before it was compared, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.errors import SyncStopped
from syncauth.models import TableSpec
from syncauth.sansio.messages import Checkpoint, Refused
from tests.support.replica_bench import OWN, ReplicaBench, remote

TWO = """
CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT);
CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY, title TEXT);
"""


@pytest.fixture
def two(tmp_path: Path) -> Iterator[ReplicaBench]:
    (tmp_path / "two").mkdir()
    bench = ReplicaBench(tmp_path / "two", TWO, TableSpec("notes"), TableSpec("other"))
    bench.run(
        "INSERT INTO notes VALUES ('1', 'a'), ('2', 'b')", "INSERT INTO other VALUES ('1', 'a')"
    )
    bench.settle()
    yield bench
    bench.close()


def interrupt(bench: ReplicaBench, *statements: str) -> None:
    """Let statements go by unseen, as a rebuild of the table does."""
    names = bench.app.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'notes'"
    ).fetchall()
    bench.run(*(f"DROP TRIGGER {name}" for (name,) in names), *statements)


def _entries(bench: ReplicaBench) -> list[tuple[str, str]]:
    return bench.app.execute("SELECT kind, k0 FROM _sync_capture_1 ORDER BY entry").fetchall()


def test_deletions_and_inserts_that_went_by_are_found(two: ReplicaBench) -> None:
    """By their keys; whether the others were edited cannot be seen, so that all of it waits (I1)."""
    interrupt(two, "DELETE FROM notes WHERE id = '1'", "INSERT INTO notes VALUES ('3', 'c')")
    assert two.cut() == []
    assert two.uncertain == ("notes",)
    assert _entries(two) == [("delete", "1"), ("insert", "3")]
    assert two.replica.state().pending == 2


def test_other_tables_wait_with_it(two: ReplicaBench) -> None:
    """A newer change never overtakes an older one: their rows may need those that wait."""
    two.run("UPDATE other SET title = 'first'")
    interrupt(two, "INSERT INTO notes VALUES ('3', 'c')")
    two.run("UPDATE other SET title = 'second'")
    assert two.cut() == []
    assert two.replica.state().pending == 2


def test_pages_of_the_old_connection_are_not_applied(two: ReplicaBench) -> None:
    """They may overwrite what was edited unseen; they come again with the next connection."""
    interrupt(two, "UPDATE notes SET title = 'unseen' WHERE id = '1'")
    done = two.apply(
        remote(["2", "came"], table="other", columns=["title"]),
        remote(["1", "theirs"], columns=["title"]),
    )
    assert done.state.again
    assert (done.refused, done.restored) == ((), ())
    assert two.table("notes")[0] == ("1", "unseen")
    assert two.table("other") == [("1", "a")]
    assert two.replica.state().checkpoints == {}
    assert two.replica.reach(Checkpoint({OWN: 9}, 9)).state.checkpoints == {}


def test_changes_after_the_interruption_are_captured_again(two: ReplicaBench) -> None:
    """The triggers are back with the first look; unsent changes of before stay, too."""
    two.run("UPDATE notes SET title = 'before' WHERE id = '1'")
    interrupt(two)
    assert two.cut() == []
    two.run("UPDATE notes SET title = 'after' WHERE id = '2'")
    assert _entries(two) == [("update", "1"), ("update", "2")]
    two.replica.close()
    two.replica = two.open()
    assert two.uncertain == ("notes",)
    assert two.cut() == []


def test_what_is_in_flight_is_still_acknowledged(two: ReplicaBench) -> None:
    """It left before the interruption, with its bytes."""
    two.run("UPDATE notes SET title = 'sent'")
    assert len(two.cut()) == 2
    interrupt(two, "DELETE FROM notes WHERE id = '1'")
    two.acknowledge()
    state = two.replica.state()
    assert (state.in_flight, state.pending) == ((), 1)


def test_a_row_in_flight_that_was_deleted_unseen(two: ReplicaBench) -> None:
    """Its deletion names the life that the insert in flight begins."""
    two.run("INSERT INTO notes VALUES ('3', 'c')")
    (sent,) = two.cut()
    interrupt(two, "DELETE FROM notes WHERE id = '3'")
    two.replica.state()
    life = two.app.execute("SELECT life FROM _sync_capture_1 WHERE kind = 'delete'").fetchone()
    assert life == (f"{sent.hlc:016x}{'a' * 16}",)


def test_an_unsent_row_that_was_deleted_unseen_is_forgotten(bench: ReplicaBench) -> None:
    """The server knows no row: an empty page is all the comparison there is."""
    bench.run(
        "INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "INSERT INTO notes VALUES ('2', '', '', 0)"
    )
    interrupt(bench, "DELETE FROM notes WHERE id = '1'", "UPDATE notes SET title = 'unseen'")
    assert bench.cut() == []
    assert bench.replica.reach(Checkpoint({}, 0)).restored == ("notes",)
    assert bench.sent() == [("insert", ("2",), {"title": "unseen", "body": "", "likes": 0}, {})]


def test_a_key_that_was_replaced_unseen_keeps_the_end_of_its_old_life(bench: ReplicaBench) -> None:
    """A deletion in the outbox whose key has come back unseen becomes a new life that ends the old."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("DELETE FROM notes")
    interrupt(bench, "INSERT INTO notes VALUES ('1', 'new', 'b', 3)")
    assert bench.cut() == []
    bench.replica.reach(Checkpoint({}, 0))
    (again,) = bench.cut()
    assert (again.kind, again.life) == ("insert", f"{first.hlc:016x}{'a' * 16}")
    assert again.values["title"] == "new"


def test_a_refusal_of_what_was_in_flight_hands_over_what_stood_there(two: ReplicaBench) -> None:
    """The row goes back to the server's; an edit that nobody saw must not vanish with it (I1)."""
    two.run("UPDATE notes SET title = 'bad' WHERE id = '1'")
    (sent,) = two.cut()
    interrupt(two, "UPDATE notes SET title = 'unseen' WHERE id = '1'")
    done = two.acknowledge(
        Refused(sent.entry, "constraint", "no"),
        rows=[remote(["1", "a"], columns=["title"], life=sent.life)],
    )
    assert [(letter.code, letter.values) for letter in done.refused] == [
        ("constraint", {"title": "bad"}),
        ("capture_interrupted", {"title": "unseen"}),
    ]
    assert two.table("notes")[0] == ("1", "a")
    assert done.state.in_flight == ()


def test_a_renamed_table_takes_its_triggers_along(two: ReplicaBench) -> None:
    """What is written to the table that took its place is found by its keys (I1)."""
    two.run(
        "ALTER TABLE notes RENAME TO notes_kept",
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT)",
        "INSERT INTO notes SELECT * FROM notes_kept",
        "DELETE FROM notes WHERE id = '2'",
        "INSERT INTO notes VALUES ('3', 'c')",
    )
    assert two.cut() == []
    assert two.uncertain == ("notes",)
    assert _entries(two) == [("delete", "2"), ("insert", "3")]
    two.run("UPDATE notes SET title = 'seen' WHERE id = '1'")
    assert ("update", "1") in _entries(two)


def test_a_page_that_fails_at_its_end_leaves_the_table_uncertain(tmp_path: Path) -> None:
    """What the transaction took back holds in memory, too: nothing is sent before the comparison (I1)."""
    bench = ReplicaBench(
        tmp_path, "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE)"
    )
    bench.apply(remote(("1", "a"), columns=["title"]))
    interrupt(bench, "UPDATE notes SET title = 'unseen'")
    assert bench.cut() == []
    bench.replica.begin_connection()
    with pytest.raises(SyncStopped):
        bench.apply(remote(("2", "same"), ("3", "same"), columns=["title"]))
    bench.run("INSERT INTO notes VALUES ('4', 'ours')")
    assert bench.uncertain == ("notes",)
    assert bench.cut() == []
    bench.close()


def test_a_deletion_that_waits_already_is_not_recorded_twice(two: ReplicaBench) -> None:
    """Neither one in the outbox nor one in flight."""
    two.run("DELETE FROM notes WHERE id = '1'")
    assert len(two.cut()) == 1
    two.run("DELETE FROM notes WHERE id = '2'")
    interrupt(two)
    two.replica.state()
    assert _entries(two) == [("delete", "1"), ("delete", "2")]


@pytest.mark.parametrize("verb", ["insert", "update", "delete"])
def test_a_single_trigger_that_was_lost_is_not_made_the_youngest(tmp_path: Path, verb: str) -> None:
    """Of the triggers of a verb one alone does the work, also after the capture was mended (I2)."""
    schema = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, likes INTEGER)"
    bench = ReplicaBench(tmp_path, schema, TableSpec("notes", counters=("likes",)))
    columns = ["title", "likes"]
    bench.apply(remote(["1", "a", 10], ["2", "a", 10], columns=columns))
    order = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid"
    made = bench.app.execute(order).fetchall()
    bench.run(f"DROP TRIGGER _sync_{verb}_1")
    assert bench.cut() == []
    bench.replica.begin_connection()
    bench.version = 0
    bench.apply(remote(["1", "a", 10], ["2", "a", 10], columns=columns))
    assert bench.app.execute(order).fetchall() == made
    bench.run(
        "UPDATE notes SET likes = likes + 1, title = 'x' WHERE id = '1'",
        "DELETE FROM notes WHERE id = '2'",
        "INSERT INTO notes VALUES ('3', 'new', 1)",
    )
    assert sorted(bench.sent()) == [
        ("delete", ("2",), {}, {}),
        ("insert", ("3",), {"title": "new", "likes": 1}, {}),
        ("update", ("1",), {"title": "x"}, {"likes": 1}),
    ]
    bench.close()
