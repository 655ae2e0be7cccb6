"""Remote rows: what overwrites, what merges, what has to wait or to give way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.errors import InvalidMessage
from syncauth.models import TableSpec
from syncauth.sansio.messages import Checkpoint
from tests.support.replica_bench import OWN, ReplicaBench, gone, leave, life_of, remote

UNIQUE = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE)"
FAMILY = """
CREATE TABLE parents (id TEXT NOT NULL PRIMARY KEY, name TEXT);
CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY,
    title TEXT REFERENCES parents (id) ON DELETE CASCADE, body TEXT);
"""


@pytest.fixture
def unique(tmp_path: Path) -> Iterator[ReplicaBench]:
    (tmp_path / "unique").mkdir()
    bench = ReplicaBench(tmp_path / "unique", UNIQUE)
    yield bench
    bench.close()


@pytest.fixture
def family(tmp_path: Path) -> Iterator[ReplicaBench]:
    (tmp_path / "family").mkdir()
    specs = (TableSpec("parents"), TableSpec("notes"))
    bench = ReplicaBench(tmp_path / "family", FAMILY, *specs)
    yield bench
    bench.close()


def test_remote_rows_are_written_and_not_captured(bench: ReplicaBench) -> None:
    """What comes from the server is not sent back; the cursors are durable with the rows."""
    state = bench.apply(remote(["1", "a", "b", 3], ["2", "c", None, 4])).state
    assert bench.table() == [("1", "a", "b", 3), ("2", "c", None, 4)]
    assert bench.cut() == []
    assert state.checkpoints == {OWN: 1}
    bench.apply(remote(["1", "A", "B", 5], hlc=2 << 40))
    assert bench.table()[0] == ("1", "A", "B", 5)


def test_columns_of_both_sides_are_merged(bench: ReplicaBench) -> None:
    """A local unsent edit stays in its column; the others become the server's."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'ours'")
    bench.apply(remote(["1", "a", "theirs", 9]))
    assert bench.table() == [("1", "ours", "theirs", 9)]
    assert bench.sent() == [("update", ("1",), {"title": "ours"}, {})]


def test_a_batch_that_the_page_does_not_contain_is_laid_over_it(bench: ReplicaBench) -> None:
    """`through` says what the page contains: what is in flight above it is not overwritten."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'in flight'")
    bench.cut()
    bench.apply(remote(["1", "a", "theirs", 3]), through=0)
    assert bench.table() == [("1", "in flight", "theirs", 3)]
    bench.apply(remote(["1", "judged", "theirs", 3]), through=1)
    assert bench.table() == [("1", "judged", "theirs", 3)]


def test_a_remote_deletion_beats_a_local_edit(bench: ReplicaBench) -> None:
    """Within a life deletion wins; the edit has nothing left to change."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("UPDATE notes SET title = 'edit'")
    bench.apply(gone("1", life_of(first)))
    assert bench.table() == []
    assert bench.cut() == []


def test_a_deletion_of_an_older_life_leaves_a_new_one(bench: ReplicaBench) -> None:
    """Deleted and inserted again here, the row outlives the tombstone of its former life."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("DELETE FROM notes", "INSERT INTO notes VALUES ('1', 'new', 'b', 3)")
    bench.apply(gone("1", life_of(first)))
    assert bench.table() == [("1", "new", "b", 3)]
    (sent,) = bench.cut()
    assert sent.kind == "insert"


def test_rows_may_swap_a_unique_value(unique: ReplicaBench) -> None:
    """Both come in one page; neither is in the other's way for good."""
    unique.apply(remote(["1", "x"], ["2", "y"], columns=["title"]))
    unique.apply(remote(["1", "y"], ["2", "x"], columns=["title"], hlc=2 << 40))
    assert unique.table() == [("1", "y"), ("2", "x")]


