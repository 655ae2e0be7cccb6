"""Traps of SQLite that would lose a change or invent one, each met by the real triggers (I1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from syncauth.models import TableSpec
from tests.support.replica_bench import ReplicaBench, life_of

Make = Callable[..., ReplicaBench]
Short = list[tuple[str, tuple[Any, ...]]]
FAMILY = """
CREATE TABLE parents (id TEXT NOT NULL PRIMARY KEY, name TEXT);
CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, parent TEXT
    REFERENCES parents ON DELETE {deleted} ON UPDATE CASCADE);
"""
RECURSIVE = pytest.mark.parametrize("recursive", ["ON", "OFF"])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ReplicaBench] = []

    def make(schema: str, *specs: TableSpec, **options: Any) -> ReplicaBench:
        made.append(ReplicaBench(tmp_path, schema, *specs, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def _kinds(bench: ReplicaBench) -> Short:
    return [(each.kind, each.key) for each in bench.cut()]


# --- foreign keys --------------------------------------------------------------------------------


def _family(make: Make, deleted: str) -> ReplicaBench:
    bench = make(
        FAMILY.format(deleted=deleted),
        TableSpec("parents"),
        TableSpec("notes"),
        pragmas=["foreign_keys = ON"],
    )
    bench.run("INSERT INTO parents VALUES ('p', 'x')", "INSERT INTO notes VALUES ('1', 'a', 'p')")
    bench.settle()
    return bench


def test_children_that_a_cascade_deletes_are_deleted_for_all(make: Make) -> None:
    """The app's own ON DELETE CASCADE is the app's change."""
    bench = _family(make, "CASCADE")
    bench.run("DELETE FROM parents")
    assert sorted(_kinds(bench)) == [("delete", ("1",)), ("delete", ("p",))]


def test_a_reference_that_is_set_to_null_travels(make: Make) -> None:
    """So is ON DELETE SET NULL, also in the middle of a REPLACE of the parent."""
    bench = _family(make, "SET NULL")
    bench.run("REPLACE INTO parents VALUES ('p', 'y')")
    sent = {(each.kind, each.key): each.values for each in bench.cut()}
    assert sent == {("update", ("p",)): {"name": "y"}, ("update", ("1",)): {"parent": None}}


def test_a_key_that_changes_takes_its_children_along(make: Make) -> None:
    """ON UPDATE CASCADE edits the child, and the parent begins a new life."""
    bench = _family(make, "CASCADE")
    bench.run("UPDATE parents SET id = 'q'")
    sent = bench.cut()
    assert [(each.kind, each.key) for each in sent] == [
        ("delete", ("p",)),
        ("insert", ("q",)),
        ("update", ("1",)),
    ]
    assert sent[2].values == {"parent": "q"}


def test_a_row_that_refers_to_itself_changes_its_key(make: Make) -> None:
    """Its cascade comes before its own change of key: the insert takes it in, with its new value."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT,"
        " parent TEXT REFERENCES notes ON UPDATE CASCADE)",
        pragmas=["foreign_keys = ON"],
    )
    bench.run("INSERT INTO notes VALUES ('1', 'a', '1')")
    bench.settle()
    bench.run("UPDATE notes SET id = '2'")
    deleted, inserted = bench.cut()
    assert (deleted.kind, deleted.key) == ("delete", ("1",))
    assert (inserted.kind, inserted.key) == ("insert", ("2",))
    assert inserted.values == {"title": "a", "parent": "2"}


# --- what REPLACE removes --------------------------------------------------------------------------


