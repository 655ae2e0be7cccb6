"""The app alters its tables while the replica is open: what was written is sent, under its own name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import TableNotTrackable
from syncauth.models import TableSpec
from tests.support.replica_bench import OWN, VALUES, ReplicaBench, remote

Make = Callable[..., ReplicaBench]
INSERT = "INSERT INTO notes (id, title, body, likes) VALUES ('1', 'a', 'b', 3)"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ReplicaBench] = []

    def make(schema: str, *specs: TableSpec, **options: Any) -> ReplicaBench:
        made.append(ReplicaBench(tmp_path, schema, *specs, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.mark.parametrize(
    ("declared", "written", "sent"),
    [
        ("colour TEXT", "'red'", "red"),
        ("colour TEXT DEFAULT 'red'", "NULL", None),
        ("colour TEXT COLLATE NOCASE DEFAULT 'red'", "'RED'", "RED"),
        ("colour DEFAULT 1", "1.0", 1.0),
        ("colour DEFAULT '1'", "1", 1),
        ("colour INTEGER DEFAULT '1'", "2", 2),
        ("colour REAL DEFAULT 1", "1.5", 1.5),
    ],
)
def test_what_is_written_to_a_new_column_before_anybody_looks(
    bench: ReplicaBench, declared: str, written: str, sent: object
) -> None:
    """The triggers of before do not know the column: what stands in it is found, by type and by case."""
    bench.run(INSERT, "INSERT INTO notes VALUES ('2', 'a', 'b', 3)")
    bench.settle()
    bench.run(
        f"ALTER TABLE notes ADD COLUMN {declared}",
        f"UPDATE notes SET colour = {written} WHERE id = '1'",
    )
    (change,) = bench.cut()
    assert (change.kind, change.key, change.values) == ("update", ("1",), {"colour": sent})
    assert type(change.values["colour"]) is type(sent)


def test_a_column_that_nobody_has_written_is_not_sent(bench: ReplicaBench) -> None:
    """A default is the server's own business."""
    bench.run(INSERT)
    bench.settle()
    bench.run("ALTER TABLE notes ADD COLUMN colour TEXT DEFAULT 'red'")
    assert bench.cut() == []
    bench.run("UPDATE notes SET colour = 'blue'")
    assert bench.sent() == [("update", ("1",), {"colour": "blue"}, {})]


def test_unsent_changes_live_through_a_new_column(bench: ReplicaBench) -> None:
    """Entries, their stamps and what is in flight stay as they are."""
    bench.run(INSERT)
    (first,) = bench.cut()
    bench.run("UPDATE notes SET title = 'edit'", "INSERT INTO notes VALUES ('2', 'x', 'y', 0)")
    bench.run("ALTER TABLE notes ADD COLUMN colour TEXT", "UPDATE notes SET colour = 'red'")
    sent = {(each.kind, each.key[0], *each.values): each.values for each in bench.cut()}
    assert sent == {
        ("insert", "2", "title", "body", "likes", "colour"): {
            "title": "x",
            "body": "y",
            "likes": 0,
            "colour": "red",
        },
        ("update", "1", "title"): {"title": "edit"},
        ("update", "1", "colour"): {"colour": "red"},
    }
    assert first.entry == 1


def test_columns_beyond_a_mask_word_are_added_while_open(make: Make) -> None:
    """The 64th column needs a second word, which the tables of before have not."""
    columns = ", ".join(f"c{place}" for place in range(63))
    bench = make(f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {columns})")
    bench.run("INSERT INTO notes (id) VALUES ('1')")
    bench.settle()
    bench.run("UPDATE notes SET c62 = 1")
    bench.run(*(f"ALTER TABLE notes ADD COLUMN d{place}" for place in range(70)))
    bench.replica.state()
    bench.run("UPDATE notes SET d0 = 2", "UPDATE notes SET d69 = 3")
    values: dict[str, object] = {}
    for each in bench.cut():
        values |= each.values
    assert values == {"c62": 1, "d0": 2, "d69": 3}
    row = ["1", *range(133)]
    names = [*(f"c{place}" for place in range(63)), *(f"d{place}" for place in range(70))]
    bench.acknowledge()
    bench.apply(remote(row, columns=names))
    assert bench.table() == [tuple(row)]


def test_a_renamed_column_is_a_new_one_with_its_values(bench: ReplicaBench) -> None:
    """SQLite rewrites the triggers; what stands in the column is sent under the new name, once."""
    bench.run(INSERT)
    bench.settle()
    bench.run("UPDATE notes SET body = 'edit'", "ALTER TABLE notes RENAME COLUMN body TO content")
    assert bench.uncertain == ()
    assert bench.sent() == [("update", ("1",), {"content": "edit"}, {})]
    bench.run("UPDATE notes SET content = 'again', title = 'too'")
    assert bench.sent() == [("update", ("1",), {"title": "too", "content": "again"}, {})]


