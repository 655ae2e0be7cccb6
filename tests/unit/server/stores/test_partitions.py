"""Permissions by partition: whatever a user names, only what the rules allow is read or written (I15)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import Rules, ServedTable
from syncauth.server.stores.rows_interface import PageLimits
from tests.support.row_store import HLC, StoreBench, life

TASKS = """
CREATE TABLE tasks (project TEXT NOT NULL, id TEXT NOT NULL, title TEXT, PRIMARY KEY (project, id));
CREATE TABLE members (user_id TEXT, project TEXT, role TEXT);
INSERT INTO members VALUES ('ann', 'red', 'writer'), ('ann', 'blue', 'writer'), ('ann', 'grey', 'reader'),
    ('bob', 'blue', 'writer'), ('bob', 'black', 'writer');
"""
RULES = Rules(
    read="SELECT project FROM members WHERE user_id = :user_id",
    write="SELECT project FROM members WHERE user_id = :user_id AND role = 'writer'",
)
COLUMNS = ["project", "title"]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    table = ServedTable("tasks", partition_column="project", partition="column")
    bench = StoreBench(tmp_path / "server.db", TASKS, [table], RULES)
    bench.welcome("A", "ann")
    bench.welcome("B", "bob")
    yield bench
    bench.connection.close()


def test_partitions_come_from_the_rules(bench: StoreBench) -> None:
    """A user reads and writes what the rules name, and nothing by default besides."""
    assert dict(bench.store.permissions("ann")) == {"red": "write", "blue": "write", "grey": "read"}
    assert dict(bench.store.permissions("nobody")) == {}


def test_rows_go_to_the_partition_that_their_column_names(bench: StoreBench) -> None:
    """One batch may write to several partitions; what may not be written is refused and not shown."""
    answer = bench.judged(
        "A",
        bench.insert(
            ["1", "red", "a"],
            ["2", "blue", "b"],
            ["3", "grey", "c"],
            ["4", "black", "d"],
            ["5", None, "e"],
            table="tasks",
            columns=COLUMNS,
        ),
    )
    assert sorted((each.entry, each.code) for each in answer.result.refused) == [
        (3, "permission_denied"),
        (4, "permission_denied"),
        (5, "constraint"),
    ]
    assert answer.touched == {"red", "blue"}
    assert bench.rows("tasks") == [("blue", "2", "b"), ("red", "1", "a")]
    page, (section,) = bench.page("B", {"blue": 0, "black": 0})
    assert (section.partition, section.rows[0][4:]) == ("blue", ["blue", "b"])
    assert page.changes.complete


def test_the_same_key_in_two_partitions_neither_collides_nor_is_revealed(bench: StoreBench) -> None:
    """B's row of the same key is B's own, and A's stays what it was (I15)."""
    bench.judged("A", bench.insert(["1", "red", "A's"], table="tasks", columns=COLUMNS))
    answer = bench.judged(
        "B",
        bench.insert(["1", "black", "B's"], table="tasks", columns=COLUMNS),
        user="bob",
    )
    assert answer.result.refused == answer.result.superseded == []
    assert bench.rows("tasks") == [("black", "1", "B's"), ("red", "1", "A's")]


@pytest.mark.parametrize("partition", ["red", "", "nowhere"])
def test_a_foreign_row_can_be_neither_changed_nor_deleted(
    bench: StoreBench, partition: str
) -> None:
    """Knowing key, life and partition of A's row helps B to nothing, and tells it nothing (I15)."""
    bench.judged("A", bench.insert(["1", "red", "A's"], table="tasks", columns=COLUMNS))
    update = bench.update(
        "1", {"title": "B"}, life=life("A"), hlc=HLC + 9, partition=partition, table="tasks"
    )
    moving = bench.update(
        "1", {"project": "black"}, life=life("A"), hlc=HLC + 9, partition=partition, table="tasks"
    )
    delete = bench.delete("1", life=life("A"), hlc=HLC + 9, partition=partition, table="tasks")
    for section in (update, moving, delete):
        answer = bench.judged("B", section, user="bob")
        assert len(answer.result.refused) + len(answer.result.superseded) == 1
        shown = [row for each in answer.result.rows for row in each.rows]
        assert shown in ([], [["1"]])
    assert bench.rows("tasks") == [("red", "1", "A's")]


