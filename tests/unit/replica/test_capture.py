"""What the triggers record of the app's writes, whatever library or statement made them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.models import TableSpec
from tests.support.replica_bench import ReplicaBench, life_of, remote

Make = Callable[..., ReplicaBench]
UNIQUE = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE, body TEXT)"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ReplicaBench] = []

    def make(schema: str, *specs: TableSpec, **options: Any) -> ReplicaBench:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(ReplicaBench(directory, schema, *specs, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def test_an_insert_travels_with_all_its_columns(bench: ReplicaBench) -> None:
    """Change and outbox entry commit in one transaction (I1); a rollback leaves neither."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', NULL, 3)")
    bench.run("BEGIN", "INSERT INTO notes VALUES ('2', 'b', NULL, 4)", "ROLLBACK")
    assert bench.sent() == [("insert", ("1",), {"title": "a", "body": None, "likes": 3}, {})]
    assert bench.cut() == []


def test_ten_edits_of_a_column_travel_once(bench: ReplicaBench) -> None:
    """An edit names its column alone; the value is read when the batch is made."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    bench.run(*(f"UPDATE notes SET title = 'edit {place}'" for place in range(10)))
    assert bench.sent() == [("update", ("1",), {"title": "edit 9"}, {})]


def test_an_edit_of_an_unsent_insert_goes_with_it(bench: ReplicaBench) -> None:
    """An insert keeps its place and takes later edits in."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "UPDATE notes SET title = 'c'")
    assert bench.sent() == [("insert", ("1",), {"title": "c", "body": "b", "likes": 3}, {})]


def test_a_write_that_changes_nothing_leaves_no_entry(bench: ReplicaBench) -> None:
    """An update to the same value is no change, and neither is INSERT OR IGNORE of a known key."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    bench.run(
        "UPDATE notes SET title = title", "INSERT OR IGNORE INTO notes VALUES ('1', 'x', 'y', 0)"
    )
    bench.run("INSERT INTO notes VALUES ('1', 'x', 'y', 0) ON CONFLICT DO NOTHING")
    assert bench.cut() == []


@pytest.mark.parametrize(
    ("before", "after"),
    [("'bob'", "'BOB'"), ("1", "1.0"), ("'1'", "1"), ("''", "NULL"), ("x'61'", "'a'")],
)
def test_a_change_of_case_or_type_is_a_change(make: Make, before: str, after: str) -> None:
    """Values that SQLite calls equal differ for us: under NOCASE, or as integer and real (seen)."""
    bench = make("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, v COLLATE NOCASE)")
    bench.run(f"INSERT INTO notes VALUES ('1', {before})")
    bench.settle()
    bench.run(f"UPDATE notes SET v = {after}")
    (sent,) = bench.cut()
    assert (sent.kind, list(sent.values)) == ("update", ["v"])


@pytest.mark.parametrize("clause", ["IGNORE", "REPLACE", "FAIL", "ABORT", "ROLLBACK"])
def test_the_app_s_conflict_clause_loses_no_mark(bench: ReplicaBench, clause: str) -> None:
    """The clause of the outer statement rules the trigger's own statements too (seen)."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    bench.run(
        f"UPDATE OR {clause} notes SET title = 'c'", f"UPDATE OR {clause} notes SET body = 'd'"
    )
    bench.run(f"INSERT OR {clause} INTO notes VALUES ('2', 'x', 'y', 0)")
    bench.run("INSERT INTO notes VALUES ('1', '', '', 9) ON CONFLICT (id) DO UPDATE SET likes = 9")
    sent = {
        (each.kind, each.key, name): value
        for each in bench.cut()
        for name, value in each.values.items()
    }
    assert sent == {
        ("insert", ("2",), "title"): "x",
        ("insert", ("2",), "body"): "y",
        ("insert", ("2",), "likes"): 0,
        ("update", ("1",), "title"): "c",
        ("update", ("1",), "body"): "d",
        ("update", ("1",), "likes"): 9,
    }


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
@pytest.mark.parametrize("without_rowid", ["", " WITHOUT ROWID"])
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT OR REPLACE INTO notes VALUES ('3', 'taken', 'new')",
        "REPLACE INTO notes VALUES ('3', 'taken', 'new')",
        "UPDATE OR REPLACE notes SET title = 'taken' WHERE id = '2'",
    ],
)
def test_a_row_that_replace_takes_away_is_deleted_for_all(
    make: Make, recursive: str, without_rowid: str, statement: str
) -> None:
    """REPLACE over a UNIQUE value deletes another row without firing its trigger (seen)."""
    bench = make(UNIQUE + without_rowid, pragmas=[f"recursive_triggers = {recursive}"])
    bench.run("INSERT INTO notes VALUES ('1', 'taken', 'x'), ('2', 'free', 'y')")
    bench.settle()
    bench.run(statement)
    kinds = {(each.kind, each.key) for each in bench.cut()}
    assert ("delete", ("1",)) in kinds
    assert len(kinds) == 2
    assert ("1",) not in {tuple(row[:1]) for row in bench.table()}


def test_replacing_a_row_by_its_own_key_is_no_deletion(make: Make) -> None:
    """Delete plus insert of one key in one statement is a replacement, with all columns."""
    bench = make(UNIQUE)
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'x')")
    bench.settle()
    bench.run("REPLACE INTO notes VALUES ('1', 'b', 'y')")
    sent = bench.cut()
    assert [(each.key, each.values) for each in sent] == [(("1",), {"title": "b", "body": "y"})]
    assert sent[0].kind != "delete"


