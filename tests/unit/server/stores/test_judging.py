"""How batches are judged: the fast way and the exact way say the same, in whatever order changes come."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from syncauth.server.settings.config import Rules, ServedTable
from tests.support.row_store import HLC, StoreBench, life

TASKS = (
    "CREATE TABLE tasks (team TEXT NOT NULL, id TEXT NOT NULL, title TEXT, PRIMARY KEY (team, id));"
)
CLAUSES = ["IGNORE", "REPLACE", "ROLLBACK", "FAIL", "ABORT"]
BOTH = Rules(read="SELECT 'p' UNION SELECT 'q'", write="SELECT 'p' UNION SELECT 'q'")


def tasks(path: Path, schema: str = TASKS) -> StoreBench:
    """Make a store with a table whose partition is a column, and two devices that may write p and q."""
    bench = StoreBench(
        path, schema, [ServedTable("tasks", partition_column="team", partition="column")], BOTH
    )
    bench.welcome("A")
    bench.welcome("B")
    return bench


@pytest.mark.parametrize("order", list(itertools.permutations(("edit", "move", "back"))))
def test_an_edit_and_moves_of_a_row_end_alike_in_every_order(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """An edit of all columns but the partition is no write of the partition (I9)."""
    bench = tasks(tmp_path / "server.db")
    columns = ["team", "title"]
    bench.judged("A", bench.insert(["1", "p", "old"], columns=columns, table="tasks"))
    writes = {
        "edit": ({"title": "new"}, HLC + 30),
        "move": ({"team": "q"}, HLC + 20),
        "back": ({"team": "p"}, HLC + 10),
    }
    for name in order:
        values, hlc = writes[name]
        ((place, *_),) = bench.rows("tasks")
        update = bench.update("1", values, life=life("A"), hlc=hlc, partition=place, table="tasks")
        bench.judged("B", update)
    assert bench.rows("tasks") == [("q", "1", "new")]
    bench.connection.close()


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_a_joined_row_was_put_into_its_partition_by_the_later_insert(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """A move older than the later of two inserts loses, in whichever order these came (I9)."""
    bench = tasks(tmp_path / "server.db")
    stamps = {"A": HLC + 10, "B": HLC + 30}
    for name in order:
        section = bench.insert(
            ["1", "p", name], columns=["team", "title"], hlc=stamps[name], table="tasks"
        )
        bench.judged(name, section)
    begun = life("A", stamps["A"])
    for hlc, lost in ((HLC + 20, [["team"]]), (HLC + 40, [])):
        move = bench.update("1", {"team": "q"}, life=begun, hlc=hlc, partition="p", table="tasks")
        answer = bench.judged("A", move).result
        assert [each.columns for each in answer.superseded] == lost
    assert bench.rows("tasks") == [("q", "1", "B")]
    bench.connection.close()


def test_a_whole_row_by_user_keeps_one_stamp(tmp_path: Path) -> None:
    """Where the partition is no column, an update of all columns leaves no stamp of a single one."""
    bench = StoreBench(tmp_path / "server.db")
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "one", None, 0]))
    for place, values in enumerate(({"title": "x"}, {"title": "y", "body": "b", "likes": 3}), 1):
        bench.judged("A", bench.update("1", values, life=life("A"), hlc=HLC + place))
    found = bench.connection.execute("SELECT stamp, stamps, newest FROM _sync_rows_1").fetchall()
    assert found == [(life("A", HLC + 2), None, None)]
    bench.connection.close()


def titled(clause: str, more: str = "") -> str:
    """Return a schema of notes with unique titles and such a conflict clause."""
    return (
        "CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT,"
        f" likes INTEGER, PRIMARY KEY (_partition, id), UNIQUE (_partition, title) {clause});{more}"
    )


@pytest.mark.parametrize("clause", ["", *(f"ON CONFLICT {word}" for word in CLAUSES)])
def test_a_conflict_clause_of_the_table_neither_loses_nor_replaces_a_row(
    tmp_path: Path, clause: str
) -> None:
    """What breaks a constraint is refused and named, alone, whatever the table would do about it (I1)."""
    bench = StoreBench(tmp_path / "server.db", titled(clause))
    bench.welcome("A")
    rows = [["1", "one", "b", 1], ["2", "two", "b", 1]]
    bench.judged("A", bench.insert(*rows))
    answer = bench.judged("A", bench.insert(["3", "one", "b", 1], ["4", "four", "b", 1])).result
    assert [(each.entry, each.code) for each in answer.refused] == [(3, "unique_conflict")]
    for values in ({"title": "one"}, {"title": "one", "body": "x", "likes": 0}):
        update = bench.update("2", values, life=life("A"), hlc=HLC + 1)
        refused = bench.judged("A", update).result.refused
        assert [each.code for each in refused] == ["unique_conflict"]
    assert [row[1:3] for row in bench.rows()] == [("1", "one"), ("2", "two"), ("4", "four")]
    known = bench.connection.execute("SELECT k0, deleted FROM _sync_rows_1 ORDER BY k0").fetchall()
    assert known == [("1", 0), ("2", 0), ("4", 0)]
    bench.connection.close()


def test_a_conflict_clause_of_a_column_does_not_put_another_value(tmp_path: Path) -> None:
    """NULL in a column that would take its default instead is refused, not altered."""
    schema = (
        "CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT"
        " NOT NULL ON conflict REPLACE DEFAULT 'd', likes INTEGER, PRIMARY KEY (_partition, id))"
    )
    bench = StoreBench(tmp_path / "server.db", schema)
    bench.welcome("A")
    answer = bench.judged("A", bench.insert(["1", "one", None, 1], ["2", "two", "b", 1])).result
    assert [(each.entry, each.code) for each in answer.refused] == [(1, "constraint")]
    assert [row[1:4] for row in bench.rows()] == [("2", "two", "b")]
    bench.connection.close()


@pytest.mark.parametrize("word", CLAUSES)
def test_a_row_does_not_move_onto_another_one(tmp_path: Path, word: str) -> None:
    """A move that breaks a constraint of the table is refused, and both rows stay (I1)."""
    schema = (
        "CREATE TABLE tasks (team TEXT NOT NULL, id TEXT NOT NULL, title TEXT,"
        f" PRIMARY KEY (team, id), UNIQUE (team, title) ON CONFLICT {word})"
    )
    bench = tasks(tmp_path / "server.db", schema)
    rows = [["1", "p", "same"], ["2", "q", "same"]]
    bench.judged("A", bench.insert(*rows, columns=["team", "title"], table="tasks"))
    move = bench.update("1", {"team": "q"}, life=life("A"), hlc=HLC + 1, table="tasks")
    assert [each.code for each in bench.judged("A", move).result.refused] == ["unique_conflict"]
    assert bench.rows("tasks") == [("p", "1", "same"), ("q", "2", "same")]
    bench.connection.close()


def test_triggers_of_the_server_keep_their_own_conflict_clauses(tmp_path: Path) -> None:
    """A trigger that counts by INSERT OR REPLACE or OR IGNORE does its work, and refuses nothing."""
    triggers = (
        "CREATE TABLE seen (title TEXT PRIMARY KEY, id TEXT);"
        "CREATE TRIGGER inserted AFTER INSERT ON notes BEGIN"
        " INSERT OR IGNORE INTO seen VALUES (new.body, new.id); END;"
        "CREATE TRIGGER updated AFTER UPDATE ON notes BEGIN"
        " INSERT OR REPLACE INTO seen VALUES (new.body, new.id); END;"
    )
    bench = StoreBench(tmp_path / "server.db", titled("", triggers))
    bench.welcome("A")
    rows = [["1", "one", "b", 1], ["2", "two", "b", 1], ["3", "one", "b", 1]]
    answer = bench.judged("A", bench.insert(*rows)).result
    assert [(each.entry, each.code) for each in answer.refused] == [(3, "unique_conflict")]
    assert bench.rows("seen") == [("b", "1")]
    update = bench.update("2", {"title": "x"}, life=life("A"), hlc=HLC + 1)
    assert bench.judged("A", update).result.refused == []
    assert bench.rows("seen") == [("b", "2")]
    bench.connection.close()


def test_an_update_of_nothing_is_no_change(tmp_path: Path) -> None:
    """A row that was replaced by its like, all of whose columns are counters, sends neither value nor delta."""
    bench = StoreBench(tmp_path / "server.db")
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "one", "b", 5]))
    answer = bench.judged("A", bench.update("1", {}, life=life("A"), hlc=HLC + 1)).result
    assert (answer.refused, answer.superseded) == ([], [])
    assert [row[1:] for row in bench.rows()] == [("1", "one", "b", 5)]
    bench.connection.close()