def test_a_row_moves_for_whoever_may_write_both_partitions(bench: StoreBench) -> None:
    """The old partition is told that the row has left, the new one gets it, and its life goes on."""
    bench.judged("A", bench.insert(["1", "red", "A's"], table="tasks", columns=COLUMNS))
    move = bench.update("1", {"project": "blue"}, life=life("A"), hlc=HLC + 1, table="tasks")
    assert bench.judged("A", move).touched == {"red", "blue"}
    assert bench.rows("tasks") == [("blue", "1", "A's")]
    _, sections = bench.page("A", {"red": 1, "blue": 0})
    assert [(each.kind, each.partition) for each in sections] == [("exit", "red"), ("row", "blue")]
    by_b = bench.update("1", {"title": "B"}, life=life("A"), hlc=HLC + 2, table="tasks")
    assert bench.judged("B", by_b, user="bob").result.superseded == []
    away = bench.update("1", {"project": "black"}, life=life("A"), hlc=HLC + 3, table="tasks")
    assert bench.judged("B", away, user="bob").result.refused == []
    assert bench.rows("tasks") == [("black", "1", "B")]


def test_an_edit_of_a_row_that_has_just_moved_follows_it(bench: StoreBench) -> None:
    """Its device does not know yet where the row is now: the edit counts there, and so does a deletion (I1)."""
    rows = [["1", "red", "A's"], ["2", "red", "A's"]]
    bench.judged("A", bench.insert(*rows, table="tasks", columns=COLUMNS))
    for key in "12":
        move = bench.update(key, {"project": "blue"}, life=life("A"), hlc=HLC + 1, table="tasks")
        bench.judged("A", move)
    edit = bench.update(
        "1", {"title": "edited"}, life=life("A"), hlc=HLC + 2, partition="red", table="tasks"
    )
    deletion = bench.delete("2", life=life("A"), hlc=HLC + 2, partition="red", table="tasks")
    answer = bench.judged("A", edit, deletion)
    assert (answer.result.refused, answer.result.superseded) == ([], [])
    assert bench.rows("tasks") == [("blue", "1", "edited")]


@pytest.mark.parametrize("known", ["", "red"])
def test_an_edit_of_a_row_that_is_nowhere_for_this_user_is_handed_back(
    bench: StoreBench, known: str
) -> None:
    """It moved to where the user may not write, or the user may write there no more: nothing is dropped (I1)."""
    bench.judged("A", bench.insert(["1", "red", "A's"], table="tasks", columns=COLUMNS))
    bench.judged(
        "A", bench.update("1", {"project": "blue"}, life=life("A"), hlc=HLC + 1, table="tasks")
    )
    away = bench.update("1", {"project": "black"}, life=life("A"), hlc=HLC + 2, table="tasks")
    bench.judged("B", away, user="bob")
    for section in (
        bench.update(
            "1", {"title": "x"}, life=life("A"), hlc=HLC + 3, partition=known, table="tasks"
        ),
        bench.delete("1", life=life("A"), hlc=HLC + 3, partition=known, table="tasks"),
    ):
        answer = bench.judged("A", section)
        assert [each.code for each in answer.result.refused] == ["permission_denied"]
        assert [each.kind for each in answer.result.rows] == ["exit"]
    assert bench.rows("tasks") == [("black", "1", "A's")]


def test_a_row_that_a_refusal_removed_comes_again_with_its_partition(bench: StoreBench) -> None:
    """The device goes on where it was when it may read the partition again; strangers move nothing (I9, I15)."""
    rows = [["1", "red", "A's"], ["2", "red", "A's"]]
    bench.judged("A", bench.insert(*rows, table="tasks", columns=COLUMNS))
    stranger = bench.update(
        "2", {"title": "x"}, life=life("B"), hlc=HLC + 1, partition="red", table="tasks"
    )
    bench.judged("B", stranger, user="bob")
    assert bench.page("A", {"red": 2})[1] == []
    edit = bench.update(
        "1", {"title": "x"}, life=life("A"), hlc=HLC + 1, partition="red", table="tasks"
    )
    answer = bench.judged("B", edit, user="bob")
    assert [each.code for each in answer.result.refused] == ["permission_denied"]
    _, sections = bench.page("A", {"red": 2})
    assert [row[0] for section in sections for row in section.rows] == ["1"]


def test_a_move_to_where_the_user_may_not_write_is_refused(bench: StoreBench) -> None:
    """Reading is not enough for the new partition, nor is a text enough for a name."""
    bench.judged("A", bench.insert(["1", "red", "A's"], table="tasks", columns=COLUMNS))
    for target, code in (
        ("grey", "permission_denied"),
        ("black", "permission_denied"),
        (None, "constraint"),
    ):
        move = bench.update("1", {"project": target}, life=life("A"), hlc=HLC + 1, table="tasks")
        answer = bench.judged("A", move)
        assert [each.code for each in answer.result.refused] == [code]
        (shown,) = answer.result.rows
        assert (shown.kind, shown.partition, shown.rows[0][4:]) == ("row", "red", ["red", "A's"])
    assert bench.rows("tasks") == [("red", "1", "A's")]