def test_deleting_what_was_never_sent_sends_nothing(bench: ReplicaBench) -> None:
    """Insert then delete: nothing, unless the insert was in flight."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "DELETE FROM notes")
    assert bench.cut() == []
    bench.run("INSERT INTO notes VALUES ('2', 'a', 'b', 3)")
    (inserted,) = bench.cut()
    bench.run("DELETE FROM notes")
    (deleted,) = bench.cut()
    assert (deleted.kind, deleted.life) == ("delete", life_of(inserted))


def test_delete_then_insert_is_a_new_life_that_ends_the_old_one(bench: ReplicaBench) -> None:
    """One entry: all columns, and the life that it ends."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("DELETE FROM notes", "INSERT INTO notes VALUES ('1', 'c', 'd', 4)")
    (again,) = bench.cut()
    assert (again.kind, again.life) == ("insert", life_of(first))
    assert again.values == {"title": "c", "body": "d", "likes": 4}


def test_a_change_of_the_key_is_a_deletion_and_a_new_life(bench: ReplicaBench) -> None:
    """The two travel in one batch."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    bench.run("UPDATE notes SET id = '2'")
    assert [(each.kind, each.key, each.life is None) for each in bench.cut()] == [
        ("delete", ("1",), False),
        ("insert", ("2",), True),
    ]


def test_counters_travel_as_what_was_added(make: Make) -> None:
    """A counter's update is its delta, summed up; other columns of the update are values."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, likes INTEGER)",
        TableSpec("notes", counters=("likes",)),
    )
    bench.run("INSERT INTO notes VALUES ('1', 'a', 10)")
    bench.settle()
    bench.run(
        "UPDATE notes SET likes = likes + 5", "UPDATE notes SET likes = likes - 2, title = 'b'"
    )
    sent = bench.cut()
    assert sum(each.deltas.get("likes", 0) for each in sent) == 3
    assert [each.values for each in sent if each.values] == [{"title": "b"}]


@pytest.mark.parametrize("later", ["", ", title = 'b'"])
def test_what_is_added_and_taken_away_again_adds_nothing(make: Make, later: str) -> None:
    """Deltas that cancel out are no delta, rather than the last of them (I2)."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, likes INTEGER)",
        TableSpec("notes", counters=("likes",)),
    )
    bench.run("INSERT INTO notes VALUES ('1', 'a', 7)")
    bench.settle()
    bench.run("UPDATE notes SET likes = likes + 3", f"UPDATE notes SET likes = likes - 3{later}")
    bench.run("UPDATE notes SET likes = likes + 2", "UPDATE notes SET likes = likes - 2")
    sent = bench.cut()
    assert sum(each.deltas.get("likes", 0) for each in sent) == 0
    assert {name for each in sent for name in each.values} == ({"title"} if later else set())


@pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
def test_every_column_has_its_own_mark(make: Make, count: int) -> None:
    """Masks have as many words as needed: 1 << 64 is 0 in SQLite (seen)."""
    columns = ", ".join(f"c{place} INTEGER" for place in range(count))
    bench = make(f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {columns})")
    bench.run("INSERT INTO notes (id) VALUES ('1')")
    bench.settle()
    for place in {0, count // 2, count - 1}:
        bench.run(f"UPDATE notes SET c{place} = 7")
        assert bench.sent() == [("update", ("1",), {f"c{place}": 7}, {})]


def test_coalescing_never_raises_a_column_s_stamp(bench: ReplicaBench) -> None:
    """Edit a, remote edit of a, edit b: the remote a wins, for it is later than our a."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("UPDATE notes SET title = 'ours'")
    (hlc,) = bench.app.execute("SELECT hlc FROM _sync_clock").fetchone()
    bench.apply(remote(["1", "theirs", "b", 3], hlc=hlc + 1, life=life_of(first)))
    bench.run("UPDATE notes SET body = 'ours'")
    assert bench.table() == [("1", "theirs", "ours", 3)]
    assert bench.sent() == [("update", ("1",), {"body": "ours"}, {})]


def test_rows_that_were_there_before_are_inserts_of_no_age(make: Make) -> None:
    """Rows present when a table is first tracked are sent, stamped 0."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT)",
        rows=["INSERT INTO notes VALUES ('1', 'old')"],
    )
    (sent,) = bench.cut()
    assert (sent.kind, sent.hlc, sent.values) == ("insert", 0, {"title": "old"})


def test_entry_numbers_and_clock_only_grow(bench: ReplicaBench) -> None:
    """A wall clock that is set back does not set back the clock of the triggers."""
    bench.run("UPDATE _sync_clock SET fixed_ms = 1700000000000")
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.run("UPDATE _sync_clock SET fixed_ms = 1600000000000")
    bench.run("INSERT INTO notes VALUES ('2', 'a', 'b', 3)")
    first, second = bench.cut()
    assert first.entry < second.entry
    assert first.hlc < second.hlc


def test_a_new_column_is_sent_from_its_first_write(bench: ReplicaBench) -> None:
    """ALTER TABLE ADD COLUMN while the replica is open needs no restart."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    bench.run("ALTER TABLE notes ADD COLUMN colour TEXT")
    bench.replica.state()
    bench.run("UPDATE notes SET colour = 'red'")
    assert bench.sent() == [("update", ("1",), {"colour": "red"}, {})]


def test_of_a_table_whose_triggers_were_dropped_nothing_is_sent(bench: ReplicaBench) -> None:
    """A rebuild drops triggers without a word (seen): they come back, and the table is uncertain."""
    (name,) = bench.app.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'notes' LIMIT 1"
    ).fetchone()
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.settle()
    bench.run(f'DROP TRIGGER "{name}"', "INSERT INTO notes VALUES ('2', 'a', 'b', 3)")
    assert bench.cut() == []
    assert bench.uncertain == ("notes",)
    back = bench.app.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    assert back is not None