def test_a_renamed_counter_is_told(make: Make) -> None:
    """Its deltas have no column any more: nothing is sent, and undoing the change is enough."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, n INTEGER)",
        TableSpec("notes", counters=("n",)),
    )
    bench.run("INSERT INTO notes VALUES ('1', 1)")
    bench.settle()
    bench.run("UPDATE notes SET n = n + 4", "ALTER TABLE notes RENAME COLUMN n TO m")
    with pytest.raises(TableNotTrackable) as raised:
        bench.cut()
    assert raised.value.reason == "shape_changed"
    bench.run("ALTER TABLE notes RENAME COLUMN m TO n")
    assert bench.sent() == [("update", ("1",), {}, {"n": 4})]


@pytest.mark.parametrize("statement", ["DROP TABLE notes", "ALTER TABLE notes RENAME TO papers"])
def test_a_table_that_is_gone_is_told(bench: ReplicaBench, statement: str) -> None:
    """Nothing is sent of anything until the app says what it means by it."""
    bench.run(INSERT)
    bench.settle()
    bench.run(statement)
    for work in (bench.cut, bench.replica.state):
        with pytest.raises(TableNotTrackable) as raised:
            work()
        assert (raised.value.table, raised.value.reason) == ("notes", "unknown_table")


def test_a_table_that_was_dropped_and_made_again_waits(bench: ReplicaBench) -> None:
    """Its rows went by unseen: those of the server are deleted nowhere without being compared."""
    bench.run(INSERT)
    bench.settle()
    bench.run(
        "DROP TABLE notes",
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT, likes INTEGER)",
        "INSERT INTO notes VALUES ('1', 'other', 'b', 3)",
    )
    assert bench.cut() == []
    assert bench.uncertain == ("notes",)


def test_a_table_that_is_declared_later_sends_its_rows(make: Make) -> None:
    """The others go on where they were; the new one's rows are inserts, behind what waits."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, a); CREATE TABLE more (id TEXT NOT NULL"
        " PRIMARY KEY, b)",
        TableSpec("notes"),
    )
    bench.run("INSERT INTO more VALUES ('m', 1)", "INSERT INTO notes VALUES ('n', 2)")
    bench.settle()
    bench.apply(remote(["x", 1], columns=["a"]))
    bench.replica.close()
    bench.specs = (TableSpec("notes"), TableSpec("more"))
    bench.replica = bench.open()
    assert bench.sent() == [("insert", ("m",), {"b": 1}, {})]
    assert set(bench.replica.state().checkpoints.values()) == {0}


def test_a_counter_that_no_longer_counts_is_refused(make: Make) -> None:
    """Deltas may wait, and would be lost; one that is declared later counts from then on."""
    schema = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, n INTEGER)"
    bench = make(schema)
    bench.run("INSERT INTO notes VALUES ('1', 1)")
    bench.settle()
    bench.run("UPDATE notes SET n = 5")
    bench.replica.close()
    bench.specs = (TableSpec("notes", counters=("n",)),)
    bench.replica = bench.open()
    bench.run("UPDATE notes SET n = n + 1")
    assert bench.sent() == [("update", ("1",), {"n": 6}, {})]
    bench.acknowledge()
    bench.run("UPDATE notes SET n = n + 1")
    assert bench.sent() == [("update", ("1",), {}, {"n": 1})]
    bench.specs = (TableSpec("notes"),)
    with pytest.raises(TableNotTrackable) as raised:
        bench.open()
    assert raised.value.reason == "shape_changed"


def test_a_new_column_is_downloaded_by_the_next_connection(bench: ReplicaBench) -> None:
    """A page of the open one, which never had the column, must not pass over what came before (I9)."""
    bench.replica.begin_connection()
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("ALTER TABLE notes ADD COLUMN colour TEXT")
    state = bench.apply(remote(["2", "a", "b", 3])).state
    assert (state.checkpoints, state.again) == ({OWN: 1}, True)
    bench.replica.begin_connection()
    state = bench.replica.state()
    # By the version reached before the server knows that this device's own rows are wanted, too.
    assert (state.checkpoints, state.compare) == ({OWN: 0}, {OWN: 1})
    bench.version = 0
    colours = remote(
        ["1", "a", "b", 3, "red"], ["2", "a", "b", 3, "blue"], columns=[*VALUES, "colour"]
    )
    bench.apply(colours)
    bench.replica.begin_connection()
    state = bench.replica.state()
    assert (state.checkpoints, state.compare) == ({OWN: 1}, {})
    assert [row[-1] for row in bench.table()] == ["red", "blue"]
    assert bench.cut() == []