@RECURSIVE
@pytest.mark.parametrize(
    ("unique", "statement"),
    [
        ("CREATE UNIQUE INDEX u ON notes (a COLLATE NOCASE)", "('2', 'X', NULL, 'v2')"),
        ("CREATE UNIQUE INDEX u ON notes (a) WHERE b IS NULL", "('2', 'x', NULL, 'v2')"),
        ("CREATE UNIQUE INDEX u ON notes (g)", "('2', 'X', NULL, 'v2')"),
        ("CREATE UNIQUE INDEX u ON notes (d)", "('2', 'y', NULL, NULL)"),
        ("CREATE UNIQUE INDEX u ON notes (h)", "('2', 'y', NULL, NULL)"),
    ],
    ids=["collation of the index", "partial", "generated", "default for null", "both"],
)
def test_every_kind_of_unique_index_is_foreseen(
    make: Make, recursive: str, unique: str, statement: str
) -> None:
    """By the index's own collation, whatever its WHERE, over generated columns and defaults (seen)."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, a TEXT, b TEXT,"
        f" d TEXT NOT NULL DEFAULT 'dd', g AS (lower(a)), h AS (d || '!') STORED); {unique}",
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    bench.run("INSERT INTO notes VALUES ('1', 'x', NULL, 'dd')")
    bench.settle()
    bench.run(f"INSERT OR REPLACE INTO notes VALUES {statement}")
    assert [row[0] for row in bench.table()] == ["2"]
    assert sorted(_kinds(bench)) == [("delete", ("1",)), ("insert", ("2",))]


@RECURSIVE
def test_a_constraint_that_replaces_by_itself(make: Make, recursive: str) -> None:
    """UNIQUE ON CONFLICT REPLACE needs no word of the statement; several rows may go at once."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY,"
        " a UNIQUE ON CONFLICT REPLACE, b UNIQUE ON CONFLICT REPLACE)",
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'x'), ('2', 'y', 'b'), ('3', 'z', 'z')")
    bench.settle()
    bench.run("INSERT INTO notes VALUES ('4', 'a', 'b')", "UPDATE notes SET a = 'z' WHERE id = '4'")
    assert sorted(_kinds(bench)) == [
        ("delete", ("1",)),
        ("delete", ("2",)),
        ("delete", ("3",)),
        ("insert", ("4",)),
    ]


@RECURSIVE
def test_a_rowid_that_is_taken_removes_its_row(make: Make, recursive: str) -> None:
    """REPLACE by the rowid, which is no declared column."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, a)",
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    bench.run("INSERT INTO notes (rowid, id) VALUES (7, '1')")
    bench.settle()
    bench.run("REPLACE INTO notes (rowid, id) VALUES (7, '2')")
    assert sorted(_kinds(bench)) == [("delete", ("1",)), ("insert", ("2",))]


@RECURSIVE
def test_an_unsent_row_that_is_replaced_is_never_sent(make: Make, recursive: str) -> None:
    """Its insert goes with it; the server never hears of it."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, a UNIQUE)",
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    bench.run("INSERT INTO notes VALUES ('1', 'a')", "REPLACE INTO notes VALUES ('2', 'a')")
    assert _kinds(bench) == [("insert", ("2",))]


@RECURSIVE
def test_what_is_ignored_or_fails_leaves_no_trace(make: Make, recursive: str) -> None:
    """After OR IGNORE and an upsert that met another row, a later write records nothing of them."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, a UNIQUE, b)",
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b')")
    bench.settle()
    bench.run(
        "INSERT OR IGNORE INTO notes VALUES ('2', 'a', 'c')",
        "UPDATE OR IGNORE notes SET a = 'a'",
        "INSERT INTO notes VALUES ('3', 'a', 'c') ON CONFLICT (a) DO UPDATE SET b = 'd'",
        "DELETE FROM notes WHERE id = 'nobody'",
        "INSERT INTO notes VALUES ('4', 'z', 'z')",
    )
    sent = {(each.kind, each.key): each.values for each in bench.cut()}
    assert sent == {
        ("update", ("1",)): {"b": "d"},
        ("insert", ("4",)): {"a": "z", "b": "z"},
    }


@RECURSIVE
def test_replacing_keeps_the_sum_of_a_counter(make: Make, recursive: str) -> None:
    """A row replaced by its own key sends what was added to the counter since the last cut."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, n INTEGER)",
        TableSpec("notes", counters=("n",)),
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    bench.run("INSERT INTO notes VALUES ('1', 10)")
    bench.settle()
    bench.run("UPDATE notes SET n = n + 5", "REPLACE INTO notes VALUES ('1', 18)")
    assert bench.sent() == [("update", ("1",), {}, {"n": 8})]


