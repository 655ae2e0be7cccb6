"""A migration through `migrate` alters tables at will, and each of its writes is recorded, exactly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from syncauth.errors import TableNotTrackable
from syncauth.models import TableSpec
from syncauth.replica import migrating
from syncauth.replica.courtesy import Courtesy
from syncauth.replica.writer import Writer
from tests.support.replica_bench import NOTES, ReplicaBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ReplicaBench]:
    """A replica of which the server knows three rows."""
    bench = ReplicaBench(tmp_path, NOTES, TableSpec("notes", counters=("likes",)))
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3), ('2', 'c', 'd', 4), ('3', 'e', 'f', 5)")
    bench.settle()
    yield bench
    bench.close()


def migrate(bench: ReplicaBench, work: Callable[[sqlite_utils.Database], Any]) -> Any:
    writer = Writer(bench.path, Courtesy())
    try:
        wrapped = writer.write(
            lambda db: migrating.migrate(db.conn, lambda: work(db)), lambda: None
        )
        return wrapped.result(20)
    finally:
        writer.close()


def test_what_a_migration_writes_is_sent_and_nothing_is_uncertain(bench: ReplicaBench) -> None:
    """Updates by column, counters by delta, inserts and deletions, all from one comparison."""

    def work(db: sqlite_utils.Database) -> str:
        db["notes"].transform(defaults={"title": "untitled"})
        db.conn.execute("UPDATE notes SET title = upper(title) WHERE id = '1'")
        db.conn.execute("UPDATE notes SET likes = likes + 10, body = NULL WHERE id = '2'")
        db.conn.execute("DELETE FROM notes WHERE id = '3'")
        db.conn.execute("INSERT INTO notes VALUES ('4', 'new', '', 0)")
        return "done"

    assert migrate(bench, work) == "done"
    assert bench.uncertain == ()
    assert not bench.replica.state().again
    assert bench.sent() == [
        ("delete", ("3",), {}, {}),
        ("insert", ("4",), {"title": "new", "body": "", "likes": 0}, {}),
        ("update", ("1",), {"title": "A"}, {}),
        ("update", ("2",), {"body": None}, {"likes": 10}),
    ]


def test_a_rebuild_alone_sends_nothing(bench: ReplicaBench) -> None:
    """Same rows in another order of columns; capture goes on with the next write."""
    migrate(bench, lambda db: db["notes"].transform(column_order=["likes", "id"]))
    assert bench.sent() == []
    bench.run("UPDATE notes SET body = 'again' WHERE id = '1'")
    assert bench.sent() == [("update", ("1",), {"body": "again"}, {})]


def test_a_column_can_be_dropped_and_another_be_added(bench: ReplicaBench) -> None:
    """Triggers are in the way of DROP COLUMN (seen); the new column's values are sent."""

    def work(db: sqlite_utils.Database) -> None:
        db.conn.execute("ALTER TABLE notes DROP COLUMN body")
        db.conn.execute("ALTER TABLE notes ADD COLUMN size INTEGER")
        db.conn.execute("UPDATE notes SET size = 7 WHERE id = '2'")

    bench.run("UPDATE notes SET body = 'unsent', title = 'kept' WHERE id = '1'")
    migrate(bench, work)
    assert bench.replica.state().again
    assert sorted(bench.sent(), key=lambda each: each[1]) == [
        ("update", ("1",), {"title": "kept"}, {}),
        ("update", ("2",), {"size": 7}, {}),
    ]


def test_rows_that_wait_unsent_are_sent_as_they_are_then(bench: ReplicaBench) -> None:
    """A new row needs no second entry; edits before and after count once."""
    bench.run("INSERT INTO notes VALUES ('4', 'new', '', 1)", "UPDATE notes SET likes = likes + 1")
    migrate(bench, lambda db: db.conn.execute("UPDATE notes SET likes = likes + 10, title = 'x'"))
    counted: dict[Any, int] = {}
    for kind, key, values, deltas in bench.sent():
        if kind == "insert":
            assert (key, values) == (("4",), {"title": "x", "body": "", "likes": 12})
        counted[key] = counted.get(key, 0) + deltas.get("likes", 0)
    assert counted == {("1",): 11, ("2",): 11, ("3",): 11, ("4",): 0}


def test_a_counter_whose_value_waits_is_not_counted_twice(bench: ReplicaBench) -> None:
    """Its value travels as it is now, and no delta beside it (I9)."""
    bench.run("UPDATE notes SET likes = NULL WHERE id = '1'")
    bench.run("UPDATE notes SET likes = 10 WHERE id = '1'")
    migrate(bench, lambda db: db.conn.execute("UPDATE notes SET likes = likes + 5 WHERE id = '1'"))
    sent = bench.sent()
    assert {each[2]["likes"] for each in sent} == {15}
    assert all(each[3] == {} for each in sent)


def test_a_migration_that_fails_changes_nothing(bench: ReplicaBench) -> None:
    """Rows, shape and triggers are as before; capture goes on."""

    def work(db: sqlite_utils.Database) -> None:
        db.conn.execute("ALTER TABLE notes DROP COLUMN body")
        message = "stop"
        raise ValueError(message)

    with pytest.raises(ValueError, match="stop"):
        migrate(bench, work)
    with pytest.raises(TableNotTrackable):
        migrate(bench, lambda db: db.conn.execute("DROP TABLE notes"))
    with pytest.raises(sqlite3.OperationalError):
        migrate(bench, lambda db: db.conn.execute("ALTER TABLE nothing DROP COLUMN x"))
    assert len(bench.table()) == 3
    bench.run("UPDATE notes SET body = 'again' WHERE id = '1'")
    assert bench.sent() == [("update", ("1",), {"body": "again"}, {})]


@pytest.mark.parametrize(
    ("before", "after"),
    [("1", "1.0"), ("'bob'", "'BOB'"), ("'a'", "x'61'"), ("CAST(x'ff' AS TEXT)", "x'ff'")],
)
def test_values_are_compared_bit_for_bit(tmp_path: Path, before: str, after: str) -> None:
    """By type and by case, as the triggers do."""
    schema = "CREATE TABLE loose (id TEXT NOT NULL PRIMARY KEY, v COLLATE NOCASE)"
    bench = ReplicaBench(tmp_path, schema, TableSpec("loose"))
    bench.run(f"INSERT INTO loose VALUES ('1', {before}), ('2', 'same')")
    bench.settle()
    migrate(bench, lambda db: db.conn.execute(f"UPDATE loose SET v = {after} WHERE id = '1'"))
    assert [(kind, key) for kind, key, _, _ in bench.sent()] == [("update", ("1",))]
    bench.close()