def test_one_commit_over_two_partitions_is_one_page(bench: StoreBench) -> None:
    """A local transaction over two partitions arrives together, however small the page should be."""
    for number in range(3):
        rows = [[f"{number}{name}", name, "x"] for name in ("red", "blue") for _ in range(1)]
        bench.judged("A", bench.insert(*rows, table="tasks", columns=COLUMNS))
    bench.welcome("C", "ann")
    cursors = {"red": 0, "blue": 0}
    for number in range(3):
        page, sections = bench.page("C", cursors, PageLimits(rows=1))
        assert {row[0] for each in sections for row in each.rows} == {
            f"{number}red",
            f"{number}blue",
        }
        cursors = dict(page.changes.cursors)
    assert page.changes.complete


def test_a_table_without_the_shape_that_is_needed_is_refused_at_the_start(tmp_path: Path) -> None:
    """The error names table and remedy before anything is served."""
    for schema, word in (
        ("CREATE TABLE other (a)", "no such table"),
        ("CREATE TABLE tasks (project TEXT, id TEXT, PRIMARY KEY (id))", "primary key"),
        ("CREATE TABLE tasks (project TEXT, id TEXT, PRIMARY KEY (project, id))", "NULL"),
    ):
        table = ServedTable("tasks", partition_column="project", partition="column")
        with pytest.raises(InvalidConfig, match=word):
            StoreBench(tmp_path / f"{word}.db", schema, [table])
    table = ServedTable("tasks", partition_column="project", partition="column")
    with pytest.raises(InvalidConfig, match="rule"):
        StoreBench(tmp_path / "rules.db", TASKS, [table], Rules(read="SELECT nothing FROM nowhere"))


NAMELESS = Rules(
    read="SELECT iif(:user_id = 'ann', '', 'black')",
    write="SELECT iif(:user_id = 'ann', '', 'black')",
)


@pytest.fixture
def nameless(tmp_path: Path) -> Iterator[StoreBench]:
    """A store in which the partition with the empty name is ann's, with one row."""
    table = ServedTable("tasks", partition_column="project", partition="column")
    bench = StoreBench(tmp_path / "nameless.db", TASKS, [table], NAMELESS)
    bench.welcome("A", "ann")
    bench.welcome("B", "bob")
    bench.judged("A", bench.insert(["1", "", "ann's"], table="tasks", columns=COLUMNS))
    yield bench
    bench.connection.close()


def test_an_empty_name_of_a_partition_is_a_name_like_any_other(nameless: StoreBench) -> None:
    """Nobody inserts into it, moves rows to it or joins a row of it without permission (I15)."""
    own = nameless.insert(["2", "black", "b"], table="tasks", columns=COLUMNS)
    nameless.judged("B", own, user="bob")
    entering = [["1", "", "B"], ["3", "", "B"]]
    for section in (
        nameless.insert(*entering, table="tasks", columns=COLUMNS, hlc=HLC + 9),
        nameless.update(
            "2", {"project": ""}, life=life("B"), hlc=HLC + 9, partition="black", table="tasks"
        ),
        nameless.update("2", {"project": ""}, life=life("B"), hlc=HLC + 9, table="tasks"),
    ):
        answer = nameless.judged("B", section, user="bob")
        assert {each.code for each in answer.result.refused} == {"permission_denied"}
        assert len(answer.result.refused) == len(section.rows)
        assert not any(each.partition == "" and each.kind == "row" for each in answer.result.rows)
    assert nameless.rows("tasks") == [("", "1", "ann's"), ("black", "2", "b")]


def test_a_row_whose_partition_was_not_found_is_not_looked_for_in_the_nameless_one(
    nameless: StoreBench,
) -> None:
    """Knowing key and life of a row there does not help whoever may not write it (I15)."""
    update = nameless.update("1", {"title": "B"}, life=life("A"), hlc=HLC + 9, table="tasks")
    moving = nameless.update("1", {"project": "black"}, life=life("A"), hlc=HLC + 9, table="tasks")
    delete = nameless.delete("1", life=life("A"), hlc=HLC + 9, table="tasks")
    for section in (update, moving, delete):
        answer = nameless.judged("B", section, user="bob")
        assert [each.code for each in answer.result.refused] == ["permission_denied"]
    assert nameless.rows("tasks") == [("", "1", "ann's")]


def test_whoever_may_write_the_nameless_partition_changes_its_rows(nameless: StoreBench) -> None:
    """The permission counts there as it does anywhere."""
    update = nameless.update("1", {"title": "new"}, life=life("A"), hlc=HLC + 9, table="tasks")
    assert nameless.judged("A", update).touched == {""}
    assert nameless.rows("tasks") == [("", "1", "new")]
    nameless.judged("A", nameless.delete("1", life=life("A"), hlc=HLC + 10, table="tasks"))
    assert nameless.rows("tasks") == []