# --- counters, transactions, schema ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "values", "deltas"),
    [
        (["n = n + 1", "n = NULL"], {"n": None}, {}),
        (["n = 'many'", "n = 3", "n = n + 1"], {"n": 4}, {}),
        (["n = n + 2", "n = 12.5"], {"n": 12.5}, {}),
        (["n = 9223372036854775807", "n = -9223372036854775807"], {"n": -(2**63) + 1}, {}),
    ],
)
def test_a_counter_that_cannot_be_added_travels_as_its_value(
    make: Make, statements: list[str], values: dict[str, Any], deltas: dict[str, int]
) -> None:
    """NULL, text, a real number or what 64 bits do not hold are no delta; nothing is altered."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, n INTEGER)",
        TableSpec("notes", counters=("n",)),
    )
    bench.run("INSERT INTO notes VALUES ('1', 10)")
    bench.settle()
    bench.run(*(f"UPDATE notes SET {term}" for term in statements))
    assert bench.sent() == [("update", ("1",), values, deltas)]


def test_the_sign_of_a_zero_alone_is_no_change(make: Make) -> None:
    """SQLite cannot tell the zeros apart; with any other write of the column the sign travels."""
    bench = make("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, v)")
    bench.run("INSERT INTO notes VALUES ('1', 0.0)")
    bench.settle()
    bench.app.execute("UPDATE notes SET v = ?", (-0.0,))
    assert bench.cut() == []
    bench.run("UPDATE notes SET v = 1.0")
    bench.app.execute("UPDATE notes SET v = ?", (-0.0,))
    assert [str(each.values["v"]) for each in bench.cut()] == ["-0.0"]


def test_a_savepoint_that_is_taken_back_leaves_nothing(bench: ReplicaBench) -> None:
    """Entries come and go with the rows they speak of."""
    bench.run(
        "BEGIN",
        "INSERT INTO notes VALUES ('1', 'a', 'b', 3)",
        "SAVEPOINT inner",
        "UPDATE notes SET title = 'no'",
        "INSERT INTO notes VALUES ('2', 'a', 'b', 3)",
        "ROLLBACK TO inner",
        "COMMIT",
    )
    assert bench.sent() == [("insert", ("1",), {"title": "a", "body": "b", "likes": 3}, {})]


def test_an_insert_keeps_its_stamp_and_its_place(bench: ReplicaBench) -> None:
    """An edit of an unsent row raises neither: coalescing never raises a stamp."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    ((entry, hlc),) = bench.app.execute("SELECT entry, hlc FROM _sync_capture_1").fetchall()
    bench.run("INSERT INTO notes VALUES ('2', 'a', 'b', 3)", "UPDATE notes SET title = 'c'")
    first, _ = bench.cut()
    assert (first.entry, first.hlc) == (entry, hlc)


def test_each_column_keeps_the_stamp_of_its_own_last_write(bench: ReplicaBench) -> None:
    """Edits of two columns are two entries; a column edited again moves into the newer one."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    stamps = []
    for term in ("title = 'x', body = 'x'", "body = 'y'", "likes = 4"):
        bench.run(f"UPDATE notes SET {term}")
        stamps += bench.app.execute("SELECT hlc FROM _sync_clock").fetchone()
    sent = {tuple(each.values): each.hlc for each in bench.cut()}
    assert sent == dict(zip([("title",), ("body",), ("likes",)], stamps, strict=True))


def test_a_row_that_was_rebuilt_while_in_flight_ends_the_life_in_flight(
    bench: ReplicaBench,
) -> None:
    """Inserted, cut, deleted and inserted again before any answer: the second ends the first."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.run("DELETE FROM notes", "INSERT INTO notes VALUES ('1', 'c', 'd', 4)")
    (second,) = bench.cut()
    assert (second.kind, second.life) == ("insert", life_of(first))


def test_the_bit_of_a_dropped_column_is_never_given_again(bench: ReplicaBench) -> None:
    """A new column of the same name has an id of its own; the table waits to be compared."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    names = bench.app.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    bench.run(*(f"DROP TRIGGER {name}" for (name,) in names))
    bench.run("ALTER TABLE notes DROP COLUMN body")
    assert bench.cut() == []
    assert bench.uncertain == ("notes",)
    bench.run("ALTER TABLE notes ADD COLUMN body TEXT")
    bench.replica.state()
    ids = bench.app.execute("SELECT id, name, present FROM _sync_columns ORDER BY id").fetchall()
    assert ids == [(0, "title", 1), (1, "body", 0), (2, "likes", 1), (3, "body", 1)]


def test_a_transform_of_sqlite_utils_is_noticed(bench: ReplicaBench) -> None:
    """It builds the table anew, and its triggers are gone without a word (seen)."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    sqlite_utils.Database(bench.app).table("notes").transform(rename={"body": "content"})
    bench.run("INSERT INTO notes VALUES ('2', 'a', 'b', 3)")
    assert bench.cut() == []
    assert bench.uncertain == ("notes",)
    bench.replica.close()
    bench.replica = bench.open()
    assert bench.uncertain == ("notes",)
    assert bench.replica.state().pending > 0