def test_a_local_unsent_row_gives_way_to_a_unique_value(unique: ReplicaBench) -> None:
    """It goes to the dead letters with `unique_conflict`, and the step goes on."""
    unique.run("INSERT INTO notes VALUES ('mine', 'taken')")
    refused = unique.apply(remote(["1", "taken"], columns=["title"])).refused
    assert unique.table() == [("1", "taken")]
    assert [(each.key, each.code, each.values) for each in refused] == [
        (("mine",), "unique_conflict", {"title": "taken"})
    ]
    assert unique.cut() == []


def test_unsent_children_of_a_parent_that_has_gone_are_kept_as_dead_letters(
    family: ReplicaBench,
) -> None:
    """A cascade would have deleted them without a word (seen)."""
    family.apply(remote(["p", "parent"], columns=["name"], table="parents"))
    family.run("PRAGMA foreign_keys = ON", "INSERT INTO notes VALUES ('1', 'p', 'text')")
    life = f"{1 << 40:016x}{'b' * 16}"
    refused = family.apply(gone("p", life, table="parents")).refused
    assert family.table("parents") == family.table("notes") == []
    assert [(each.key, each.values) for each in refused] == [
        (("1",), {"title": "p", "body": "text"})
    ]


def test_a_row_leaves_only_the_partition_that_it_is_in(bench: ReplicaBench) -> None:
    """`exit` of a partition that the row is not in removes nothing."""
    bench.apply(remote(["1", "a", "b", 3], partition="red"))
    bench.apply(leave("1", partition="blue"))
    assert bench.table() == [("1", "a", "b", 3)]
    bench.apply(leave("1", partition="red"))
    assert bench.table() == []
    assert bench.cut() == []


def test_a_cursor_never_goes_back(bench: ReplicaBench) -> None:
    """A page or checkpoint of the past is refused as a whole."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.apply()
    with pytest.raises(InvalidMessage):
        bench.replica.reach(Checkpoint({OWN: 1}, 1))
    bench.version = 0
    with pytest.raises(InvalidMessage):
        bench.apply(remote(["2", "a", "b", 3]))
    assert bench.table() == [("1", "a", "b", 3)]


@pytest.mark.parametrize(
    "section",
    [
        remote(["1", "a"], columns=["no_such"]),
        remote(["1", "a", "b", 3], table="other"),
        remote(["1", "a", "b"]),
        remote(["1", "a", "b", True]),
        remote(["1", "a", "b", 3], life="not a life"),
        remote(["1", "a", "b", 3], stamps="no json"),
        remote(["1", "a", "b", 3], stamps='{"title": "no stamp"}'),
        remote(["1", "a", "b", 3], stamps=7),  # type: ignore[arg-type]
    ],
)
def test_a_page_that_breaks_the_protocol_is_refused_as_a_whole(
    bench: ReplicaBench, section: object
) -> None:
    """Nothing of it is applied, and the cursor stays."""
    with pytest.raises(InvalidMessage):
        bench.apply(remote(["9", "a", "b", 3]), section)  # type: ignore[arg-type]
    assert bench.table() == []
    assert bench.replica.state().checkpoints == {}


def test_deltas_are_laid_over_the_server_s_value(tmp_path: Path) -> None:
    """A counter shows the server's value and what was added here since."""
    schema = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, likes INTEGER)"
    bench = ReplicaBench(tmp_path, schema, TableSpec("notes", counters=("likes",)))
    bench.apply(remote(["1", 10], columns=["likes"]))
    bench.run("UPDATE notes SET likes = likes + 5")
    bench.cut()
    bench.run("UPDATE notes SET likes = likes + 1")
    life = f"{1 << 40:016x}{'b' * 16}"
    bench.apply(remote(["1", 100], columns=["likes"], hlc=2 << 40, life=life))
    assert bench.table() == [("1", 106)]
    bench.apply(remote(["1", 105], columns=["likes"], hlc=3 << 40, life=life), through=1)
    assert bench.table() == [("1", 106)]
    bench.close()
